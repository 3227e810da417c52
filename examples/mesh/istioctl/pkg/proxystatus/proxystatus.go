// Package proxystatus shows how far each proxy is behind the control plane.
package proxystatus

import (
	"context"
	"io"

	"example.com/mesh/istioctl/pkg/fetch"
	"example.com/mesh/istioctl/pkg/table"
	"example.com/mesh/pkg/debugapi"
)

// States of a resource type at a proxy.
const (
	Synced   = "SYNCED"
	Stale    = "STALE"
	Rejected = "REJECTED"
	Waiting  = "WAITING"
)

var types = []string{"CDS", "LDS", "EDS", "RDS"}

// Print asks pilot-discovery at its debug URL and writes a table.
func Print(ctx context.Context, discovery string, out io.Writer) error {
	var sync debugapi.Sync
	if err := fetch.JSON(ctx, discovery, "/debug/syncz", &sync); err != nil {
		return err
	}
	result := table.Table{Header: append([]string{"NAME", "CLUSTER"}, append(types, "VERSION")...)}
	for _, proxy := range sync.Proxies {
		row := []string{proxy.NodeID, proxy.Cluster}
		for _, name := range types {
			status, asked := proxy.Types[name]
			row = append(row, state(sync.Version, status, asked))
		}
		result.Rows = append(result.Rows, append(row, proxy.Types["LDS"].Acked))
	}
	return result.Write(out)
}

// state is empty for a type that the proxy never asked for.
func state(version string, status debugapi.TypeStatus, asked bool) string {
	switch {
	case !asked:
		return ""
	case status.Sent == "":
		return Waiting
	case status.Nacked != "":
		return Rejected
	case status.Acked == version:
		return Synced
	default:
		return Stale
	}
}
