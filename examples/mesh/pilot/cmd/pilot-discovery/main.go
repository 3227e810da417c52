// Command pilot-discovery is the mesh's xDS control plane.
package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"example.com/mesh/pilot/pkg/controlplane"
	"example.com/mesh/pkg/cli"
	"example.com/mesh/pkg/lifecycle"
)

func main() {
	root := cli.NewRoot("pilot-discovery", "The mesh's xDS control plane")
	root.AddCommand(newDiscovery())
	cli.Main(root)
}

func newDiscovery() *cobra.Command {
	var configDir, grpcAddr, httpAddr string
	var level slog.Level
	cmd := &cobra.Command{
		Use:   "discovery --config-dir DIR",
		Short: "Serve the configuration of a directory to proxies",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, log := cmd.Context(), cli.NewLogger(cmd.ErrOrStderr(), level)
			grpcListener, err := lifecycle.Listen(ctx, "xDS address", grpcAddr)
			if err != nil {
				return err
			}
			defer grpcListener.Close()
			httpListener, err := lifecycle.Listen(ctx, "debug address", httpAddr)
			if err != nil {
				return err
			}
			defer httpListener.Close()
			log.Info("control plane started", "grpc", grpcListener.Addr(), "http", httpListener.Addr(), "config", configDir)
			server := &controlplane.Server{ConfigDir: configDir, GRPC: grpcListener, HTTP: httpListener, Log: log}
			defer log.Info("control plane stopped")
			return server.Run(ctx)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&configDir, "config-dir", "", "directory of YAML files to serve and watch")
	flags.StringVar(&grpcAddr, "grpc-addr", ":15010", "address of the xDS server")
	flags.StringVar(&httpAddr, "http-addr", ":8080", "address of readiness and debug endpoints")
	cli.LogLevelVar(flags, &level)
	cobra.CheckErr(cmd.MarkFlagRequired("config-dir"))
	return cmd
}
