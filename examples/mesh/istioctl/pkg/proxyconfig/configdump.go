package proxyconfig

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// dump is the part of /config_dump that is of interest. Envoy's API is decoded
// by hand: its Go types would reject extensions that istioctl does not link.
type dump struct {
	Configs []struct {
		DynamicListeners []struct {
			ActiveState struct {
				Listener json.RawMessage `json:"listener"`
			} `json:"active_state"`
		} `json:"dynamic_listeners"`
		DynamicRouteConfigs []struct {
			RouteConfig json.RawMessage `json:"route_config"`
		} `json:"dynamic_route_configs"`
		StaticClusters        []dumpCluster `json:"static_clusters"`
		DynamicActiveClusters []dumpCluster `json:"dynamic_active_clusters"`
	} `json:"configs"`
}

type dumpCluster struct {
	Cluster json.RawMessage `json:"cluster"`
}

type address struct {
	SocketAddress struct {
		Address   string `json:"address"`
		PortValue int    `json:"port_value"`
	} `json:"socket_address"`
}

func findListeners(answer json.RawMessage) (found []json.RawMessage, err error) {
	var parsed dump
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, err
	}
	for _, config := range parsed.Configs {
		for _, listener := range config.DynamicListeners {
			// A listener that is still warming has no active state.
			if listener.ActiveState.Listener != nil {
				found = append(found, listener.ActiveState.Listener)
			}
		}
	}
	return found, nil
}

func findRoutes(answer json.RawMessage) (found []json.RawMessage, err error) {
	var parsed dump
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, err
	}
	for _, config := range parsed.Configs {
		for _, route := range config.DynamicRouteConfigs {
			found = append(found, route.RouteConfig)
		}
	}
	return found, nil
}

func findClusters(answer json.RawMessage) (found []json.RawMessage, err error) {
	var parsed dump
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, err
	}
	for _, config := range parsed.Configs {
		for _, cluster := range append(config.StaticClusters, config.DynamicActiveClusters...) {
			found = append(found, cluster.Cluster)
		}
	}
	return found, nil
}

func findEndpoints(answer json.RawMessage) ([]json.RawMessage, error) {
	var parsed struct {
		ClusterStatuses []json.RawMessage `json:"cluster_statuses"`
	}
	err := json.Unmarshal(answer, &parsed)
	return parsed.ClusterStatuses, err
}

func listenerRows(resource json.RawMessage) ([][]string, error) {
	var listener struct {
		Name         string  `json:"name"`
		Address      address `json:"address"`
		FilterChains []struct {
			Filters []struct {
				TypedConfig struct {
					Rds struct {
						RouteConfigName string `json:"route_config_name"`
					} `json:"rds"`
				} `json:"typed_config"`
			} `json:"filters"`
		} `json:"filter_chains"`
	}
	if err := json.Unmarshal(resource, &listener); err != nil {
		return nil, err
	}
	var routes []string
	for _, chain := range listener.FilterChains {
		for _, filter := range chain.Filters {
			if name := filter.TypedConfig.Rds.RouteConfigName; name != "" {
				routes = append(routes, name)
			}
		}
	}
	socket := listener.Address.SocketAddress
	return [][]string{{listener.Name, socket.Address, strconv.Itoa(socket.PortValue), strings.Join(routes, ",")}}, nil
}

func routeRows(resource json.RawMessage) (rows [][]string, err error) {
	var config struct {
		Name         string `json:"name"`
		VirtualHosts []struct {
			Domains []string `json:"domains"`
			Routes  []struct {
				Match struct {
					Prefix string `json:"prefix"`
				} `json:"match"`
				Route struct {
					Cluster string `json:"cluster"`
				} `json:"route"`
			} `json:"routes"`
		} `json:"virtual_hosts"`
	}
	if err := json.Unmarshal(resource, &config); err != nil {
		return nil, err
	}
	for _, host := range config.VirtualHosts {
		for _, route := range host.Routes {
			rows = append(rows, []string{config.Name, strings.Join(host.Domains, ","), route.Match.Prefix, route.Route.Cluster})
		}
	}
	return rows, nil
}

func clusterRows(resource json.RawMessage) ([][]string, error) {
	var cluster struct {
		Name           string `json:"name"`
		Type           string `json:"type"`
		ConnectTimeout string `json:"connect_timeout"`
	}
	err := json.Unmarshal(resource, &cluster)
	return [][]string{{cluster.Name, cluster.Type, cluster.ConnectTimeout}}, err
}

func endpointRows(resource json.RawMessage) (rows [][]string, err error) {
	var cluster struct {
		Name         string `json:"name"`
		HostStatuses []struct {
			Address      address        `json:"address"`
			HealthStatus map[string]any `json:"health_status"`
		} `json:"host_statuses"`
	}
	if err := json.Unmarshal(resource, &cluster); err != nil {
		return nil, err
	}
	for _, host := range cluster.HostStatuses {
		socket := host.Address.SocketAddress
		health, _ := host.HealthStatus["eds_health_status"].(string)
		rows = append(rows, []string{fmt.Sprintf("%s:%d", socket.Address, socket.PortValue), health, cluster.Name})
	}
	return rows, nil
}
