// Command istio-iptables sends a workload's traffic through its proxy.
package main

import (
	"io"

	"github.com/spf13/cobra"

	"example.com/mesh/pkg/cli"
	"example.com/mesh/tools/istio-iptables/redirect"
)

func main() {
	config, dryRun := redirect.Default(), false
	root := cli.NewRoot("istio-iptables", "Redirect TCP traffic to the proxy with iptables (Linux)")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := config.Validate(); err != nil {
			return err
		}
		if dryRun {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Rules(false))
			return err
		}
		return redirect.Apply(cmd.Context(), config)
	}
	flags := root.Flags()
	flags.Uint16Var(&config.OutboundPort, "proxy-port", config.OutboundPort, "port to which outbound traffic goes")
	flags.Uint16Var(&config.InboundPort, "inbound-port", config.InboundPort, "port to which inbound traffic goes")
	flags.Uint32Var(&config.ProxyUID, "proxy-uid", config.ProxyUID, "user id of the proxy")
	flags.UintSliceVar(&config.ExcludeInboundPorts, "exclude-inbound-ports", config.ExcludeInboundPorts, "inbound ports to leave alone")
	flags.StringSliceVar(&config.ExcludeOutboundCIDRs, "exclude-outbound-cidrs", nil, "outbound IPv4 ranges to leave alone")
	flags.BoolVar(&dryRun, "dry-run", false, "print the rules in iptables-restore format instead of applying them")
	cli.Main(root)
}
