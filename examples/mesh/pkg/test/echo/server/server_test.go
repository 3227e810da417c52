package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newHandler() http.Handler {
	return NewHTTPHandler("host-1", slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func TestTextEcho(t *testing.T) {
	request := httptest.NewRequest(http.MethodPost, "http://app/v1/x?a=b", strings.NewReader("hello"))
	request.Header.Set("X-Test", "yes")
	recorder := httptest.NewRecorder()
	newHandler().ServeHTTP(recorder, request)
	for _, want := range []string{"Hostname=host-1\n", "Method=POST\n", "Path=/v1/x\n", "Query=a=b\n", "Host=app\n", "Header=X-Test:yes\n", "Body=hello\n"} {
		if !strings.Contains(recorder.Body.String(), want) {
			t.Errorf("answer lacks %q:\n%s", want, recorder.Body)
		}
	}
}

func TestJSONEcho(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/x", nil)
	request.Header.Set("Accept", "application/json")
	recorder := httptest.NewRecorder()
	newHandler().ServeHTTP(recorder, request)
	var echo Echo
	if err := json.Unmarshal(recorder.Body.Bytes(), &echo); err != nil {
		t.Fatal(err)
	}
	if echo.Path != "/x" || echo.Hostname != "host-1" {
		t.Errorf("got %+v", echo)
	}
}

func TestHealthAndLimits(t *testing.T) {
	recorder := httptest.NewRecorder()
	newHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if recorder.Code != http.StatusOK || recorder.Body.String() != "ok\n" {
		t.Errorf("healthz: %d %q", recorder.Code, recorder.Body)
	}
	recorder = httptest.NewRecorder()
	newHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", maxBody+1))))
	if recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("large body: %d", recorder.Code)
	}
}
