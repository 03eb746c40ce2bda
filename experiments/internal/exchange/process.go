// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/internal/child"
)

// guest is the guest: this program again, started by us and ended by us.
type guest interface {
	io.Writer             // its standard input
	Lines() <-chan string // of its standard output, behind "ready"
	// pause stops the guest and returns when it has stopped, so that the floor is
	// measured on CPUs that nobody else wants.
	pause() error
	resume() error
	// cpuTime is what the guest has used until now.
	cpuTime() (time.Duration, error)
	// end waits for the guest, whose host is gone, and kills it if it does not go.
	end() error
}

// guestProcess is a guest beside us, under the same kernel.
type guestProcess struct{ *child.Process }

// startGuest starts the guest and waits until it says that it is ready.
func startGuest(ctx context.Context, c Config, host load, cpus placement, vm *vmRun) (guest, error) {
	g := guestConfig{Lang: c.Guest, Path: c.Path, Payload: c.Payload, Wait: c.Wait,
		Procs: procs(c, cpus.Guest), Lock: c.LockOSThread}
	g.Bell = c.Transport == TransportBell
	if c.Direction == GuestToHost {
		g.Threads, g.Verify = c.Threads, c.Verify
	}
	if vm != nil {
		g.URL, g.Verify = vm.machine.GuestURL(), c.Verify
		if isAlternative(c.Transport) {
			g.URL = host.url()
		}
		return vm.start(ctx, g)
	}
	if cpus.pinned {
		g.CPUs = cpus.Guest
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	g.URL = host.url()
	if c.Transport == "memfd" {
		url, done, err := child.PassRegion(cmd, host.fd())
		if err != nil {
			return nil, err
		}
		defer done()
		g.URL = url
	}
	text, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), guestEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	p, err := child.StartReady(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &guestProcess{p}, nil
}

func (p *guestProcess) pause() error {
	if err := p.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	// WNOWAIT leaves an exit to be seen by Wait.
	for {
		err := unix.Waitid(unix.P_PID, p.Cmd.Process.Pid, nil,
			unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

func (p *guestProcess) resume() error { return p.Cmd.Process.Signal(syscall.SIGCONT) }

func (p *guestProcess) cpuTime() (time.Duration, error) {
	// The clock of another process, as clock_getcpuclockid makes it.
	clock := int32(^p.Cmd.Process.Pid<<3 | 2)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("CPU time of the guest: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

func (p *guestProcess) end() error { return p.End() }

// procs is GOMAXPROCS for a side.
func procs(c Config, cpus []int) int {
	if c.Procs > 0 {
		return c.Procs
	}
	return len(cpus)
}
