// Command pilot-agent runs beside a workload: it bootstraps, supervises and
// drains Envoy.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"example.com/mesh/pilot/pkg/agent"
	"example.com/mesh/pilot/pkg/bootstrap"
	"example.com/mesh/pilot/pkg/envoy"
	"example.com/mesh/pkg/cli"
)

func main() {
	root := cli.NewRoot("pilot-agent", "The mesh's agent beside Envoy")
	root.AddCommand(newProxy(), newBootstrap())
	cli.Main(root)
}

func newProxy() *cobra.Command {
	var level slog.Level
	options := &agent.Options{}
	cmd := &cobra.Command{
		Use:   "proxy --discovery-address HOST:PORT [-- ENVOY-ARGS]",
		Short: "Run Envoy until a signal comes, then drain it",
		Args:  onlyAfterDash,
	}
	values := valueFlags(cmd, options)
	flags := cmd.Flags()
	flags.StringVar(&options.EnvoyPath, "envoy", "envoy", "Envoy's binary: a path, or a name on PATH")
	flags.StringVar(&options.EnvoyLogLevel, "envoy-log-level", "warning", "Envoy's own log level")
	flags.StringVar(&options.ConfigDir, "config-dir", "", "directory for the rendered bootstrap (default a temporary one)")
	flags.Uint16Var(&options.StatusPort, "status-port", 15021, "port of /healthz/ready")
	flags.DurationVar(&options.DrainDuration, "drain-duration", 5*time.Second, "how long Envoy goes on serving after the signal")
	flags.IntVar(&options.MaxRestarts, "max-restarts", 10, "crashes in a row after which the agent gives up")
	cli.LogLevelVar(flags, &level)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := values(); err != nil {
			return err
		}
		path, err := exec.LookPath(options.EnvoyPath)
		if err != nil {
			return fmt.Errorf("find Envoy: %w", err)
		}
		options.EnvoyPath, options.EnvoyArgs = path, args
		options.Stdout, options.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		options.Log = cli.NewLogger(cmd.ErrOrStderr(), level)
		return withStatus(agent.Run(cmd.Context(), options))
	}
	return cmd
}

func newBootstrap() *cobra.Command {
	options := &agent.Options{}
	cmd := &cobra.Command{
		Use:   "bootstrap --discovery-address HOST:PORT",
		Short: "Print the bootstrap that proxy would start Envoy with",
		Args:  cobra.NoArgs,
	}
	values := valueFlags(cmd, options)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := values(); err != nil {
			return err
		}
		data, err := options.RenderBootstrap()
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(data)
		return err
	}
	return cmd
}

// valueFlags defines the flags that end up in the bootstrap and returns the
// function that fills in what only the parsed flags can tell.
func valueFlags(cmd *cobra.Command, options *agent.Options) func() error {
	var discovery string
	flags, values := cmd.Flags(), &options.Values
	flags.StringVar(&discovery, "discovery-address", "", "host:port of pilot-discovery's xDS server")
	flags.StringVar(&values.NodeID, "node-id", "", "id of this proxy (default the host name)")
	flags.StringVar(&values.Cluster, "cluster", "gateway", "name of the service that this proxy belongs to")
	flags.StringVar(&values.AdminAddress, "admin-address", "127.0.0.1", "address of Envoy's admin interface")
	flags.Uint16Var(&values.AdminPort, "admin-port", 15000, "port of Envoy's admin interface")
	flags.StringVar(&options.Template, "template", "", "bootstrap template (default "+agent.ImageTemplate+" if it exists, else the embedded one)")
	cobra.CheckErr(cmd.MarkFlagRequired("discovery-address"))
	return func() (err error) {
		if values.DiscoveryHost, values.DiscoveryPort, err = bootstrap.SplitAddress(discovery); err != nil {
			return fmt.Errorf("--discovery-address: %w", err)
		}
		if values.NodeID == "" {
			if values.NodeID, err = os.Hostname(); err != nil {
				return fmt.Errorf("node id: %w", err)
			}
		}
		values.Metadata = bootstrap.Metadata(os.Environ())
		return nil
	}
}

// onlyAfterDash accepts arguments for Envoy, but no stray ones before "--".
func onlyAfterDash(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
		return fmt.Errorf("unknown argument %q; arguments for Envoy come after --", args[0])
	}
	return nil
}

// withStatus ends the agent with Envoy's exit status.
func withStatus(err error) error {
	var exit *envoy.ExitError
	if errors.As(err, &exit) {
		return &cli.ExitError{Code: exit.Status, Err: err}
	}
	return err
}
