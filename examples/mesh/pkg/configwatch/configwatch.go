// Package configwatch tells when a directory may have changed.
package configwatch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watcher watches one directory. It reports that something happened, not
// what: readers look at the content anyway.
type Watcher struct {
	Dir string
	// Debounce is how long the directory must be quiet before a report.
	Debounce time.Duration
	// Resync reports even without an event. It covers what events cannot: a
	// directory that is replaced or does not exist yet, and file systems that
	// send no events.
	Resync time.Duration
	Log    *slog.Logger
}

// Run calls changed once at the start and then after each burst of events and
// each resync, until the context is done. Calls never overlap.
func (w *Watcher) Run(ctx context.Context, changed func()) error {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.Dir, err)
	}
	defer events.Close()
	// The watch comes before the first read, so that no change falls between.
	w.watch(events)
	changed()

	resync := time.NewTicker(w.Resync)
	defer resync.Stop()
	quiet := time.NewTimer(w.Debounce)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events.Events:
			quiet.Reset(w.Debounce)
		case err := <-events.Errors:
			w.Log.Warn("configuration events lost, reading again", "dir", w.Dir, "error", err)
			quiet.Reset(w.Debounce)
		case <-quiet.C:
			changed()
		case <-resync.C:
			w.watch(events)
			changed()
		}
	}
}

// watch adds the directory again each time: a directory that was replaced
// under the same name has lost its old watch.
func (w *Watcher) watch(events *fsnotify.Watcher) {
	if err := events.Add(w.Dir); err != nil {
		w.Log.Debug("cannot watch yet", "dir", w.Dir, "error", err)
	}
}
