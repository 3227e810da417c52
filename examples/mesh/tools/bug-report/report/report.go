// Package report collects diagnostics into an archive, without secrets.
package report

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/mesh/pkg/version"
)

const maxFile = 32 << 20

// Sources say what goes into the archive.
type Sources struct {
	ConfigDir string
	Endpoints []string
	Now       time.Time
}

// Write collects everything into a tar.gz. A source that cannot be read
// becomes a line in errors.txt: a report about a broken mesh must not need a
// working one.
func Write(ctx context.Context, out io.Writer, sources Sources) error {
	zipped := gzip.NewWriter(out)
	archive := tar.NewWriter(zipped)
	add := func(name string, data []byte) error {
		data = Redact(data)
		header := &tar.Header{Name: "bug-report/" + name, Mode: 0o644, Size: int64(len(data)), ModTime: sources.Now}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(data)
		return err
	}
	var problems strings.Builder
	var versions bytes.Buffer
	errs := []error{version.Write(&versions, "json"), add("version.json", versions.Bytes())}
	for name, read := range sources.readers() {
		data, err := read(ctx)
		if err != nil {
			fmt.Fprintf(&problems, "%s: %v\n", name, err)
			continue
		}
		errs = append(errs, add(name, data))
	}
	errs = append(errs, add("errors.txt", []byte(problems.String())), archive.Close(), zipped.Close())
	return errors.Join(errs...)
}

type reader func(context.Context) ([]byte, error)

// readers yields the name of each file of the archive and what reads it.
func (s Sources) readers() func(yield func(string, reader) bool) {
	return func(yield func(string, reader) bool) {
		for _, endpoint := range s.Endpoints {
			get := func(ctx context.Context) ([]byte, error) { return fetch(ctx, endpoint) }
			if !yield("endpoints/"+url.PathEscape(withoutUser(endpoint)), get) {
				return
			}
		}
		if s.ConfigDir == "" {
			return
		}
		err := fs.WalkDir(os.DirFS(s.ConfigDir), ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if !yield("config/"+path, func(context.Context) ([]byte, error) { return readFile(filepath.Join(s.ConfigDir, path)) }) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("config", func(context.Context) ([]byte, error) { return nil, err })
		}
	}
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFile))
}

func fetch(ctx context.Context, endpoint string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxFile))
}

func withoutUser(endpoint string) string {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return "invalid"
	}
	parsed.User = nil
	return parsed.String()
}
