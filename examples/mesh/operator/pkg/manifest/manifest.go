// Package manifest renders the Kubernetes manifests of the control plane.
package manifest

import (
	_ "embed" // for the template
	"fmt"
	"io"
	"regexp"
	"text/template"

	"example.com/mesh/pkg/version"
)

//go:embed controlplane.yaml
var controlPlane string

var (
	hubPattern       = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	tagPattern       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	namespacePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// Values are what a user can choose.
type Values struct {
	Hub       string
	Tag       string
	Namespace string
	Replicas  uint
}

// Render writes the manifests. Values are checked against their syntax first,
// so that none can change the structure of the YAML.
func Render(out io.Writer, values Values) error {
	for _, field := range []struct {
		flag, value string
		pattern     *regexp.Regexp
	}{
		{"hub", values.Hub, hubPattern},
		{"tag", values.Tag, tagPattern},
		{"namespace", values.Namespace, namespacePattern},
	} {
		if field.value == version.Unknown {
			return fmt.Errorf("this build has no %s stamped in: pass --%s", field.flag, field.flag)
		}
		if !field.pattern.MatchString(field.value) {
			return fmt.Errorf("%q is not a valid %s", field.value, field.flag)
		}
	}
	parsed, err := template.New("controlplane").Parse(controlPlane)
	if err != nil {
		return fmt.Errorf("manifest template: %w", err)
	}
	return parsed.Execute(out, values)
}
