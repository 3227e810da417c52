package controlplane

import (
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"example.com/mesh/pkg/meshconfig"
)

const (
	defaultConnectTimeout = 2 * time.Second
	httpProtocolOptions   = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

func buildCluster(c meshconfig.Cluster) (*clusterv3.Cluster, error) {
	cluster := &clusterv3.Cluster{
		Name:           c.Name,
		ConnectTimeout: duration(c.ConnectTimeout, defaultConnectTimeout),
	}
	if c.Static() {
		cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		cluster.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: adsSource()}
	} else {
		cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
		cluster.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
		cluster.LoadAssignment = buildEndpoints(c)
	}
	if c.Protocol == meshconfig.HTTP2 {
		options, err := http2Options()
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
		}
		cluster.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpProtocolOptions: options}
	}
	return cluster, nil
}

func http2Options() (*anypb.Any, error) {
	return pack(&upstreamhttpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		},
	})
}

func buildEndpoints(c meshconfig.Cluster) *endpointv3.ClusterLoadAssignment {
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, endpoint := range c.Endpoints {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: socketAddress(endpoint.Host, endpoint.Port),
			}},
		})
	}
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: c.Name,
		Endpoints:   []*endpointv3.LocalityLbEndpoints{locality},
	}
}
