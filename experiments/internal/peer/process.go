// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/vm/child"
)

// Process is a peer that has said that it is ready: this program again, started by us and ended by us.
type Process interface {
	io.Writer             // its standard input
	Lines() <-chan string // of its standard output, after "ready"
	// Pause stops it and returns when it has stopped, so that others have its CPUs.
	Pause() error
	Resume() error
	// CPUTime is what it has used until now.
	CPUTime() (time.Duration, error)
	// End waits for a process whose host is gone, and kills it if it does not go.
	End() error
}

// Beside is a process beside us, under the same kernel.
type Beside struct{ *child.Process }

// URL is where a host and its guests meet by a transport: in a folder, or by a name of this process.
func URL(transport, folder, name string) string {
	switch transport {
	case "shm":
		return fmt.Sprintf("shm:dx-%s-%d", name, os.Getpid())
	case "file":
		return "file:" + filepath.Join(folder, "region")
	case "unix":
		return "unix:" + filepath.Join(folder, "rendezvous")
	}
	return "memfd:"
}

// Reach is the same place for a guest beside us, and the descriptor that it must inherit for that;
// -1: none.
func Reach(url string, fd int) (guestURL string, inherited int) {
	if url == "memfd:" {
		return "memfd:3", fd // after the standard ones
	}
	return url, -1
}

// Start starts a peer beside us, with a descriptor from Reach, and waits until it says "ready".
func (r Role[C]) Start(ctx context.Context, c C, inherited int) (Process, error) {
	cmd, err := r.Command(c)
	if err != nil {
		return nil, err
	}
	if inherited >= 0 {
		own, err := unix.FcntlInt(uintptr(inherited), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, fmt.Errorf("cannot pass the region on: %w", err)
		}
		region := os.NewFile(uintptr(own), "region")
		defer func() { _ = region.Close() }()
		cmd.ExtraFiles = []*os.File{region}
	}
	p, err := child.StartReady(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return Beside{p}, nil
}

func (p Beside) Pause() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	return AwaitStop(p.Cmd.Process.Pid)
}

func (p Beside) Resume() error { return p.Signal(syscall.SIGCONT) }

func (p Beside) CPUTime() (time.Duration, error) {
	// The clock of another process, as clock_getcpuclockid makes it.
	clock := int32(^p.Cmd.Process.Pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("CPU time of the guest: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// AwaitStop returns when a child of ours has stopped, or ended. It leaves an exit to be seen by Wait.
func AwaitStop(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// Wakeups is how often the threads of a process that live have slept, and were woken.
func Wakeups(pid int) (sum uint64, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		_, rest, ok := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		if !ok || err != nil {
			return 0, fmt.Errorf("%s: no voluntary_ctxt_switches", file)
		}
		sum += n
	}
	return sum, err
}
