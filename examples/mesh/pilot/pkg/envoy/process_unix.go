//go:build unix

package envoy

import "syscall"

// ownProcessGroup keeps a Ctrl-C in the terminal from Envoy: the agent gets it
// and drains first.
func ownProcessGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
