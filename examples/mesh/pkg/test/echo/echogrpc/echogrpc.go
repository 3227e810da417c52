// Package echogrpc is the echo service over gRPC. Its messages are the
// well-known Struct, so that it needs no generated code.
package echogrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	serviceName = "mesh.echo.v1.Echo"
	// FullMethod is the path of the one call.
	FullMethod = "/" + serviceName + "/Echo"
)

// Server answers what it was asked.
type Server interface {
	Echo(ctx context.Context, request *structpb.Struct) (*structpb.Struct, error)
}

// Register adds the service to a gRPC server.
func Register(registrar grpc.ServiceRegistrar, server Server) {
	registrar.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*Server)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handle}},
	}, server)
}

// Call asks the service behind a connection.
func Call(ctx context.Context, conn grpc.ClientConnInterface, request *structpb.Struct) (*structpb.Struct, error) {
	response := &structpb.Struct{}
	if err := conn.Invoke(ctx, FullMethod, request, response); err != nil {
		return nil, err
	}
	return response, nil
}

func handle(service any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	request := &structpb.Struct{}
	if err := decode(request); err != nil {
		return nil, err
	}
	call := func(ctx context.Context, request any) (any, error) {
		return service.(Server).Echo(ctx, request.(*structpb.Struct))
	}
	if interceptor == nil {
		return call(ctx, request)
	}
	return interceptor(ctx, request, &grpc.UnaryServerInfo{Server: service, FullMethod: FullMethod}, call)
}
