package configwatch

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// start watches dir and returns the reports; the first has been taken.
func start(t *testing.T, dir string, debounce, resync time.Duration) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reports, done := make(chan struct{}, 100), make(chan error, 1)
	watcher := &Watcher{Dir: dir, Debounce: debounce, Resync: resync, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	go func() { done <- watcher.Run(ctx, func() { reports <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	wait(t, reports, "first report")
	return reports
}

func wait(t *testing.T, reports <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-reports:
	case <-time.After(5 * time.Second):
		t.Fatalf("no %s", what)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReportsEachKindOfChange(t *testing.T) {
	for name, test := range map[string]struct {
		prepare, change func(dir string) []error
	}{
		"rewrite": {
			prepare: func(dir string) []error { return []error{os.WriteFile(dir+"/mesh.yaml", []byte("1"), 0o600)} },
			change:  func(dir string) []error { return []error{os.WriteFile(dir+"/mesh.yaml", []byte("2"), 0o600)} },
		},
		"atomic rename": {
			prepare: func(dir string) []error { return []error{os.WriteFile(dir+"/mesh.yaml", []byte("1"), 0o600)} },
			change: func(dir string) []error {
				return []error{os.WriteFile(dir+"/.tmp", []byte("2"), 0o600), os.Rename(dir+"/.tmp", dir+"/mesh.yaml")}
			},
		},
		"ConfigMap symlink swap": {
			prepare: func(dir string) []error {
				return []error{os.Mkdir(dir+"/..1", 0o700), os.Mkdir(dir+"/..2", 0o700), os.Symlink("..1", dir+"/..data")}
			},
			change: func(dir string) []error {
				return []error{os.Symlink("..2", dir+"/..data_tmp"), os.Rename(dir+"/..data_tmp", dir+"/..data")}
			},
		},
		"removal": {
			prepare: func(dir string) []error { return []error{os.WriteFile(dir+"/mesh.yaml", []byte("1"), 0o600)} },
			change:  func(dir string) []error { return []error{os.Remove(dir + "/mesh.yaml")} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, test.prepare(dir)...)
			reports := start(t, dir, 20*time.Millisecond, time.Hour)
			must(t, test.change(dir)...)
			wait(t, reports, "report after the change")
		})
	}
}

func TestBurstIsFewReports(t *testing.T) {
	dir := t.TempDir()
	reports := start(t, dir, 250*time.Millisecond, time.Hour)
	for range 10 {
		must(t, os.WriteFile(dir+"/mesh.yaml", []byte("x"), 0o600))
	}
	wait(t, reports, "report after the burst")
	time.Sleep(500 * time.Millisecond)
	// A busy machine may stretch the burst, hence not exactly one.
	if n := len(reports); n > 2 {
		t.Errorf("%d more reports after the first", n)
	}
}

func TestDirectoryThatAppearsLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	reports := start(t, dir, 20*time.Millisecond, 30*time.Millisecond)
	must(t, os.Mkdir(dir, 0o700))
	wait(t, reports, "resync")
}
