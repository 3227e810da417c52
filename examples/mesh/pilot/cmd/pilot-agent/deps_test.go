package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The tag "agent" is there to keep Envoy's API and protobuf out of the
// agent; nothing else may differ.
func TestAgentTagLeavesOutEnvoyAPI(t *testing.T) {
	full, agent := deps(t, ""), deps(t, "agent")
	for _, added := range subtract(agent, full) {
		t.Errorf("%s is linked only with the tag", added)
	}
	removed := subtract(full, agent)
	for _, want := range []string{
		"github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3",
		"github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3",
		"google.golang.org/protobuf/encoding/protojson",
	} {
		if !slices.Contains(removed, want) {
			t.Errorf("%s is not left out by the tag", want)
		}
	}
	for _, path := range agent {
		for _, heavy := range []string{"github.com/envoyproxy/", "google.golang.org/"} {
			if strings.HasPrefix(path, heavy) {
				t.Errorf("the agent links %s", path)
			}
		}
	}
}

func deps(t *testing.T, tags string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-tags", tags, ".").Output()
	if err != nil {
		t.Fatalf("go list -tags %q: %v", tags, err)
	}
	return strings.Fields(string(out))
}

func subtract(from, what []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(path string) bool { return slices.Contains(what, path) })
}
