package bootstrap

import (
	"flag"
	"maps"
	"os"
	"testing"

	"example.com/mesh/pilot/docker"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func values() Values {
	return Values{
		NodeID: `gate"way`, Cluster: "edge", Metadata: map[string]string{"ISTIO_VERSION": "0.1.0"},
		DiscoveryHost: "pilot", DiscoveryPort: 15010, AdminAddress: "127.0.0.1", AdminPort: 15000,
	}
}

func TestRenderGolden(t *testing.T) {
	const golden = "testdata/bootstrap.golden.json"
	got, err := Render(docker.BootstrapTemplate(), values())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("differs from %s; run with -update and look at the diff\n%s", golden, got)
	}
}

func TestRenderErrors(t *testing.T) {
	for name, text := range map[string]string{
		"template syntax": `{{ .NodeID`,
		"unknown value":   `{"node": {"id": {{ json .Nobody }}}}`,
		"not JSON":        `{"node": }`,
	} {
		if _, err := Render(text, values()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSplitAddress(t *testing.T) {
	if host, port, err := SplitAddress("[::1]:15010"); err != nil || host != "::1" || port != 15010 {
		t.Errorf("got %q %d %v", host, port, err)
	}
	for _, bad := range []string{"", "pilot", ":15010", "pilot:0", "pilot:70000", "pilot:http"} {
		if _, _, err := SplitAddress(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestMetadata(t *testing.T) {
	got := Metadata([]string{"ISTIO_META_ISTIO_VERSION=0.1.0", "ISTIO_META_=x", "PATH=/bin", "ISTIO_META_A=b=c"})
	if want := map[string]string{"ISTIO_VERSION": "0.1.0", "A": "b=c"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
