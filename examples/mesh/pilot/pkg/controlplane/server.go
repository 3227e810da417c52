package controlplane

import (
	"context"
	"log/slog"
	"net"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"example.com/mesh/pkg/configwatch"
	"example.com/mesh/pkg/grpcserve"
	"example.com/mesh/pkg/lifecycle"
)

const (
	debounce = 200 * time.Millisecond
	resync   = 2 * time.Second
	grace    = 3 * time.Second
)

// Server is a control plane on two listeners that are already open.
type Server struct {
	ConfigDir string
	GRPC      net.Listener
	HTTP      net.Listener
	Log       *slog.Logger
}

// Run serves until the context is done.
func (s *Server) Run(ctx context.Context) error {
	store, tracker := NewStore(s.ConfigDir, s.Log), NewTracker(s.Log)
	watcher := &configwatch.Watcher{Dir: s.ConfigDir, Debounce: debounce, Resync: resync, Log: s.Log}
	return lifecycle.Run(ctx,
		func(ctx context.Context) error {
			return watcher.Run(ctx, func() { store.Reload(ctx) })
		},
		func(ctx context.Context) error {
			return grpcserve.Task(s.GRPC, newGRPCServer(ctx, store, tracker), grace)(ctx)
		},
		lifecycle.ServeHTTP(s.HTTP, NewDebugHandler(store, tracker, s.Log), grace),
	)
}

// newGRPCServer serves ADS alone: one stream per proxy keeps the types in
// order.
func newGRPCServer(ctx context.Context, store *Store, tracker *Tracker) *grpc.Server {
	server := grpc.NewServer(
		// A proxy whose host vanished must not stay in /debug/syncz.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, serverv3.NewServer(ctx, store.cache, tracker))
	return server
}
