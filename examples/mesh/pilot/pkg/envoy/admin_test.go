package envoy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReady(t *testing.T) {
	for name, test := range map[string]struct {
		live     int
		cds, lds int
		ready    bool
	}{
		"live with resources":    {http.StatusOK, 1, 2, true},
		"initializing":           {http.StatusServiceUnavailable, 1, 1, false},
		"live without clusters":  {http.StatusOK, 0, 1, false},
		"live without listeners": {http.StatusOK, 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.live) })
			mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"stats":[{"name":%q,"value":%d},{"name":%q,"value":%d}]}`, ClusterUpdates, test.cds, ListenerUpdates, test.lds)
			})
			server := httptest.NewServer(mux)
			defer server.Close()
			err := (&Admin{URL: server.URL, Client: server.Client()}).Ready(context.Background())
			if (err == nil) != test.ready {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestDrainListeners(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Method + " " + r.URL.String() }))
	defer server.Close()
	if err := (&Admin{URL: server.URL, Client: server.Client()}).DrainListeners(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := "POST /drain_listeners?graceful"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
