// Package lifecycle runs the long-lived parts of a program together and stops
// them together.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Task works until its context is done or it fails.
type Task func(ctx context.Context) error

// Run starts all tasks and waits for all of them. When one ends, for whatever
// reason, the context of the others is cancelled.
func Run(ctx context.Context, tasks ...Task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	for i, task := range tasks {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer cancel()
			errs[i] = task(ctx)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Listen opens a TCP listener; what names its purpose in the error.
func Listen(ctx context.Context, what, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return listener, nil
}

// ServeHTTP returns a task that serves handler on listener and, when its
// context is done, gives running requests the grace period to finish.
func ServeHTTP(listener net.Listener, handler http.Handler, grace time.Duration) Task {
	return func(ctx context.Context) error {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		failed := make(chan error, 1)
		go func() { failed <- server.Serve(listener) }()
		select {
		case err := <-failed:
			return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err)
		case <-ctx.Done():
		}
		// The parent context is done already, so shutdown gets one of its own.
		shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err := server.Shutdown(shutdown); err != nil {
			return server.Close()
		}
		return nil
	}
}
