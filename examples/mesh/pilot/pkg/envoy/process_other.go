//go:build !unix

package envoy

import "syscall"

func ownProcessGroup() *syscall.SysProcAttr { return nil }
