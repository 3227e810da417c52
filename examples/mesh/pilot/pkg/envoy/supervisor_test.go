package envoy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is its own fake Envoy: started with this variable, it
// behaves as told instead of running tests.
const fakeVariable = "FAKE_ENVOY"

func TestMain(m *testing.M) {
	behaviour := os.Getenv(fakeVariable)
	if behaviour == "" {
		os.Exit(m.Run())
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	fmt.Println("started")
	name, argument, _ := strings.Cut(behaviour, " ")
	switch name {
	case "exit":
		status, _ := strconv.Atoi(argument)
		os.Exit(status)
	case "serve":
		<-signals
		os.Exit(0)
	case "abort":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hang":
		select {}
	}
}

// output collects what the fake prints; the supervisor's copying goroutine and
// the test use it at once.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) starts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Count(o.buffer.String(), "started")
}

func newSupervisor(t *testing.T, behaviour string) (*Supervisor, *output) {
	t.Helper()
	t.Setenv(fakeVariable, behaviour)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := &output{}
	return &Supervisor{
		Path: executable, Stdout: out, Stderr: io.Discard,
		Log:              slog.New(slog.NewTextHandler(io.Discard, nil)),
		Drain:            func(context.Context) error { return nil },
		DrainDuration:    50 * time.Millisecond,
		TerminateTimeout: 5 * time.Second,
		MaxRestarts:      2, Backoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond,
		StableAfter: time.Hour,
	}, out
}

func waitForStart(t *testing.T, out *output) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); out.starts() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the fake did not start")
		}
	}
}

func TestGivesUpAfterCrashes(t *testing.T) {
	for behaviour, status := range map[string]int{"exit 3": 3, "abort": 128 + 9} {
		supervisor, out := newSupervisor(t, behaviour)
		err := supervisor.Run(context.Background())
		var exit *ExitError
		if !errors.As(err, &exit) || exit.Status != status {
			t.Errorf("%s: error = %v, want status %d", behaviour, err, status)
		}
		if out.starts() != 3 {
			t.Errorf("%s: %d starts, want 3", behaviour, out.starts())
		}
	}
}

func TestStableRunForgetsCrashes(t *testing.T) {
	supervisor, out := newSupervisor(t, "exit 1")
	supervisor.StableAfter = 0
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- supervisor.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); out.starts() < 5 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	<-done
	if out.starts() < 5 {
		t.Errorf("gave up after %d starts", out.starts())
	}
}

func TestCleanEndIsNotRestarted(t *testing.T) {
	supervisor, out := newSupervisor(t, "exit 0")
	if err := supervisor.Run(context.Background()); err != nil || out.starts() != 1 {
		t.Errorf("error = %v, starts = %d", err, out.starts())
	}
}

func TestShutdownDrainsFirst(t *testing.T) {
	supervisor, out := newSupervisor(t, "serve")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var drainedAt time.Time
	supervisor.Drain = func(context.Context) error {
		drainedAt = time.Now()
		if !supervisor.Draining() {
			t.Error("not marked as draining")
		}
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- supervisor.Run(ctx) }()
	waitForStart(t, out)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if drainedAt.IsZero() || time.Since(drainedAt) < supervisor.DrainDuration {
		t.Errorf("terminated %s after the drain request", time.Since(drainedAt))
	}
}

func TestFailedDrainDoesNotWait(t *testing.T) {
	supervisor, out := newSupervisor(t, "serve")
	supervisor.DrainDuration = time.Hour
	supervisor.Drain = func(context.Context) error { return errors.New("no admin") }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- supervisor.Run(ctx) }()
	waitForStart(t, out)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHangingEnvoyIsKilled(t *testing.T) {
	supervisor, out := newSupervisor(t, "hang")
	supervisor.TerminateTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- supervisor.Run(ctx) }()
	waitForStart(t, out)
	cancel()
	var exit *ExitError
	if err := <-done; !errors.As(err, &exit) || exit.Status != 128+9 {
		t.Errorf("error = %v, want status 137", err)
	}
}

func TestMissingBinaryIsNotRetried(t *testing.T) {
	supervisor, _ := newSupervisor(t, "serve")
	supervisor.Path = "/does/not/exist"
	if err := supervisor.Run(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}

func TestBackoffDoublesUpToTheLimit(t *testing.T) {
	supervisor := &Supervisor{Backoff: time.Second, MaxBackoff: 5 * time.Second}
	for crashes, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 99: 5 * time.Second} {
		if got := supervisor.backoff(crashes); got != want {
			t.Errorf("after %d crashes: %s, want %s", crashes, got, want)
		}
	}
}
