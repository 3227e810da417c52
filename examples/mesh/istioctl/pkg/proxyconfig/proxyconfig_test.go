package proxyconfig

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const configDump = `{"configs": [
 {"static_clusters": [{"cluster": {"name": "xds", "type": "STRICT_DNS", "connect_timeout": "1s"}}],
  "dynamic_active_clusters": [{"cluster": {"name": "app", "type": "EDS", "connect_timeout": "2s"}}]},
 {"dynamic_listeners": [
  {"active_state": {"listener": {"name": "gateway", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 10000}},
   "filter_chains": [{"filters": [{"typed_config": {"rds": {"route_config_name": "gateway"}}}]}]}}},
  {"name": "warming"}]},
 {"dynamic_route_configs": [{"route_config": {"name": "gateway", "virtual_hosts": [{"domains": ["*"], "routes": [
   {"match": {"prefix": "/v2"}, "route": {"cluster": "app"}}, {"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}}]}
]}`

const clusters = `{"cluster_statuses": [{"name": "app", "host_statuses": [
 {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 8080}}, "health_status": {"eds_health_status": "HEALTHY"}}]}]}`

func newAdmin(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/config_dump", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(configDump)) })
	mux.HandleFunc("/clusters", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(clusters)) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTables(t *testing.T) {
	admin := newAdmin(t)
	for kind, want := range map[string][]string{
		"listeners": {"gateway 0.0.0.0 10000 gateway"},
		"routes":    {"gateway * /v2 app", "gateway * / app"},
		"clusters":  {"xds STRICT_DNS 1s", "app EDS 2s"},
		"endpoints": {"10.0.0.1:8080 HEALTHY app"},
	} {
		var out bytes.Buffer
		if err := Print(context.Background(), kind, admin, "table", &out); err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
		for i, line := range lines {
			lines[i] = strings.Join(strings.Fields(line), " ")
		}
		if strings.Join(lines, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, want %q", kind, lines, want)
		}
	}
}

func TestJSON(t *testing.T) {
	admin := newAdmin(t)
	var out bytes.Buffer
	if err := Print(context.Background(), "clusters", admin, "json", &out); err != nil {
		t.Fatal(err)
	}
	var got []struct{ Name string }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != 2 || got[1].Name != "app" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	admin := newAdmin(t)
	for name, err := range map[string]error{
		"kind":   Print(context.Background(), "secrets", admin, "table", &bytes.Buffer{}),
		"format": Print(context.Background(), "routes", admin, "yaml", &bytes.Buffer{}),
		"admin":  Print(context.Background(), "routes", "http://127.0.0.1:1", "table", &bytes.Buffer{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
