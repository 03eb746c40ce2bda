// SPDX-License-Identifier: Apache-2.0

// Package child starts processes so that none outlives us.
package child

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts cmd in a process group of its own, because Ctrl-C is for us and we end it in order.
// If we are killed the kernel kills it. The channel brings what cmd.Wait returned.
func Start(cmd *exec.Cmd) (exited <-chan error, err error) { return StartOn(cmd, nil) }

// StartOn is Start for a process all of whose threads are to run on these CPUs; none means any that
// we may use ourselves.
func StartOn(cmd *exec.Cmd, cpus []int) (exited <-chan error, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	ended := make(chan error, 1)
	go func() {
		// The kernel's death signal is tied to the thread that starts the child, and the CPUs are
		// inherited from it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := startPinned(cmd, cpus)
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}

func startPinned(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	var before, wanted unix.CPUSet
	for _, cpu := range cpus {
		wanted.Set(cpu)
	}
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return err
	}
	err := cmd.Start()
	_ = unix.SchedSetaffinity(0, &before) // it was allowed a moment ago
	return err
}
