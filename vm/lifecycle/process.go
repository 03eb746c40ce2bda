// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one process, also after its number has gone to another one.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since the boot
	Boot  string `json:"boot"`  // which boot
}

// identify returns what tells the process that now has this number.
func identify(pid int) (Process, error) {
	start, state, err := startOf(pid)
	if err != nil {
		return Process{}, err
	}
	if state == 'Z' || state == 'X' {
		return Process{}, fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return Process{pid, start, strings.TrimSpace(string(boot))}, err
}

// startOf reads /proc/PID/stat. The name in it may hold anything, also parentheses.
func startOf(pid int) (start uint64, state byte, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0][0], err
}

// open returns a descriptor of the process that stays with it, and -1 if it has ended.
func (p Process) open() (fd int, err error) {
	if p.PID <= 0 {
		return -1, nil
	}
	fd, err = unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, nil
	}
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	// The descriptor came first: if its process still has the recorded start, then it is that one
	// for good.
	if now, err := identify(p.PID); err != nil || now != p {
		_ = unix.Close(fd)
		return -1, nil
	}
	return fd, nil
}

// Running says whether the process has not ended. A process that cannot be told counts as running.
func (p Process) Running() bool {
	fd, err := p.open()
	if fd >= 0 {
		_ = unix.Close(fd)
	}
	return fd >= 0 || err != nil
}

// Signal sends a signal to the process, and nothing to anybody if it has ended.
func (p Process) Signal(signal unix.Signal) error {
	fd, err := p.open()
	if fd < 0 {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.PidfdSendSignal(fd, signal, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Gone waits until the process has ended.
func (p Process) Gone(ctx context.Context) error {
	fd, err := p.open()
	if fd < 0 {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for ctx.Err() == nil {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		// Woken now and then, because poll knows nothing of contexts.
		if n, err := unix.Poll(poll, int((50 * time.Millisecond).Milliseconds())); n > 0 {
			return nil
		} else if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return fmt.Errorf("process %d goes on: %w", p.PID, ctx.Err())
}

// Kill kills the process and waits until it has ended.
func (p Process) Kill(ctx context.Context) error {
	if err := p.Signal(unix.SIGKILL); err != nil {
		return err
	}
	return p.Gone(ctx)
}
