package controlplane

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"

	"example.com/mesh/pkg/debugapi"
)

var shortNames = map[string]string{
	resourcev3.ListenerType: "LDS",
	resourcev3.RouteType:    "RDS",
	resourcev3.ClusterType:  "CDS",
	resourcev3.EndpointType: "EDS",
}

// Tracker records what each connected proxy was sent, accepted and rejected.
// It follows state-of-the-world streams, the only kind that the mesh's
// bootstrap asks for.
type Tracker struct {
	serverv3.CallbackFuncs

	log     *slog.Logger
	mu      sync.Mutex
	streams map[int64]*debugapi.Proxy
}

// NewTracker returns a tracker without streams.
func NewTracker(log *slog.Logger) *Tracker {
	return &Tracker{log: log, streams: map[int64]*debugapi.Proxy{}}
}

// OnStreamOpen implements the callbacks of the xDS server.
func (t *Tracker) OnStreamOpen(_ context.Context, id int64, _ string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams[id] = &debugapi.Proxy{ConnectedAt: time.Now().UTC(), Types: map[string]debugapi.TypeStatus{}}
	return nil
}

// OnStreamClosed implements the callbacks of the xDS server.
func (t *Tracker) OnStreamClosed(id int64, _ *corev3.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if proxy := t.streams[id]; proxy != nil {
		t.log.Info("proxy disconnected", "node", proxy.NodeID)
	}
	delete(t.streams, id)
}

// OnStreamRequest implements the callbacks of the xDS server. A request that
// answers a response is an ACK, or a NACK if it carries an error.
func (t *Tracker) OnStreamRequest(id int64, request *discoveryv3.DiscoveryRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	proxy := t.streams[id]
	if proxy == nil {
		return nil
	}
	// Only the first request of a stream has to carry the node.
	if node := request.GetNode(); node != nil && proxy.NodeID == "" {
		proxy.NodeID, proxy.Cluster = node.GetId(), node.GetCluster()
		t.log.Info("proxy connected", "node", proxy.NodeID, "cluster", proxy.Cluster)
	}
	name := typeName(request.GetTypeUrl())
	status := proxy.Types[name]
	switch detail := request.GetErrorDetail(); {
	case detail != nil:
		status.Nacked, status.Error = status.Sent, detail.GetMessage()
		t.log.Warn("proxy rejected resources", "node", proxy.NodeID, "type", name, "version", status.Sent, "error", detail.GetMessage())
	case request.GetResponseNonce() != "":
		status.Acked = request.GetVersionInfo()
		if status.Acked == status.Sent {
			status.Nacked, status.Error = "", ""
		}
	}
	proxy.Types[name] = status
	return nil
}

// OnStreamResponse implements the callbacks of the xDS server.
func (t *Tracker) OnStreamResponse(_ context.Context, id int64, _ *discoveryv3.DiscoveryRequest, response *discoveryv3.DiscoveryResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	proxy := t.streams[id]
	if proxy == nil {
		return
	}
	name := typeName(response.GetTypeUrl())
	status := proxy.Types[name]
	status.Sent = response.GetVersionInfo()
	status.Updates++
	proxy.Types[name] = status
}

// Proxies returns the connected proxies, ordered by node id.
func (t *Tracker) Proxies() []debugapi.Proxy {
	t.mu.Lock()
	defer t.mu.Unlock()
	proxies := make([]debugapi.Proxy, 0, len(t.streams))
	for _, stream := range t.streams {
		proxy := *stream
		proxy.Types = maps.Clone(stream.Types)
		proxies = append(proxies, proxy)
	}
	slices.SortFunc(proxies, func(a, b debugapi.Proxy) int {
		return cmp.Or(cmp.Compare(a.NodeID, b.NodeID), a.ConnectedAt.Compare(b.ConnectedAt))
	})
	return proxies
}

func typeName(typeURL string) string {
	if name, known := shortNames[typeURL]; known {
		return name
	}
	return typeURL
}
