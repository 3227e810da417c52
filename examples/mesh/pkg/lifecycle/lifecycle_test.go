package lifecycle

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestRunStopsAllWhenOneFails(t *testing.T) {
	boom := errors.New("boom")
	stopped := false
	err := Run(context.Background(),
		func(context.Context) error { return boom },
		func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil },
	)
	if !errors.Is(err, boom) || !stopped {
		t.Errorf("err = %v, stopped = %v", err, stopped)
	}
}

func TestServeHTTPFinishesRunningRequests(t *testing.T) {
	listener, err := Listen(context.Background(), "test", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		time.Sleep(50 * time.Millisecond)
		_, _ = io.WriteString(w, "done")
	})
	served := make(chan error, 1)
	go func() { served <- ServeHTTP(listener, handler, 5*time.Second)(ctx) }()
	resp, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "done" {
		t.Errorf("body = %q", body)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestListenNamesItsPurpose(t *testing.T) {
	if _, err := Listen(context.Background(), "status port", "127.0.0.1:-1"); err == nil {
		t.Error("no error for an impossible port")
	}
}
