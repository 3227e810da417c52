package redirect

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Apply installs the rules in the network namespace of the calling thread.
// Applying them again replaces them.
func Apply(ctx context.Context, c Config) error {
	installed, err := Installed(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "iptables-restore", "--noflush", "--wait")
	cmd.Stdin = strings.NewReader(c.Rules(installed))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("iptables-restore: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Installed reports whether the rules are in the network namespace of the
// calling thread.
func Installed(ctx context.Context) (bool, error) {
	out, err := exec.CommandContext(ctx, "iptables-save", "-t", "nat").Output()
	if err != nil {
		return false, fmt.Errorf("iptables-save: %w", err)
	}
	return strings.Contains(string(out), "-A PREROUTING -p tcp -j "+chainInbound+"\n"), nil
}
