// Command extauthz is a sample of Envoy's external authorization service.
package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"example.com/mesh/pkg/cli"
	"example.com/mesh/pkg/grpcserve"
	"example.com/mesh/pkg/lifecycle"
	"example.com/mesh/samples/extauthz/authz"
)

const grace = 3 * time.Second

func main() {
	var grpcAddr, httpAddr, header, value string
	var level slog.Level
	root := cli.NewRoot("extauthz", "Allow requests that carry a header, refuse the others with 403")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, log := cmd.Context(), cli.NewLogger(cmd.ErrOrStderr(), level)
		grpcListener, err := lifecycle.Listen(ctx, "gRPC address", grpcAddr)
		if err != nil {
			return err
		}
		defer grpcListener.Close()
		httpListener, err := lifecycle.Listen(ctx, "HTTP address", httpAddr)
		if err != nil {
			return err
		}
		defer httpListener.Close()
		server := grpc.NewServer()
		authv3.RegisterAuthorizationServer(server, authz.NewServer(header, value, log))
		mux := http.NewServeMux()
		mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
		log.Info("authorization server started", "grpc", grpcListener.Addr(), "http", httpListener.Addr())
		defer log.Info("authorization server stopped")
		return lifecycle.Run(ctx,
			grpcserve.Task(grpcListener, server, grace),
			lifecycle.ServeHTTP(httpListener, mux, grace),
		)
	}
	flags := root.Flags()
	flags.StringVar(&grpcAddr, "grpc-addr", ":9000", "address of the authorization service")
	flags.StringVar(&httpAddr, "http-addr", ":8000", "address of /healthz")
	flags.StringVar(&header, "header", "x-ext-authz", "request header that is looked at")
	flags.StringVar(&value, "value", "allow", "value that the header must have")
	cli.LogLevelVar(flags, &level)
	cli.Main(root)
}
