// Package version holds the stamps that the linker writes into every program
// of the mesh.
package version

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// Unknown is the value of a stamp that the build did not set.
const Unknown = "unknown"

// Stamps, set with -ldflags "-X example.com/mesh/pkg/version.buildVersion=...".
// They are never written after the link.
var (
	buildVersion     = Unknown
	buildGitRevision = Unknown
	buildStatus      = Unknown
	buildTag         = Unknown
	buildHub         = Unknown
	buildOS          = runtime.GOOS
	buildArch        = runtime.GOARCH
)

// Info is everything a program knows about its own build.
type Info struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	Status    string `json:"status"`
	Tag       string `json:"tag"`
	Hub       string `json:"hub"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	GoVersion string `json:"goVersion"`
}

// Get returns the stamps of the running program.
func Get() Info {
	return Info{
		Version:   buildVersion,
		Revision:  buildGitRevision,
		Status:    buildStatus,
		Tag:       buildTag,
		Hub:       buildHub,
		OS:        buildOS,
		Arch:      buildArch,
		GoVersion: runtime.Version(),
	}
}

// Write prints the stamps in the given format, "text" or "json".
func Write(w io.Writer, format string) error {
	info := Get()
	switch format {
	case "text", "":
		_, err := fmt.Fprintf(w, "version: %s\nrevision: %s\nstatus: %s\ntag: %s\nhub: %s\nplatform: %s/%s\ngo: %s\n",
			info.Version, info.Revision, info.Status, info.Tag, info.Hub, info.OS, info.Arch, info.GoVersion)
		return err
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(info)
	default:
		return fmt.Errorf("unknown output format %q: want text or json", format)
	}
}
