// Command istio-cni-taint says which nodes to taint while their CNI plugin is
// not ready. It reads what kubectl prints and changes nothing itself.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"example.com/mesh/cni/pkg/taint"
	"example.com/mesh/pkg/cli"
)

func main() {
	var path, selector string
	root := cli.NewRoot("istio-cni-taint", "Print the patches that taint nodes without a ready CNI pod")
	root.Example = "kubectl get nodes,pods -A -o json | istio-cni-taint"
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		label, value, found := strings.Cut(selector, "=")
		if !found {
			return fmt.Errorf("--selector %q: want LABEL=VALUE", selector)
		}
		input := cmd.InOrStdin()
		if path != "-" {
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			input = file
		}
		return printPatches(input, cmd.OutOrStdout(), label, value)
	}
	root.Flags().StringVarP(&path, "file", "f", "-", "JSON list of nodes and pods, - for stdin")
	root.Flags().StringVarP(&selector, "selector", "l", "k8s-app=istio-cni-node", "label of the CNI pods")
	cli.Main(root)
}

// printPatches writes one JSON document per line and node.
func printPatches(input io.Reader, out io.Writer, label, value string) error {
	patches, err := taint.Decide(input, label, value)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	for _, patch := range patches {
		if err := encoder.Encode(patch); err != nil {
			return err
		}
	}
	return nil
}
