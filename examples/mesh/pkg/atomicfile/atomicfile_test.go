package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWriteReplacesContentAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for content, mode := range map[string]os.FileMode{"one": 0o600, "two": 0o755} {
		if err := Write(path, strings.NewReader(content), mode); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || string(data) != content {
			t.Errorf("content = %q, %v", data, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("mode = %v, %v", info.Mode(), err)
		}
	}
}

func TestFailedWriteLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	boom := errors.New("boom")
	if err := Write(filepath.Join(dir, "file"), iotest.ErrReader(boom), 0o600); !errors.Is(err, boom) {
		t.Errorf("error = %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}
