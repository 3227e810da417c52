// Package grpcserve runs a gRPC server as a lifecycle task. It is apart from
// lifecycle so that programs without gRPC do not link it.
package grpcserve

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"

	"example.com/mesh/pkg/lifecycle"
)

// Task serves on listener until the context is done, then lets running calls
// finish for the grace period and cuts off the rest.
func Task(listener net.Listener, server *grpc.Server, grace time.Duration) lifecycle.Task {
	return func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- server.Serve(listener) }()
		select {
		case err := <-failed:
			return fmt.Errorf("serve gRPC on %s: %w", listener.Addr(), err)
		case <-ctx.Done():
		}
		cutOff := time.AfterFunc(grace, server.Stop)
		defer cutOff.Stop()
		server.GracefulStop()
		return nil
	}
}
