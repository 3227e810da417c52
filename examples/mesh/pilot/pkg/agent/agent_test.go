package agent

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/mesh/pilot/pkg/bootstrap"
)

type fakeProxy struct {
	err      error
	draining bool
}

func (f fakeProxy) Ready(context.Context) error { return f.err }
func (f fakeProxy) Draining() bool              { return f.draining }

func TestReadiness(t *testing.T) {
	for name, test := range map[string]struct {
		proxy fakeProxy
		code  int
	}{
		"ready":     {fakeProxy{}, http.StatusOK},
		"not ready": {fakeProxy{err: errors.New("no listeners")}, http.StatusServiceUnavailable},
		"draining":  {fakeProxy{draining: true}, http.StatusServiceUnavailable},
	} {
		recorder := httptest.NewRecorder()
		newStatusHandler(test.proxy, test.proxy).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/healthz/ready", nil))
		if recorder.Code != test.code {
			t.Errorf("%s: %d, want %d", name, recorder.Code, test.code)
		}
	}
}

func TestTemplateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.json")
	if err := os.WriteFile(path, []byte(`{"node": {"id": {{ json .NodeID }}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	options := &Options{Template: path, Values: bootstrap.Values{NodeID: "n1"}}
	got, err := options.RenderBootstrap()
	if err != nil || string(got) != `{"node": {"id": "n1"}}` {
		t.Errorf("got %s, %v", got, err)
	}
	options.Template = path + ".missing"
	if _, err := options.RenderBootstrap(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v, want a missing file", err)
	}
}

func TestBootstrapInTemporaryDirectoryIsRemoved(t *testing.T) {
	options := &Options{Values: bootstrap.Values{NodeID: "n1", DiscoveryHost: "pilot", DiscoveryPort: 15010, AdminAddress: "127.0.0.1", AdminPort: 15000}}
	path, cleanUp, err := options.writeBootstrap()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), `"id": "n1"`) {
		t.Errorf("bootstrap = %s, %v", data, err)
	}
	cleanUp()
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory is still there: %v", err)
	}
}

func TestAdminURL(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:15000", "0.0.0.0": "http://127.0.0.1:15000",
		"::": "http://[::1]:15000", "10.0.0.1": "http://10.0.0.1:15000",
	} {
		if got := adminURL(bootstrap.Values{AdminAddress: address, AdminPort: 15000}); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
