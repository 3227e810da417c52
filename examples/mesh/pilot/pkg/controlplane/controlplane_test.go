package controlplane

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/mesh/pkg/debugapi"
	"example.com/mesh/pkg/lifecycle"
)

const gateway = `
listeners:
  - name: gateway
    port: 10000
    extAuthz: {cluster: authz}
    routes:
      - {prefix: /, cluster: app}
clusters:
  - {name: app, endpoints: ["127.0.0.1:8080"]}
  - {name: authz, protocol: http2, endpoints: ["authz:9000"]}
`

// plane is a running control plane.
type plane struct {
	dir, xds, http string
}

func start(t *testing.T) *plane {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	grpcListener, err := lifecycle.Listen(ctx, "xDS", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	httpListener, err := lifecycle.Listen(ctx, "debug", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{dir: t.TempDir(), xds: grpcListener.Addr().String(), http: "http://" + httpListener.Addr().String()}
	server := &Server{ConfigDir: p.dir, GRPC: grpcListener, HTTP: httpListener, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

// write replaces the configuration the way careful tools do.
func (p *plane) write(t *testing.T, text string) {
	t.Helper()
	temporary := filepath.Join(p.dir, ".mesh.yaml")
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, filepath.Join(p.dir, "mesh.yaml")); err != nil {
		t.Fatal(err)
	}
}

func (p *plane) get(t *testing.T, path string, into any) int {
	t.Helper()
	response, err := http.Get(p.http + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if into != nil {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// proxy is a minimal xDS client.
type proxy struct {
	t      *testing.T
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
}

func connect(t *testing.T, address string) *proxy {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = conn.Close() })
	return &proxy{t: t, stream: stream}
}

func (p *proxy) send(request *discoveryv3.DiscoveryRequest) {
	p.t.Helper()
	request.Node = &corev3.Node{Id: "gateway-1", Cluster: "gateway"}
	if err := p.stream.Send(request); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) receive() *discoveryv3.DiscoveryResponse {
	p.t.Helper()
	response, err := p.stream.Recv()
	if err != nil {
		p.t.Fatal(err)
	}
	return response
}

func (p *proxy) ack(response *discoveryv3.DiscoveryResponse, names ...string) {
	p.t.Helper()
	p.send(&discoveryv3.DiscoveryRequest{
		TypeUrl: response.TypeUrl, VersionInfo: response.VersionInfo, ResponseNonce: response.Nonce, ResourceNames: names,
	})
}

func (p *proxy) nack(response *discoveryv3.DiscoveryResponse, accepted, message string) {
	p.t.Helper()
	p.send(&discoveryv3.DiscoveryRequest{
		TypeUrl: response.TypeUrl, VersionInfo: accepted, ResponseNonce: response.Nonce,
		ErrorDetail: &status.Status{Code: int32(codes.InvalidArgument), Message: message},
	})
}

func (p *plane) typeStatus(t *testing.T, name string) debugapi.TypeStatus {
	var sync debugapi.Sync
	p.get(t, "/debug/syncz", &sync)
	if len(sync.Proxies) != 1 {
		return debugapi.TypeStatus{}
	}
	if got := sync.Proxies[0]; got.NodeID != "gateway-1" || got.Cluster != "gateway" {
		t.Errorf("proxy = %+v", got)
	}
	return sync.Proxies[0].Types[name]
}

func TestProxyGetsAllTypesAndUpdates(t *testing.T) {
	p := start(t)
	if code := p.get(t, "/ready", nil); code != http.StatusServiceUnavailable {
		t.Errorf("ready before the first snapshot: %d", code)
	}
	p.write(t, gateway)
	eventually(t, "ready", func() bool { return p.get(t, "/ready", nil) == http.StatusOK })

	client := connect(t, p.xds)
	versions := map[string]string{}
	for _, request := range []struct {
		typeURL string
		names   []string
		want    int
	}{
		{resourcev3.ClusterType, nil, 2},
		{resourcev3.EndpointType, []string{"app"}, 1},
		{resourcev3.ListenerType, nil, 1},
		{resourcev3.RouteType, []string{"gateway"}, 1},
	} {
		client.send(&discoveryv3.DiscoveryRequest{TypeUrl: request.typeURL, ResourceNames: request.names})
		response := client.receive()
		if response.TypeUrl != request.typeURL || len(response.Resources) != request.want {
			t.Errorf("%s: got %d of %s, want %d", request.typeURL, len(response.Resources), response.TypeUrl, request.want)
		}
		versions[request.typeURL] = response.VersionInfo
		client.ack(response, request.names...)
	}
	eventually(t, "ACK recorded", func() bool {
		return p.typeStatus(t, "RDS").Acked == versions[resourcev3.RouteType]
	})

	p.write(t, strings.Replace(gateway, "- {prefix: /, ", "- {prefix: /v2, cluster: app, responseHeaders: {x-mesh-config: v2}}\n      - {prefix: /, ", 1))
	for range 4 {
		response := client.receive()
		if response.VersionInfo == versions[response.TypeUrl] {
			t.Errorf("%s: version did not change", response.TypeUrl)
		}
		if response.TypeUrl == resourcev3.RouteType {
			var routes routev3.RouteConfiguration
			if err := response.Resources[0].UnmarshalTo(&routes); err != nil {
				t.Fatal(err)
			}
			if got := len(routes.VirtualHosts[0].Routes); got != 2 {
				t.Errorf("%d routes, want 2", got)
			}
		}
	}
}

func TestNackIsRecordedUntilTheNextAck(t *testing.T) {
	p := start(t)
	p.write(t, gateway)
	eventually(t, "ready", func() bool { return p.get(t, "/ready", nil) == http.StatusOK })
	client := connect(t, p.xds)
	client.send(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.ListenerType})
	first := client.receive()
	client.ack(first)

	p.write(t, strings.Replace(gateway, "10000", "10001", 1))
	second := client.receive()
	client.nack(second, first.VersionInfo, "port is taken")
	eventually(t, "NACK recorded", func() bool { return p.typeStatus(t, "LDS").Nacked != "" })
	if got := p.typeStatus(t, "LDS"); got.Acked != first.VersionInfo || got.Nacked != second.VersionInfo || got.Error != "port is taken" {
		t.Errorf("status = %+v", got)
	}

	p.write(t, strings.Replace(gateway, "10000", "10002", 1))
	third := client.receive()
	client.ack(third)
	eventually(t, "NACK forgotten", func() bool { return p.typeStatus(t, "LDS").Nacked == "" })
	if got := p.typeStatus(t, "LDS"); got.Acked != third.VersionInfo || got.Updates != 3 {
		t.Errorf("status = %+v", got)
	}
}

func TestBrokenConfigurationKeepsTheLastGoodOne(t *testing.T) {
	p := start(t)
	p.write(t, gateway)
	config := func() (config debugapi.Config) { p.get(t, "/debug/configz", &config); return config }
	eventually(t, "first version", func() bool { return config().Version != "" })
	good := config()
	if len(good.Resources["clusters"]) != 2 || len(good.Resources["listeners"]) != 1 {
		t.Errorf("resources = %v", good.Resources)
	}

	p.write(t, strings.Replace(gateway, "cluster: app}", "cluster: nobody}", 1))
	eventually(t, "error shown", func() bool { return strings.Contains(config().LastError, `cluster "nobody" does not exist`) })
	if got := config().Version; got != good.Version {
		t.Errorf("version = %s, want %s", got, good.Version)
	}
	if code := p.get(t, "/ready", nil); code != http.StatusOK {
		t.Errorf("not ready any more: %d", code)
	}

	// The same content, written differently, is the same version.
	p.write(t, "# a comment\n"+gateway)
	eventually(t, "error gone", func() bool { return config().LastError == "" })
	if got := config().Version; got != good.Version {
		t.Errorf("version = %s, want %s", got, good.Version)
	}
}

func TestEmptyConfigurationIsServed(t *testing.T) {
	p := start(t)
	p.write(t, "listeners: []\nclusters: []\n")
	eventually(t, "ready", func() bool { return p.get(t, "/ready", nil) == http.StatusOK })
	client := connect(t, p.xds)
	client.send(&discoveryv3.DiscoveryRequest{TypeUrl: resourcev3.ListenerType})
	if response := client.receive(); len(response.Resources) != 0 || response.VersionInfo == "" {
		t.Errorf("response = %v", response)
	}
}
