// Package cli is the edge that all programs of the mesh share: signals, error
// messages, exit codes, logging and the version command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/mesh/pkg/version"
)

// ExitError makes a program end with a status of its own. Err may be nil when
// everything worth saying has been said.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// NewRoot returns the root command of a program, with its version command.
func NewRoot(name, short string) *cobra.Command {
	root := &cobra.Command{
		Use:           name,
		Short:         short,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newVersion())
	return root
}

// Main runs the command until it returns or SIGINT or SIGTERM cancels its
// context, and ends the process with the matching status.
func Main(root *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Run(ctx, root)
	stop()
	os.Exit(code)
}

// Run executes the command and returns the exit status; errors go to the
// command's error stream.
func Run(ctx context.Context, root *cobra.Command) int {
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var exit *ExitError
	if !errors.As(err, &exit) {
		exit = &ExitError{Code: 1, Err: err}
	}
	if exit.Err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: error: %v\n", root.Name(), exit.Err)
	}
	return exit.Code
}

// NewLogger returns a logger that writes text lines to w.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the build stamps of this program",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return version.Write(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or json")
	return cmd
}

// LogLevelVar defines the flag --log-level.
func LogLevelVar(flags *pflag.FlagSet, level *slog.Level) {
	flags.TextVar(level, "log-level", slog.LevelInfo, "least severe level to log: debug, info, warn or error")
}
