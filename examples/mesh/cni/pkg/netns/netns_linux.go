// Package netns runs code inside another network namespace.
package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls work on a thread that has entered the network namespace at path.
// Processes that work starts inherit it.
func Do(path string, work func() error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	defer file.Close()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread dies with the goroutine and cannot carry
		// the namespace to other code.
		runtime.LockOSThread()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace %s: %w", path, err)
			return
		}
		done <- work()
	}()
	return <-done
}
