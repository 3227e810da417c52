package controlplane

import (
	"context"
	"log/slog"
	"sync"
	"time"

	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"example.com/mesh/pkg/meshconfig"
)

// meshNode is the one key of the snapshot cache: every proxy gets the same.
const meshNode = "mesh"

type sameForAll struct{}

func (sameForAll) ID(*corev3.Node) string { return meshNode }

// Store keeps the last good snapshot of a configuration directory.
type Store struct {
	dir   string
	log   *slog.Logger
	cache cachev3.SnapshotCache

	mu       sync.Mutex
	version  string
	loadedAt time.Time
	lastErr  string
}

// NewStore returns a store that has not read the directory yet.
func NewStore(dir string, log *slog.Logger) *Store {
	return &Store{dir: dir, log: log, cache: cachev3.NewSnapshotCache(true, sameForAll{}, nil)}
}

// Reload reads the directory and serves it if it is good and different.
// Otherwise the last good snapshot stays, and the error is kept for the debug
// endpoint.
func (s *Store) Reload(ctx context.Context) {
	snapshot, version, err := s.load()
	if err != nil {
		s.fail(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	recovered := s.lastErr != ""
	s.lastErr = ""
	if version == s.version {
		if recovered {
			s.log.Info("configuration is valid again and unchanged", "version", version)
		}
		return
	}
	if err := s.cache.SetSnapshot(ctx, meshNode, snapshot); err != nil {
		// The cache holds the snapshot by now; only a proxy could not be told.
		s.log.Warn("snapshot not sent to every proxy", "version", version, "error", err)
	}
	s.log.Info("serving new snapshot", "version", version, "previous", s.version)
	s.version, s.loadedAt = version, time.Now()
}

func (s *Store) load() (*cachev3.Snapshot, string, error) {
	files, err := meshconfig.ReadDir(s.dir)
	if err != nil {
		return nil, "", err
	}
	config, err := meshconfig.Parse(files)
	if err != nil {
		return nil, "", err
	}
	return newSnapshot(config)
}

func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The directory is read every few seconds; the same error is news once.
	if s.lastErr != err.Error() {
		s.log.Error("configuration not usable, keeping the last good snapshot", "dir", s.dir, "version", s.version, "error", err)
	}
	s.lastErr = err.Error()
}

// Version returns that of the snapshot being served, empty if there is none.
func (s *Store) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}
