package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const bridge = `{"cniVersion": "1.0.0", "name": "net", "big": 12345678901234567890, "plugins": [{"type": "bridge", "mtu": 1500}]}`

func newNode(t *testing.T, conflists map[string]string) *Node {
	t.Helper()
	entry, err := Entry([]string{"kube-system"})
	if err != nil {
		t.Fatal(err)
	}
	node := &Node{Source: filepath.Join(t.TempDir(), PluginName), BinDir: t.TempDir(), ConfDir: t.TempDir(), Entry: entry}
	if err := os.WriteFile(node.Source, []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range conflists {
		if err := os.WriteFile(filepath.Join(node.ConfDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return node
}

func pluginTypes(t *testing.T, node *Node, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(node.ConfDir, name))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Plugins []struct{ Type string } }
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, plugin := range list.Plugins {
		types = append(types, plugin.Type)
	}
	return strings.Join(types, " ")
}

func TestInstallTwiceThenUninstall(t *testing.T) {
	node := newNode(t, map[string]string{"20-other.conflist": bridge, "10-net.conflist": bridge})
	for range 2 {
		path, err := node.Install()
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) != "10-net.conflist" {
			t.Errorf("merged into %s", path)
		}
	}
	if got := pluginTypes(t, node, "10-net.conflist"); got != "bridge istio-cni" {
		t.Errorf("plugins = %s", got)
	}
	if got := pluginTypes(t, node, "20-other.conflist"); got != "bridge" {
		t.Errorf("plugins of the unused network = %s", got)
	}
	data, _ := os.ReadFile(filepath.Join(node.ConfDir, "10-net.conflist"))
	if !strings.Contains(string(data), "12345678901234567890") {
		t.Errorf("a field was changed:\n%s", data)
	}
	binary := filepath.Join(node.BinDir, PluginName)
	if info, err := os.Stat(binary); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("binary: %v, %v", info, err)
	}
	for range 2 {
		if err := node.Uninstall(); err != nil {
			t.Fatal(err)
		}
	}
	if got := pluginTypes(t, node, "10-net.conflist"); got != "bridge" {
		t.Errorf("plugins = %s", got)
	}
	if _, err := os.Stat(binary); !os.IsNotExist(err) {
		t.Errorf("binary is still there: %v", err)
	}
}

func TestInstallErrors(t *testing.T) {
	for want, conflists := range map[string]map[string]string{
		"holds no *.conflist": {},
		"10.conflist":         {"10.conflist": "{"},
		"plugins":             {"10.conflist": "{}"},
	} {
		if _, err := newNode(t, conflists).Install(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}
