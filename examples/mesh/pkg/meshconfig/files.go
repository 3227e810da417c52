package meshconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoFiles means that a directory holds no YAML at all. That is an error and
// not an empty configuration, because a directory in the middle of being
// replaced looks the same.
var ErrNoFiles = errors.New("no *.yaml or *.yml files")

// ReadDir reads the YAML files of a directory in order of their names. Names
// that start with a dot are skipped: editors and mounted ConfigMaps keep
// their intermediate state there.
func ReadDir(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || strings.HasPrefix(name, ".") || !isYAML(name) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		// A file may be renamed away between the listing and the read.
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: name, Data: data})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoFiles)
	}
	return files, nil
}

// Read reads one file, or all YAML files of a directory.
func Read(path string) ([]File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return ReadDir(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return []File{{Name: path, Data: data}}, nil
}

func isYAML(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}
