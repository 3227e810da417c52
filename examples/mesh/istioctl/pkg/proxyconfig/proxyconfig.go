// Package proxyconfig shows what an Envoy runs with, as its admin interface
// tells it.
package proxyconfig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"example.com/mesh/istioctl/pkg/fetch"
	"example.com/mesh/istioctl/pkg/table"
)

// view is one kind of configuration: the resources found in Envoy's answer and
// how they look as rows.
type view struct {
	path   string
	header []string
	// find returns the resources inside the answer.
	find func(answer json.RawMessage) ([]json.RawMessage, error)
	rows func(resource json.RawMessage) ([][]string, error)
}

var views = map[string]view{
	"listeners": {"/config_dump", []string{"NAME", "ADDRESS", "PORT", "ROUTES"}, findListeners, listenerRows},
	"routes":    {"/config_dump", []string{"NAME", "DOMAINS", "PREFIX", "CLUSTER"}, findRoutes, routeRows},
	"clusters":  {"/config_dump", []string{"NAME", "TYPE", "CONNECT TIMEOUT"}, findClusters, clusterRows},
	// The dump knows no endpoints found by DNS; this answer has all of them,
	// with their health.
	"endpoints": {"/clusters?format=json", []string{"ENDPOINT", "HEALTH", "CLUSTER"}, findEndpoints, endpointRows},
}

// Kinds returns the names that Print knows.
func Kinds() []string { return slices.Sorted(maps.Keys(views)) }

// Print writes one kind of configuration as "table" or "json".
func Print(ctx context.Context, kind, admin, format string, out io.Writer) error {
	selected, known := views[kind]
	if !known {
		return fmt.Errorf("unknown kind %q: want one of %s", kind, strings.Join(Kinds(), ", "))
	}
	if format != "table" && format != "json" {
		return fmt.Errorf("unknown output format %q: want table or json", format)
	}
	var answer json.RawMessage
	if err := fetch.JSON(ctx, admin, selected.path, &answer); err != nil {
		return err
	}
	resources, err := selected.find(answer)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	if format == "json" {
		return writeJSON(out, resources)
	}
	result := table.Table{Header: selected.header}
	for _, resource := range resources {
		rows, err := selected.rows(resource)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		result.Rows = append(result.Rows, rows...)
	}
	return result.Write(out)
}

func writeJSON(out io.Writer, resources []json.RawMessage) error {
	if resources == nil {
		resources = []json.RawMessage{}
	}
	data, err := json.Marshal(resources)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, indented.String())
	return err
}
