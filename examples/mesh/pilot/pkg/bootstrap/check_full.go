//go:build !agent

package bootstrap

import (
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	// Registers a type that bootstraps use inside google.protobuf.Any.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

// check decodes the bootstrap as Envoy's own message, so that a misspelt field
// is found without an Envoy.
func check(data []byte) error {
	return protojson.Unmarshal(data, &bootstrapv3.Bootstrap{})
}
