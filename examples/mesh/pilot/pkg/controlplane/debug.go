package controlplane

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"example.com/mesh/pkg/debugapi"
)

// NewDebugHandler serves readiness and the debug endpoints.
func NewDebugHandler(store *Store, tracker *Tracker, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if store.Version() == "" {
			http.Error(w, "no snapshot yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /debug/configz", func(w http.ResponseWriter, _ *http.Request) {
		config, err := store.debugConfig()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, config, log)
	})
	mux.HandleFunc("GET /debug/syncz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, debugapi.Sync{Version: store.Version(), Proxies: tracker.Proxies()}, log)
	})
	return mux
}

func (s *Store) debugConfig() (*debugapi.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	config := &debugapi.Config{Version: s.version, LastError: s.lastErr, LoadedAt: s.loadedAt, Resources: map[string][]json.RawMessage{}}
	if s.version == "" {
		return config, nil
	}
	snapshot, err := s.cache.GetSnapshot(meshNode)
	if err != nil {
		return nil, err
	}
	for plural, typeURL := range map[string]string{
		"listeners": resourcev3.ListenerType, "routes": resourcev3.RouteType,
		"clusters": resourcev3.ClusterType, "endpoints": resourcev3.EndpointType,
	} {
		resources := snapshot.GetResources(typeURL)
		shown := make([]json.RawMessage, 0, len(resources))
		for _, name := range slices.Sorted(maps.Keys(resources)) {
			data, err := protojson.Marshal(resources[name])
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", plural, name, err)
			}
			shown = append(shown, data)
		}
		config.Resources[plural] = shown
	}
	return config, nil
}

func writeJSON(w http.ResponseWriter, value any, log *slog.Logger) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		log.Warn("debug answer not written", "error", err)
	}
}
