package server

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/mesh/pkg/test/echo/echogrpc"
)

// NewGRPCServer returns a server of the echo and the health service.
func NewGRPCServer(hostname string) *grpc.Server {
	server := grpc.NewServer()
	echogrpc.Register(server, &grpcEcho{hostname: hostname})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server
}

type grpcEcho struct{ hostname string }

// Echo returns the message with the headers it came with.
func (e *grpcEcho) Echo(ctx context.Context, request *structpb.Struct) (*structpb.Struct, error) {
	headers := map[string]any{}
	incoming, _ := metadata.FromIncomingContext(ctx)
	for name, values := range incoming {
		headers[name] = strings.Join(values, ", ")
	}
	return structpb.NewStruct(map[string]any{
		"hostname": e.hostname,
		"method":   echogrpc.FullMethod,
		"headers":  headers,
		"message":  request.AsMap(),
	})
}
