// Package server answers HTTP and gRPC requests with what it received.
package server

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const maxBody = 1 << 20

// Echo is what the server saw of an HTTP request.
type Echo struct {
	Hostname string              `json:"hostname"`
	Method   string              `json:"method"`
	Path     string              `json:"path"`
	Query    string              `json:"query,omitempty"`
	Protocol string              `json:"protocol"`
	Host     string              `json:"host"`
	Headers  map[string][]string `json:"headers"`
	Body     string              `json:"body,omitempty"`
}

// NewHTTPHandler echoes every request as text, or as JSON to clients that
// accept it. /healthz answers 200.
func NewHTTPHandler(hostname string, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		echo := Echo{
			Hostname: hostname, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
			Protocol: r.Proto, Host: r.Host, Headers: r.Header, Body: string(body),
		}
		if err := echo.write(w, strings.Contains(r.Header.Get("Accept"), "application/json")); err != nil {
			log.Warn("answer not written", "error", err)
		}
	})
	return mux
}

func (e Echo) write(w http.ResponseWriter, asJSON bool) error {
	if asJSON {
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(e)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	var text strings.Builder
	fmt.Fprintf(&text, "Hostname=%s\nMethod=%s\nPath=%s\nQuery=%s\nProtocol=%s\nHost=%s\n",
		e.Hostname, e.Method, e.Path, e.Query, e.Protocol, e.Host)
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		for _, value := range e.Headers[name] {
			fmt.Fprintf(&text, "Header=%s:%s\n", name, value)
		}
	}
	fmt.Fprintf(&text, "Body=%s\n", e.Body)
	_, err := io.WriteString(w, text.String())
	return err
}
