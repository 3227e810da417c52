package controlplane

import (
	"fmt"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"example.com/mesh/pkg/meshconfig"
)

const defaultAuthzTimeout = time.Second

func buildListener(l meshconfig.Listener) (*listenerv3.Listener, error) {
	filters, err := buildHTTPFilters(l)
	if err != nil {
		return nil, err
	}
	manager, err := pack(&hcmv3.HttpConnectionManager{
		StatPrefix: l.Name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource:    adsSource(),
			RouteConfigName: l.Name,
		}},
		HttpFilters: filters,
	})
	if err != nil {
		return nil, err
	}
	return &listenerv3.Listener{
		Name:    l.Name,
		Address: socketAddress(l.Address, l.Port),
		FilterChains: []*listenerv3.FilterChain{{
			Filters: []*listenerv3.Filter{{
				Name:       "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: manager},
			}},
		}},
	}, nil
}

func buildHTTPFilters(l meshconfig.Listener) ([]*hcmv3.HttpFilter, error) {
	var filters []*hcmv3.HttpFilter
	add := func(name string, config proto.Message) error {
		packed, err := pack(config)
		if err != nil {
			return fmt.Errorf("filter %s: %w", name, err)
		}
		filters = append(filters, &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}})
		return nil
	}
	if l.ExtAuthz != nil {
		if err := add("envoy.filters.http.ext_authz", buildExtAuthz(l.ExtAuthz)); err != nil {
			return nil, err
		}
	}
	// Envoy refuses a filter chain that does not end with the router.
	if err := add("envoy.filters.http.router", &routerv3.Router{}); err != nil {
		return nil, err
	}
	return filters, nil
}

func buildExtAuthz(authz *meshconfig.ExtAuthz) *extauthzv3.ExtAuthz {
	return &extauthzv3.ExtAuthz{
		TransportApiVersion: corev3.ApiVersion_V3,
		FailureModeAllow:    authz.FailOpen,
		Services: &extauthzv3.ExtAuthz_GrpcService{GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: authz.Cluster}},
			Timeout:         duration(authz.Timeout, defaultAuthzTimeout),
		}},
	}
}

// pack is anypb.New with bytes that are the same every time, since versions are
// hashes of them.
func pack(message proto.Message) (*anypb.Any, error) {
	packed := &anypb.Any{}
	err := anypb.MarshalFrom(packed, message, proto.MarshalOptions{Deterministic: true})
	return packed, err
}

func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func socketAddress(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func duration(set meshconfig.Duration, fallback time.Duration) *durationpb.Duration {
	if set == 0 {
		return durationpb.New(fallback)
	}
	return durationpb.New(time.Duration(set))
}
