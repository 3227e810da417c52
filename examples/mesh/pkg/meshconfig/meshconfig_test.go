package meshconfig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const valid = `
listeners:
  - name: gateway
    port: 10000
    extAuthz: {cluster: authz, timeout: 500ms}
    routes:
      - {prefix: /, cluster: app}
clusters:
  - name: app
    endpoints: ["app:8080"]
  - name: authz
    protocol: http2
    endpoints: ["127.0.0.1:9000", "[::1]:9000"]
`

func parse(text string) (*Config, error) {
	return Parse([]File{{Name: "mesh.yaml", Data: []byte(text)}})
}

func TestParseFillsInDefaults(t *testing.T) {
	config, err := parse(valid)
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Listeners[0].Address; got != "0.0.0.0" {
		t.Errorf("address = %q", got)
	}
	if got := config.Clusters[0].Protocol; got != HTTP1 {
		t.Errorf("protocol = %q", got)
	}
	if config.Clusters[0].Static() || !config.Clusters[1].Static() {
		t.Error("app must be DNS and authz static")
	}
}

func TestParseMergesFilesAndDocuments(t *testing.T) {
	listeners, clusters, _ := strings.Cut(valid, "clusters:\n")
	config, err := Parse([]File{
		{Name: "a.yaml", Data: []byte("---\n" + listeners + "---\n")},
		{Name: "b.yaml", Data: []byte("clusters:\n" + clusters)},
		{Name: "c.yaml", Data: []byte("# nothing yet\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Listeners) != 1 || len(config.Clusters) != 2 {
		t.Errorf("got %+v", config)
	}
}

func TestParseErrors(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"unknown field":     {"port: 10000", "prot: 10000", `mesh.yaml: line 4: unknown field "prot" in a listener`},
		"wrong type":        {"port: 10000", "port: many", "mesh.yaml: line 4: cannot unmarshal"},
		"missing cluster":   {"cluster: app}", "cluster: ap}", `mesh.yaml:3: listener "gateway": route "/": cluster "ap" does not exist (known: app, authz)`},
		"no cluster":        {", cluster: app}", "}", "needs a cluster"},
		"authz missing":     {"cluster: authz,", "cluster: nobody,", `extAuthz: cluster "nobody" does not exist`},
		"authz over http1":  {"protocol: http2", "protocol: http1", "must have protocol http2"},
		"duplicate cluster": {"name: authz", "name: app", `mesh.yaml:11: cluster "app": name is already used at mesh.yaml:9`},
		"bad port":          {"port: 10000", "port: 70000", "port 70000 is not between"},
		"bad endpoint":      {"app:8080", "app", `line 10: "app" is not an endpoint`},
		"endpoint port":     {"app:8080", "app:99999", "port must be between 1 and 65535"},
		"mixed endpoints":   {`"[::1]:9000"`, `"authz:9000"`, "endpoints mix IP addresses and DNS names"},
		"bad duration":      {"500ms", "soon", `"soon" is not a positive duration`},
		"bad protocol":      {"protocol: http2", "protocol: h2", `unknown protocol "h2"`},
		"relative prefix":   {"prefix: /,", "prefix: v1,", "prefix must start with /"},
		"duplicate port": {"clusters:\n", "  - {name: other, port: 10000, routes: [{prefix: /, cluster: app}]}\nclusters:\n",
			`mesh.yaml:8: listener "other": duplicate port 10000: listener "gateway" at mesh.yaml:3 has it`},
		"shadowed route": {"- {prefix: /, cluster: app}", "- {prefix: /, cluster: app}\n      - {prefix: /v2, cluster: app}",
			`route "/v2": never matches, since route "/" before it takes the same requests`},
		"header name": {"cluster: app}", "cluster: app, responseHeaders: {'a b': c}}", `response header "a b" is not a valid header name`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(valid, test.old, test.new, 1)
			if text == valid {
				t.Fatalf("%q is not in the valid configuration", test.old)
			}
			_, err := parse(text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %q", err, test.want)
			}
		})
	}
}

func TestParseReportsEveryError(t *testing.T) {
	_, err := parse(strings.NewReplacer("port: 10000", "port: 0", "cluster: app}", "cluster: ap}").Replace(valid))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want two lines, got %v", err)
	}
}

func TestReadDir(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadDir(dir); !errors.Is(err, ErrNoFiles) {
		t.Errorf("error = %v, want ErrNoFiles", err)
	}
	for _, name := range []string{"b.yaml", "a.yml", ".hidden.yaml", "README.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 || files[0].Name != "a.yml" || files[1].Name != "b.yaml" {
		t.Errorf("files = %+v", files)
	}
}
