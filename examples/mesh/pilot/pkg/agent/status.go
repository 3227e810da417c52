package agent

import (
	"context"
	"fmt"
	"net/http"
)

type readiness interface {
	Ready(ctx context.Context) error
}

type drainer interface {
	Draining() bool
}

func newStatusHandler(proxy readiness, drain drainer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz/ready", func(w http.ResponseWriter, r *http.Request) {
		if drain.Draining() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		if err := proxy.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}
