// Package agent runs an Envoy with everything around it: its bootstrap, its
// supervisor and its readiness.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"example.com/mesh/pilot/docker"
	"example.com/mesh/pilot/pkg/bootstrap"
	"example.com/mesh/pilot/pkg/envoy"
	"example.com/mesh/pkg/lifecycle"
)

// ImageTemplate is where the proxy's image keeps its bootstrap template.
const ImageTemplate = "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"

const (
	terminateTimeout = 5 * time.Second
	statusGrace      = time.Second
)

// Options say how to run Envoy.
type Options struct {
	Values        bootstrap.Values
	Template      string
	EnvoyPath     string
	EnvoyLogLevel string
	EnvoyArgs     []string
	ConfigDir     string
	StatusPort    uint16
	DrainDuration time.Duration
	MaxRestarts   int
	Stdout        io.Writer
	Stderr        io.Writer
	Log           *slog.Logger
}

// RenderBootstrap renders the template that Options name, or that of the
// image, or the embedded one.
func (o *Options) RenderBootstrap() ([]byte, error) {
	text, err := o.readTemplate()
	if err != nil {
		return nil, err
	}
	return bootstrap.Render(text, o.Values)
}

// Run supervises Envoy until the context is done or Envoy cannot be kept
// running.
func Run(ctx context.Context, o *Options) error {
	config, cleanUp, err := o.writeBootstrap()
	if err != nil {
		return err
	}
	defer cleanUp()
	status, err := lifecycle.Listen(ctx, "status port", ":"+strconv.Itoa(int(o.StatusPort)))
	if err != nil {
		return err
	}
	defer status.Close()

	admin := &envoy.Admin{URL: adminURL(o.Values), Client: &http.Client{Timeout: 2 * time.Second}}
	supervisor := o.supervisor(config, admin)
	// The status server outlives the request to stop: it answers 503 while
	// Envoy drains, so that load balancers look elsewhere.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() {
		served <- lifecycle.ServeHTTP(status, newStatusHandler(admin, supervisor), statusGrace)(serving)
	}()
	err = supervisor.Run(ctx)
	stopServing()
	return errors.Join(err, <-served)
}

func (o *Options) supervisor(config string, admin *envoy.Admin) *envoy.Supervisor {
	return &envoy.Supervisor{
		Path: o.EnvoyPath,
		Args: append([]string{
			"-c", config,
			"--log-level", o.EnvoyLogLevel,
			"--disable-hot-restart",
			"--drain-time-s", strconv.Itoa(int(o.DrainDuration.Seconds())),
		}, o.EnvoyArgs...),
		Stdout:           o.Stdout,
		Stderr:           o.Stderr,
		Log:              o.Log,
		Drain:            admin.DrainListeners,
		DrainDuration:    o.DrainDuration,
		TerminateTimeout: terminateTimeout,
		MaxRestarts:      o.MaxRestarts,
		Backoff:          200 * time.Millisecond,
		MaxBackoff:       10 * time.Second,
		StableAfter:      time.Minute,
	}
}

func (o *Options) readTemplate() (string, error) {
	path := o.Template
	if path == "" {
		path = ImageTemplate
	}
	data, err := os.ReadFile(path)
	if o.Template == "" && errors.Is(err, os.ErrNotExist) {
		return docker.BootstrapTemplate(), nil
	}
	if err != nil {
		return "", fmt.Errorf("bootstrap template: %w", err)
	}
	return string(data), nil
}

// writeBootstrap writes the bootstrap and returns its path and what removes it
// again, if it lies in a directory made for it.
func (o *Options) writeBootstrap() (path string, cleanUp func(), err error) {
	data, err := o.RenderBootstrap()
	if err != nil {
		return "", nil, err
	}
	dir, cleanUp := o.ConfigDir, func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pilot-agent-"); err != nil {
			return "", nil, err
		}
		cleanUp = func() { _ = os.RemoveAll(dir) }
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "envoy-bootstrap.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		cleanUp()
		return "", nil, err
	}
	return path, cleanUp, nil
}

// adminURL is where the agent reaches the admin interface; one that listens on
// all addresses is reached over loopback.
func adminURL(values bootstrap.Values) string {
	host := values.AdminAddress
	if address, err := netip.ParseAddr(host); err == nil && address.IsUnspecified() {
		host = "127.0.0.1"
		if address.Is6() {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(values.AdminPort)))
}
