// Package debugapi is what pilot-discovery's debug endpoints answer: shared by
// the control plane that writes it and istioctl that reads it.
package debugapi

import (
	"encoding/json"
	"time"
)

// Config is the answer of /debug/configz.
type Config struct {
	// Version is that of the snapshot which proxies get now; empty before the
	// first one.
	Version string `json:"version"`
	// LastError says why the newest content of the directory is not served.
	LastError string                       `json:"lastError,omitempty"`
	LoadedAt  time.Time                    `json:"loadedAt,omitzero"`
	Resources map[string][]json.RawMessage `json:"resources"`
}

// Sync is the answer of /debug/syncz.
type Sync struct {
	Version string  `json:"version"`
	Proxies []Proxy `json:"proxies"`
}

// Proxy is one connected xDS stream.
type Proxy struct {
	NodeID      string    `json:"nodeId"`
	Cluster     string    `json:"cluster"`
	ConnectedAt time.Time `json:"connectedAt"`
	// Types has the keys LDS, RDS, CDS and EDS, as far as the proxy has asked.
	Types map[string]TypeStatus `json:"types"`
}

// TypeStatus is how far a proxy has got with one resource type.
type TypeStatus struct {
	Sent    string `json:"sent,omitempty"`
	Acked   string `json:"acked,omitempty"`
	Nacked  string `json:"nacked,omitempty"`
	Error   string `json:"error,omitempty"`
	Updates int    `json:"updates"`
}
