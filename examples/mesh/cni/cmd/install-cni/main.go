// Command install-cni puts the mesh's CNI plugin on a node.
package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/mesh/cni/pkg/install"
	"example.com/mesh/pkg/cli"
)

func main() {
	var node install.Node
	var exclude []string
	var uninstall bool
	root := cli.NewRoot("install-cni", "Install the CNI plugin and chain it to the node's network")
	root.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if uninstall {
			return node.Uninstall()
		}
		if node.Entry, err = install.Entry(exclude); err != nil {
			return err
		}
		conflist, err := node.Install()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "installed %s into %s, chained in %s\n", install.PluginName, node.BinDir, conflist)
		return err
	}
	flags := root.Flags()
	flags.StringVar(&node.Source, "source", "/opt/cni/bin/"+install.PluginName, "plugin binary to install")
	flags.StringVar(&node.BinDir, "cni-bin-dir", "/host/opt/cni/bin", "the node's directory of CNI plugins")
	flags.StringVar(&node.ConfDir, "cni-conf-dir", "/host/etc/cni/net.d", "the node's directory of CNI configuration")
	flags.StringSliceVar(&exclude, "exclude-namespaces", []string{"kube-system"}, "namespaces whose pods are not redirected")
	flags.BoolVar(&uninstall, "uninstall", false, "take the plugin off the node")
	cli.Main(root)
}
