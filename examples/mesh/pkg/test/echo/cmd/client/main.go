// Command client sends requests to the mesh's test application.
package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/mesh/pkg/cli"
	"example.com/mesh/pkg/test/echo/client"
)

func main() {
	var options client.Options
	var headers []string
	var overGRPC bool
	root := cli.NewRoot("client", "Send requests and print the answers")
	root.Use, root.Args = "client [flags] URL", cobra.ExactArgs(1)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		options.URL = args[0]
		for _, text := range headers {
			header, err := client.ParseHeader(text)
			if err != nil {
				return err
			}
			options.Headers = append(options.Headers, header)
		}
		if options.Count < 1 {
			return fmt.Errorf("--count %d: must be at least 1", options.Count)
		}
		send := client.HTTP
		if overGRPC {
			send = client.GRPC
		}
		return send(cmd.Context(), options, cmd.OutOrStdout())
	}
	flags := root.Flags()
	flags.IntVar(&options.Count, "count", 1, "number of requests")
	flags.StringArrayVar(&headers, "header", nil, "request header KEY=VALUE, may be repeated")
	flags.StringVar(&options.Method, "method", "GET", "HTTP method")
	flags.StringVar(&options.Body, "body", "", "request body or gRPC message")
	flags.DurationVar(&options.Timeout, "timeout", 10*time.Second, "time limit of one request")
	flags.BoolVar(&overGRPC, "grpc", false, "call the gRPC echo service; URL is host:port")
	cli.Main(root)
}
