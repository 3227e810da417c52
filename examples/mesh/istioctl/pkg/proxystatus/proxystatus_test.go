package proxystatus

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/mesh/pkg/debugapi"
)

func TestPrint(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/syncz" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(debugapi.Sync{Version: "v2", Proxies: []debugapi.Proxy{{
			NodeID: "gateway-1", Cluster: "gateway",
			Types: map[string]debugapi.TypeStatus{
				"CDS": {Sent: "v2", Acked: "v2"},
				"LDS": {Sent: "v2", Acked: "v1", Nacked: "v2", Error: "bad"},
				"EDS": {},
				"RDS": {Sent: "v2", Acked: "v1"},
			},
		}}})
	}))
	defer server.Close()
	var out bytes.Buffer
	if err := Print(context.Background(), server.URL+"/", &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got, want := strings.Fields(lines[0]), "NAME CLUSTER CDS LDS EDS RDS VERSION"; strings.Join(got, " ") != want {
		t.Errorf("header = %v", got)
	}
	if got, want := strings.Fields(lines[1]), "gateway-1 gateway SYNCED REJECTED WAITING STALE v1"; strings.Join(got, " ") != want {
		t.Errorf("row = %v, want %s", got, want)
	}
}

func TestPrintFailsOnErrorStatus(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	err := Print(context.Background(), server.URL, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error = %v", err)
	}
}
