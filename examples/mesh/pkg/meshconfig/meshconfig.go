// Package meshconfig is the mesh's configuration: what users write as YAML,
// decoded strictly and checked as a whole.
package meshconfig

import (
	"fmt"
	"net/netip"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is the merged content of a configuration directory.
type Config struct {
	Listeners []Listener `yaml:"listeners"`
	Clusters  []Cluster  `yaml:"clusters"`
}

// Listener is a port on which a proxy accepts HTTP.
type Listener struct {
	Name     string    `yaml:"name"`
	Address  string    `yaml:"address"`
	Port     uint32    `yaml:"port"`
	ExtAuthz *ExtAuthz `yaml:"extAuthz"`
	Routes   []Route   `yaml:"routes"`

	source position
}

// ExtAuthz asks a gRPC authorization service about every request of a listener.
type ExtAuthz struct {
	Cluster  string   `yaml:"cluster"`
	Timeout  Duration `yaml:"timeout"`
	FailOpen bool     `yaml:"failOpen"`
}

// Route sends requests whose path starts with Prefix to a cluster. The first
// match in file order wins.
type Route struct {
	Prefix          string            `yaml:"prefix"`
	Cluster         string            `yaml:"cluster"`
	PrefixRewrite   string            `yaml:"prefixRewrite"`
	Timeout         Duration          `yaml:"timeout"`
	ResponseHeaders map[string]string `yaml:"responseHeaders"`
}

// Cluster is a named group of endpoints that speak one protocol.
type Cluster struct {
	Name           string     `yaml:"name"`
	Protocol       Protocol   `yaml:"protocol"`
	ConnectTimeout Duration   `yaml:"connectTimeout"`
	Endpoints      []Endpoint `yaml:"endpoints"`

	source position
}

// Static reports whether all endpoints are IP addresses, so that they need no
// DNS and can be sent over EDS.
func (c *Cluster) Static() bool {
	for _, endpoint := range c.Endpoints {
		if !endpoint.IsIP() {
			return false
		}
	}
	return true
}

// Protocol is what the endpoints of a cluster speak.
type Protocol string

// The protocols of a cluster; gRPC needs HTTP2.
const (
	HTTP1 Protocol = "http1"
	HTTP2 Protocol = "http2"
)

// Endpoint is one address of a cluster, written "host:port".
type Endpoint struct {
	Host string
	Port uint32
}

// IsIP reports whether the host is an IP address and not a DNS name.
func (e Endpoint) IsIP() bool {
	_, err := netip.ParseAddr(e.Host)
	return err == nil
}

// UnmarshalYAML parses "host:port", with IPv6 hosts in brackets.
func (e *Endpoint) UnmarshalYAML(node *yaml.Node) error {
	var text string
	if err := node.Decode(&text); err != nil {
		return err
	}
	endpoint, err := parseEndpoint(text)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*e = endpoint
	return nil
}

// Duration is a time.Duration written as in Go, for example "500ms".
type Duration time.Duration

// UnmarshalYAML parses a positive Go duration.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	var text string
	if err := node.Decode(&text); err != nil {
		return err
	}
	duration, err := time.ParseDuration(text)
	if err != nil || duration <= 0 {
		return fmt.Errorf("line %d: %q is not a positive duration such as 500ms or 15s", node.Line, text)
	}
	*d = Duration(duration)
	return nil
}

// position says where an object was written, for error messages.
type position struct {
	file string
	line int
}

func (p position) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }
