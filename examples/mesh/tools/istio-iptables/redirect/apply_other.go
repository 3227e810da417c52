//go:build !linux

package redirect

import (
	"context"
	"fmt"
	"runtime"
)

// Apply fails: iptables exists on Linux only.
func Apply(context.Context, Config) error {
	return fmt.Errorf("iptables rules can be applied on Linux only, this is %s; --dry-run prints them", runtime.GOOS)
}

// Installed fails: iptables exists on Linux only.
func Installed(context.Context) (bool, error) {
	return false, fmt.Errorf("iptables rules exist on Linux only, this is %s", runtime.GOOS)
}
