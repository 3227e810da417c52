// Package atomicfile replaces files so that readers see the old content or the
// new, never a part.
package atomicfile

import (
	"io"
	"os"
	"path/filepath"
)

// Write puts the content of source at path with the given mode.
func Write(path string, source io.Reader, mode os.FileMode) (err error) {
	// A dot first: programs that watch the directory skip such names.
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temporary.Close()
			_ = os.Remove(temporary.Name())
		}
	}()
	if _, err := io.Copy(temporary, source); err != nil {
		return err
	}
	if err := temporary.Chmod(mode); err != nil {
		return err
	}
	if err := temporary.Sync(); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
