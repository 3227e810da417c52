// Command operator renders the manifests that install the control plane.
package main

import (
	"github.com/spf13/cobra"

	"example.com/mesh/operator/pkg/manifest"
	"example.com/mesh/pkg/cli"
	"example.com/mesh/pkg/version"
)

func main() {
	root := cli.NewRoot("operator", "Render the control plane's Kubernetes manifests")
	root.AddCommand(newManifest())
	cli.Main(root)
}

func newManifest() *cobra.Command {
	var values manifest.Values
	cmd := &cobra.Command{
		Use:     "manifest",
		Short:   "Print the manifests as YAML",
		Example: "operator manifest | kubectl apply -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manifest.Render(cmd.OutOrStdout(), values)
		},
	}
	stamps, flags := version.Get(), cmd.Flags()
	flags.StringVar(&values.Hub, "hub", stamps.Hub, "registry and path of the images")
	flags.StringVar(&values.Tag, "tag", stamps.Tag, "tag of the images")
	flags.StringVarP(&values.Namespace, "namespace", "n", "istio-system", "namespace of the control plane")
	flags.UintVar(&values.Replicas, "replicas", 1, "number of control plane pods")
	return cmd
}
