package manifest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"example.com/mesh/pkg/meshconfig"
)

func values() Values {
	return Values{Hub: "localhost:5000/mesh", Tag: "0.1.0", Namespace: "mesh-system", Replicas: 2}
}

func TestRenderIsYAMLWithTheValues(t *testing.T) {
	var out bytes.Buffer
	if err := Render(&out, values()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `image: "localhost:5000/mesh/pilot:0.1.0"`) {
		t.Errorf("image missing:\n%s", &out)
	}
	var kinds []string
	decoder := yaml.NewDecoder(&out)
	for {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Data     map[string]string
		}
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, object.Kind)
		if object.Kind != "Namespace" && object.Metadata.Namespace != "mesh-system" {
			t.Errorf("%s is in namespace %q", object.Kind, object.Metadata.Namespace)
		}
		for name, text := range object.Data {
			if _, err := meshconfig.Parse([]meshconfig.File{{Name: name, Data: []byte(text)}}); err != nil {
				t.Errorf("the control plane would refuse its first configuration: %v", err)
			}
		}
	}
	if got := strings.Join(kinds, " "); got != "Namespace ServiceAccount ConfigMap Service Deployment" {
		t.Errorf("kinds = %s", got)
	}
}

func TestRenderRefusesBadValues(t *testing.T) {
	for want, change := range map[string]func(*Values){
		"pass --hub":               func(v *Values) { v.Hub = "unknown" },
		"pass --tag":               func(v *Values) { v.Tag = "unknown" },
		"is not a valid tag":       func(v *Values) { v.Tag = "a\"\n" },
		"is not a valid hub":       func(v *Values) { v.Hub = "HUB/" },
		"is not a valid namespace": func(v *Values) { v.Namespace = "a: b" },
	} {
		bad := values()
		change(&bad)
		if err := Render(io.Discard, bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}
