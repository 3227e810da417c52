package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/mesh/pkg/cli"
)

func validate(args ...string) (code int, output string) {
	root := cli.NewRoot("istioctl", "")
	root.AddCommand(newValidate())
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"validate"}, args...))
	return cli.Run(context.Background(), root), out.String()
}

func TestValidateShippedFiles(t *testing.T) {
	const root = "../../../"
	for _, args := range [][]string{
		{"-f", root + "smoke/config"},
		{"-f", root + "smoke/config-v2"},
		{"--bootstrap-template", root + "pilot/docker/envoy_bootstrap.json"},
	} {
		if code, out := validate(args...); code != 0 {
			t.Errorf("%v: %d\n%s", args, code, out)
		}
	}
}

func TestValidateErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(path, []byte("listeners: [{name: a, port: 1, routes: [{prefix: /, cluster: b}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"bad file":     {[]string{"-f", path}, `cluster "b" does not exist`},
		"missing file": {[]string{"-f", path + ".not"}, "no such file"},
		"bad template": {[]string{"--bootstrap-template", path}, "is not valid"},
		"no flag":      {nil, "file"},
	} {
		if code, out := validate(test.args...); code != 1 || !strings.Contains(out, test.want) {
			t.Errorf("%s: %d, %q lacks %q", name, code, out, test.want)
		}
	}
}
