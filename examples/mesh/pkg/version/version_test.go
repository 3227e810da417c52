package version

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestWriteJSONHasEveryKey(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, "json"); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"arch", "goVersion", "hub", "os", "revision", "status", "tag", "version"}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
		t.Errorf("keys = %v, want %v", keys, want)
	}
}

func TestWriteText(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, "text"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "platform: "+runtime.GOOS+"/"+runtime.GOARCH) {
		t.Errorf("platform missing in %q", out.String())
	}
}

func TestWriteRefusesUnknownFormat(t *testing.T) {
	if err := Write(&bytes.Buffer{}, "nonsense"); err == nil {
		t.Error("no error for an unknown format")
	}
}

// The linker ignores -X for a variable that does not exist, so only a real
// link shows that the stamp names are right.
func TestLinkerStamps(t *testing.T) {
	const prefix = "-X example.com/mesh/pkg/version."
	var flags []string
	for _, name := range []string{"buildVersion", "buildGitRevision", "buildStatus", "buildTag", "buildHub", "buildOS", "buildArch"} {
		flags = append(flags, prefix+name+"=stamp-"+name)
	}
	binary := filepath.Join(t.TempDir(), "istio-cni-taint")
	build := exec.Command("go", "build", "-o", binary, "-ldflags", strings.Join(flags, " "), "example.com/mesh/cni/cmd/istio-cni-taint")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command(binary, "version", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got Info
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := Info{
		Version: "stamp-buildVersion", Revision: "stamp-buildGitRevision", Status: "stamp-buildStatus",
		Tag: "stamp-buildTag", Hub: "stamp-buildHub", OS: "stamp-buildOS", Arch: "stamp-buildArch",
		GoVersion: runtime.Version(),
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
