package controlplane

import (
	"maps"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"example.com/mesh/pkg/meshconfig"
)

const defaultRouteTimeout = 15 * time.Second

func buildRoutes(l meshconfig.Listener) *routev3.RouteConfiguration {
	host := &routev3.VirtualHost{Name: l.Name, Domains: []string{"*"}}
	for _, route := range l.Routes {
		host.Routes = append(host.Routes, buildRoute(route))
	}
	return &routev3.RouteConfiguration{Name: l.Name, VirtualHosts: []*routev3.VirtualHost{host}}
}

func buildRoute(r meshconfig.Route) *routev3.Route {
	return &routev3.Route{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: r.Prefix}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: r.Cluster},
			PrefixRewrite:    r.PrefixRewrite,
			Timeout:          duration(r.Timeout, defaultRouteTimeout),
		}},
		ResponseHeadersToAdd: buildHeaders(r.ResponseHeaders),
	}
}

func buildHeaders(headers map[string]string) []*corev3.HeaderValueOption {
	var options []*corev3.HeaderValueOption
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		options = append(options, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: name, Value: headers[name]},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return options
}
