// Package bootstrap renders the configuration that Envoy starts with.
package bootstrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"text/template"
)

// MetadataPrefix marks environment variables that become node metadata, as
// images of this field set them.
const MetadataPrefix = "ISTIO_META_"

// Values are what a template can use.
type Values struct {
	NodeID        string
	Cluster       string
	Metadata      map[string]string
	DiscoveryHost string
	DiscoveryPort uint16
	AdminAddress  string
	AdminPort     uint16
}

// Render executes a template and checks the result as far as this build can:
// see check.
func Render(text string, values Values) ([]byte, error) {
	parsed, err := template.New("bootstrap").
		Option("missingkey=error").
		Funcs(template.FuncMap{"json": encode}).
		Parse(text)
	if err != nil {
		return nil, fmt.Errorf("bootstrap template: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("bootstrap template: %w", err)
	}
	if err := check(out.Bytes()); err != nil {
		return nil, fmt.Errorf("rendered bootstrap: %w", err)
	}
	return out.Bytes(), nil
}

// SplitAddress parses the "host:port" of a control plane.
func SplitAddress(address string) (host string, port uint16, err error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%q is not an address such as pilot:15010", address)
	}
	number, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("%q: port must be between 1 and 65535", address)
	}
	return host, uint16(number), nil
}

// Metadata picks node metadata out of an environment.
func Metadata(environ []string) map[string]string {
	metadata := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if key, found := strings.CutPrefix(name, MetadataPrefix); found && key != "" {
			metadata[key] = value
		}
	}
	return metadata
}

func encode(value any) (string, error) {
	data, err := json.Marshal(value)
	return string(data), err
}
