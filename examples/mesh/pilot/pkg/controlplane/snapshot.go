// Package controlplane turns the mesh's configuration into xDS resources and
// serves them to proxies.
package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"example.com/mesh/pkg/meshconfig"
)

// typeURLs lists the resource types the mesh serves, in the order in which
// they are hashed and shown.
var typeURLs = []string{resourcev3.ListenerType, resourcev3.RouteType, resourcev3.ClusterType, resourcev3.EndpointType}

// newSnapshot builds all resources of a configuration. Its version is a hash
// of their content and the same for all types: a restarted control plane gives
// the same version, and a proxy that warms a changed cluster always finds a
// newer version of its endpoints too.
func newSnapshot(config *meshconfig.Config) (*cachev3.Snapshot, string, error) {
	resources := map[string][]types.Resource{}
	// A type without an entry has no version, and proxies that ask for it
	// would wait for ever.
	for _, typeURL := range typeURLs {
		resources[typeURL] = nil
	}
	for _, listener := range config.Listeners {
		built, err := buildListener(listener)
		if err != nil {
			return nil, "", fmt.Errorf("listener %s: %w", listener.Name, err)
		}
		resources[resourcev3.ListenerType] = append(resources[resourcev3.ListenerType], built)
		resources[resourcev3.RouteType] = append(resources[resourcev3.RouteType], buildRoutes(listener))
	}
	for _, cluster := range config.Clusters {
		built, err := buildCluster(cluster)
		if err != nil {
			return nil, "", err
		}
		resources[resourcev3.ClusterType] = append(resources[resourcev3.ClusterType], built)
		if cluster.Static() {
			resources[resourcev3.EndpointType] = append(resources[resourcev3.EndpointType], buildEndpoints(cluster))
		}
	}
	version, err := hashResources(resources)
	if err != nil {
		return nil, "", err
	}
	snapshot, err := cachev3.NewSnapshot(version, resources)
	if err != nil {
		return nil, "", err
	}
	if err := snapshot.Consistent(); err != nil {
		return nil, "", fmt.Errorf("inconsistent snapshot: %w", err)
	}
	return snapshot, version, nil
}

func hashResources(resources map[string][]types.Resource) (string, error) {
	hash := sha256.New()
	for _, typeURL := range typeURLs {
		sorted := slices.SortedFunc(slices.Values(resources[typeURL]), func(a, b types.Resource) int {
			return strings.Compare(cachev3.GetResourceName(a), cachev3.GetResourceName(b))
		})
		for _, resource := range sorted {
			data, err := proto.MarshalOptions{Deterministic: true}.Marshal(resource)
			if err != nil {
				return "", fmt.Errorf("marshal %s: %w", cachev3.GetResourceName(resource), err)
			}
			fmt.Fprintf(hash, "%s %d\n", typeURL, len(data))
			hash.Write(data)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))[:12], nil
}
