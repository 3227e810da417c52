// Package envoy starts, supervises and drains an Envoy process.
package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Stats that count accepted updates of clusters and listeners.
const (
	ClusterUpdates  = "cluster_manager.cds.update_success"
	ListenerUpdates = "listener_manager.lds.update_success"
)

// Admin talks to an Envoy's admin interface.
type Admin struct {
	// URL is the base, for example http://127.0.0.1:15000.
	URL    string
	Client *http.Client
}

// Ready returns nil if Envoy is live and has accepted clusters and listeners
// at least once. Envoy alone also calls itself live after it gave up waiting
// for them.
func (a *Admin) Ready(ctx context.Context) error {
	if _, err := a.do(ctx, http.MethodGet, "/ready"); err != nil {
		return err
	}
	updates, err := a.counters(ctx, `^(cluster_manager\.cds|listener_manager\.lds)\.update_success$`)
	if err != nil {
		return err
	}
	for _, name := range []string{ClusterUpdates, ListenerUpdates} {
		if updates[name] == 0 {
			return fmt.Errorf("no update accepted yet: %s is 0", name)
		}
	}
	return nil
}

// DrainListeners asks Envoy to close its listeners gracefully.
func (a *Admin) DrainListeners(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodPost, "/drain_listeners?graceful")
	return err
}

func (a *Admin) counters(ctx context.Context, filter string) (map[string]uint64, error) {
	body, err := a.do(ctx, http.MethodGet, "/stats?format=json&type=Counters&filter="+url.QueryEscape(filter))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Stats []struct {
			Name  string `json:"name"`
			Value uint64 `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("Envoy's stats: %w", err)
	}
	counters := map[string]uint64{}
	for _, stat := range answer.Stats {
		counters[stat.Name] = stat.Value
	}
	return counters, nil
}

func (a *Admin) do(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.URL+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := a.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("Envoy's admin interface: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("Envoy's admin interface: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("Envoy's admin interface: %s %s: %s", method, path, response.Status)
	}
	return body, nil
}
