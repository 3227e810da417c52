// Package install puts the CNI plugin on a node and takes it off again.
package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"example.com/mesh/pkg/atomicfile"
)

// PluginName is both the binary and the type in a conflist.
const PluginName = "istio-cni"

// Node says where things are on a node.
type Node struct {
	// Source is the plugin's binary to install.
	Source  string
	BinDir  string
	ConfDir string
	// Entry is what is appended to the plugins of the conflist.
	Entry json.RawMessage
}

// Entry returns the plugin's entry in a conflist.
func Entry(excludeNamespaces []string) (json.RawMessage, error) {
	return json.Marshal(map[string]any{"type": PluginName, "excludeNamespaces": excludeNamespaces})
}

// Install copies the binary and chains the plugin to the network in use. The
// binary comes first, because runtimes start what the conflist names at once.
func (n *Node) Install() (conflist string, err error) {
	binary, err := os.Open(n.Source)
	if err != nil {
		return "", fmt.Errorf("plugin binary: %w", err)
	}
	defer binary.Close()
	if err := atomicfile.Write(filepath.Join(n.BinDir, PluginName), binary, 0o755); err != nil {
		return "", fmt.Errorf("install plugin binary: %w", err)
	}
	paths, err := n.conflists()
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("%s holds no *.conflist: the plugin needs a network plugin to be chained to", n.ConfDir)
	}
	// Runtimes use the first in order of names.
	return paths[0], rewrite(paths[0], n.Entry)
}

// Uninstall takes the plugin out of every conflist and removes the binary.
func (n *Node) Uninstall() error {
	paths, err := n.conflists()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := rewrite(path, nil); err != nil {
			return err
		}
	}
	err = os.Remove(filepath.Join(n.BinDir, PluginName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (n *Node) conflists() ([]string, error) {
	if _, err := os.Stat(n.ConfDir); err != nil {
		return nil, fmt.Errorf("CNI configuration: %w", err)
	}
	paths, err := filepath.Glob(filepath.Join(n.ConfDir, "*.conflist"))
	slices.Sort(paths)
	return paths, err
}

// rewrite removes the plugin's entries from a conflist and appends entry, if
// there is one. Everything else in the file stays as it is.
func rewrite(path string, entry json.RawMessage) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var list map[string]json.RawMessage
	var plugins []json.RawMessage
	if err := json.Unmarshal(old, &list); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(list["plugins"], &plugins); err != nil {
		return fmt.Errorf("%s: plugins: %w", path, err)
	}
	others := slices.DeleteFunc(slices.Clone(plugins), isOurs)
	if entry == nil && len(others) == len(plugins) {
		return nil
	}
	if entry != nil {
		others = append(others, entry)
	}
	if list["plugins"], err = json.Marshal(others); err != nil {
		return err
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, bytes.NewReader(append(data, '\n')), 0o644)
}

func isOurs(plugin json.RawMessage) bool {
	var named struct{ Type string }
	return json.Unmarshal(plugin, &named) == nil && named.Type == PluginName
}
