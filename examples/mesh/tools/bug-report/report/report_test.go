package report

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/syncz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"version": "v1", "authToken": "hunter2"}`))
	}))
	defer server.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mesh.yaml"), []byte("clusters: []\npassword: hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	sources := Sources{ConfigDir: dir, Endpoints: []string{server.URL + "/debug/syncz", server.URL + "/gone"}, Now: time.Now()}
	if err := Write(context.Background(), &out, sources); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, &out)
	for suffix, want := range map[string]string{
		"version.json":     `"goVersion"`,
		"config/mesh.yaml": "clusters: []",
		"debug%2Fsyncz":    `"version": "v1"`,
		"errors.txt":       "404 Not Found",
	} {
		found := false
		for name, content := range files {
			found = found || strings.HasSuffix(name, suffix) && strings.Contains(content, want)
			if strings.Contains(content, "hunter2") {
				t.Errorf("%s holds a secret:\n%s", name, content)
			}
		}
		if !found {
			t.Errorf("no %s with %q in %v", suffix, want, files)
		}
	}
}

func TestMissingConfigDirIsReported(t *testing.T) {
	var out bytes.Buffer
	if err := Write(context.Background(), &out, Sources{ConfigDir: "/does/not/exist"}); err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, &out)["bug-report/errors.txt"]; !strings.Contains(got, "config: ") {
		t.Errorf("errors.txt = %q", got)
	}
}

func TestRedact(t *testing.T) {
	for _, secret := range []string{
		"password: hunter2", `"clientSecret": "hunter2 with spaces"`, "DB_PASSWORD=hunter2", "api-key: hunter2",
		"Authorization: Bearer hunter2hunter2", "https://user:hunter2@example.com/",
		"-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
	} {
		if got := Redact([]byte(secret)); bytes.Contains(got, []byte("hunter2")) || !bytes.Contains(got, []byte("REDACTED")) {
			t.Errorf("%q became %q", secret, got)
		}
	}
	for _, harmless := range []string{"clusters: []", `{"prefix": "/v2", "cluster": "app"}`, "http://app:8080/"} {
		if got := string(Redact([]byte(harmless))); got != harmless {
			t.Errorf("%q became %q", harmless, got)
		}
	}
}

func unpack(t *testing.T, data io.Reader) map[string]string {
	t.Helper()
	unzipped, err := gzip.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content)
	}
}
