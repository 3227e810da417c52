// Package docker embeds what the proxy's image also carries as a file.
package docker

import _ "embed" // for the directive below

//go:embed envoy_bootstrap.json
var bootstrapTemplate string

// BootstrapTemplate returns the text/template of Envoy's bootstrap.
func BootstrapTemplate() string { return bootstrapTemplate }
