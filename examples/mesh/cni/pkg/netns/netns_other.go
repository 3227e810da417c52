//go:build !linux

// Package netns runs code inside another network namespace.
package netns

import (
	"fmt"
	"runtime"
)

// Do fails: network namespaces exist on Linux only.
func Do(string, func() error) error {
	return fmt.Errorf("network namespaces exist on Linux only, this is %s", runtime.GOOS)
}
