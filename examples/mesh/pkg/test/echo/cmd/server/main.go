// Command server is the mesh's test application: an echo over HTTP and gRPC.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"example.com/mesh/pkg/cli"
	"example.com/mesh/pkg/grpcserve"
	"example.com/mesh/pkg/lifecycle"
	"example.com/mesh/pkg/test/echo/server"
)

const grace = 5 * time.Second

func main() {
	var httpAddr, grpcAddr string
	var level slog.Level
	root := cli.NewRoot("server", "Answer HTTP and gRPC requests with what was received")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, log := cmd.Context(), cli.NewLogger(cmd.ErrOrStderr(), level)
		hostname, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("host name: %w", err)
		}
		httpListener, err := lifecycle.Listen(ctx, "HTTP address", httpAddr)
		if err != nil {
			return err
		}
		defer httpListener.Close()
		grpcListener, err := lifecycle.Listen(ctx, "gRPC address", grpcAddr)
		if err != nil {
			return err
		}
		defer grpcListener.Close()
		log.Info("echo server started", "http", httpListener.Addr(), "grpc", grpcListener.Addr())
		defer log.Info("echo server stopped")
		return lifecycle.Run(ctx,
			lifecycle.ServeHTTP(httpListener, server.NewHTTPHandler(hostname, log), grace),
			grpcserve.Task(grpcListener, server.NewGRPCServer(hostname), grace),
		)
	}
	root.Flags().StringVar(&httpAddr, "http-addr", ":8080", "address of the HTTP echo")
	root.Flags().StringVar(&grpcAddr, "grpc-addr", ":7070", "address of the gRPC echo")
	cli.LogLevelVar(root.Flags(), &level)
	cli.Main(root)
}
