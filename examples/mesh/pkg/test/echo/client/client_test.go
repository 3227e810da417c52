package client

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/mesh/pkg/grpcserve"
	"example.com/mesh/pkg/lifecycle"
	"example.com/mesh/pkg/test/echo/server"
)

func options(url string) Options {
	return Options{URL: url, Method: "GET", Headers: []Header{{"X-Test", "yes"}}, Count: 2, Timeout: 5 * time.Second}
}

func TestHTTPAgainstEcho(t *testing.T) {
	echo := httptest.NewServer(server.NewHTTPHandler("host-1", slog.New(slog.NewTextHandler(io.Discard, nil))))
	defer echo.Close()
	var out bytes.Buffer
	o := options(echo.URL + "/x")
	o.Headers = append(o.Headers, Header{"Host", "app.example"})
	if err := HTTP(context.Background(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Header=X-Test:yes\n", "Host=app.example\n", "StatusCode=200\n"} {
		if strings.Count(out.String(), want) != 2 {
			t.Errorf("want %q twice in:\n%s", want, &out)
		}
	}
}

func TestHTTPFailsOnStatus(t *testing.T) {
	refuse := httptest.NewServer(nil)
	defer refuse.Close()
	err := HTTP(context.Background(), options(refuse.URL+"/nothing"), io.Discard)
	if err == nil || err.Error() != "2 of 2 requests failed" {
		t.Errorf("error = %v", err)
	}
}

func TestGRPCAgainstEcho(t *testing.T) {
	listener, err := lifecycle.Listen(context.Background(), "test", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- grpcserve.Task(listener, server.NewGRPCServer("host-1"), time.Second)(ctx) }()
	var out bytes.Buffer
	o := options("grpc://" + listener.Addr().String())
	o.Body = "hello"
	if err := GRPC(context.Background(), o, &out); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"host-1", "x-test", "hello"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("answer lacks %q:\n%s", want, &out)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestParseHeader(t *testing.T) {
	if got, err := ParseHeader("a=b=c"); err != nil || got != (Header{"a", "b=c"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "a", "=b"} {
		if _, err := ParseHeader(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
