package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// Supervisor keeps one Envoy running until its context is done.
type Supervisor struct {
	Path   string
	Args   []string
	Stdout io.Writer
	Stderr io.Writer
	Log    *slog.Logger

	// Drain is called before Envoy is terminated.
	Drain func(ctx context.Context) error
	// DrainDuration is how long Envoy goes on serving after Drain.
	DrainDuration time.Duration
	// TerminateTimeout is how long Envoy has between SIGTERM and SIGKILL.
	TerminateTimeout time.Duration

	// MaxRestarts is how many crashes in a row are answered by a restart.
	MaxRestarts int
	// Backoff is the wait before the first restart; it doubles up to MaxBackoff.
	Backoff, MaxBackoff time.Duration
	// StableAfter is how long Envoy must run for earlier crashes to be forgotten.
	StableAfter time.Duration

	draining atomic.Bool
}

// ExitError is the end of an Envoy that could not be kept running, or that had
// to be killed.
type ExitError struct {
	// Status follows the shell: 128 plus the signal if there was one.
	Status int
	Reason string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("Envoy %s (exit status %d)", e.Reason, e.Status)
}

// Draining reports whether the shutdown has begun.
func (s *Supervisor) Draining() bool { return s.draining.Load() }

// Run starts Envoy and restarts it when it crashes. It returns nil if Envoy
// ended by itself with status 0 or after a drain, otherwise an *ExitError or
// the reason why Envoy could not be started.
func (s *Supervisor) Run(ctx context.Context) error {
	crashes := 0
	for {
		started := time.Now()
		err := s.runOnce(ctx)
		var exit *ExitError
		if ctx.Err() != nil || !errors.As(err, &exit) {
			return err
		}
		if time.Since(started) >= s.StableAfter {
			crashes = 0
		}
		if crashes++; crashes > s.MaxRestarts {
			return &ExitError{Status: exit.Status, Reason: fmt.Sprintf("crashed %d times in a row, giving up", crashes)}
		}
		wait := s.backoff(crashes)
		s.Log.Warn("Envoy crashed, restarting", "status", exit.Status, "crashes", crashes, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (s *Supervisor) backoff(crashes int) time.Duration {
	wait := s.Backoff
	for range crashes - 1 {
		if wait *= 2; wait >= s.MaxBackoff {
			return s.MaxBackoff
		}
	}
	return wait
}

func (s *Supervisor) runOnce(ctx context.Context) error {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Stdout, cmd.Stderr = s.Stdout, s.Stderr
	cmd.SysProcAttr = ownProcessGroup()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Envoy: %w", err)
	}
	s.Log.Info("Envoy started", "path", s.Path, "pid", cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return exitError(cmd, err, "crashed")
	case <-ctx.Done():
		return s.shutDown(context.WithoutCancel(ctx), cmd, ended)
	}
}

func (s *Supervisor) shutDown(ctx context.Context, cmd *exec.Cmd, ended <-chan error) error {
	s.draining.Store(true)
	s.Log.Info("draining", "duration", s.DrainDuration)
	drain, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.Drain(drain); err != nil {
		s.Log.Warn("drain request failed, terminating without", "error", err)
	} else {
		select {
		case err := <-ended:
			return exitError(cmd, err, "ended while draining")
		case <-time.After(s.DrainDuration):
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.Log.Warn("SIGTERM not delivered", "error", err)
	}
	select {
	case err := <-ended:
		if err := exitError(cmd, err, "failed at shutdown"); err != nil {
			return err
		}
	case <-time.After(s.TerminateTimeout):
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill Envoy: %w", err)
		}
		return exitError(cmd, <-ended, fmt.Sprintf("did not end within %s and was killed", s.TerminateTimeout))
	}
	s.Log.Info("Envoy terminated")
	return nil
}

// exitError turns the result of a finished command into an *ExitError, or nil
// for a clean end. An end by the SIGTERM we sent is clean too.
func exitError(cmd *exec.Cmd, err error, reason string) error {
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("wait for Envoy: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		if status.Signal() == syscall.SIGTERM {
			return nil
		}
		return &ExitError{Status: 128 + int(status.Signal()), Reason: reason}
	}
	return &ExitError{Status: exit.ExitCode(), Reason: reason}
}
