// Command istioctl is the mesh's tool for people: it checks configuration and
// shows what the control plane and the proxies are doing.
package main

import (
	"github.com/spf13/cobra"

	"example.com/mesh/istioctl/pkg/proxyconfig"
	"example.com/mesh/istioctl/pkg/proxystatus"
	"example.com/mesh/pkg/cli"
)

func main() {
	root := cli.NewRoot("istioctl", "Check and inspect the mesh")
	root.AddCommand(newValidate(), newProxyStatus(), newProxyConfig())
	cli.Main(root)
}

func newProxyStatus() *cobra.Command {
	var discovery string
	cmd := &cobra.Command{
		Use:   "proxy-status",
		Short: "Show how far each connected proxy is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return proxystatus.Print(cmd.Context(), discovery, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&discovery, "discovery", "http://127.0.0.1:8080", "URL of pilot-discovery's debug address")
	return cmd
}

func newProxyConfig() *cobra.Command {
	var admin, output string
	cmd := &cobra.Command{
		Use:       "proxy-config KIND",
		Short:     "Show the configuration that an Envoy runs with",
		Long:      "Show the configuration that an Envoy runs with: listeners, routes, clusters or endpoints.",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: proxyconfig.Kinds(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return proxyconfig.Print(cmd.Context(), args[0], admin, output, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&admin, "admin", "http://127.0.0.1:15000", "URL of Envoy's admin interface")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output format: table or json")
	return cmd
}
