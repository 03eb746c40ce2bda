// SPDX-License-Identifier: Apache-2.0

package boundary

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/floor"
	"dx/experiments/internal/peer"
	"dx/libdx"
	"dx/vm/child"
	"dx/vm/machine"
	"dx/vm/quick"
)

// bare is what the guest's side of the bare loop has to do first.
type bare struct {
	Bind    string // the URL of a device that is to be bound to vfio; empty: none
	Network bool   // the network card and the loopback get their addresses
}

var bareRole = peer.Of("bare-loop", serveBare)

func serveBare(b bare) error {
	if b.Network {
		if err := setUpNetwork(); err != nil {
			return err
		}
	}
	if b.Bind != "" {
		if err := libdx.BindDevice(b.Bind); err != nil {
			return err
		}
	}
	region, err := mapDevice()
	if err != nil {
		return err
	}
	if len(region) < floor.BoundaryBytes {
		return fmt.Errorf("a region of %d bytes is too small", len(region))
	}
	fmt.Println("ready")
	var never atomic.Int32 // we end with the machine
	return floor.ServeBoundary(region[len(region)-floor.BoundaryBytes:], &never)
}

// mapDevice maps the memory of the ivshmem device, write-combining as libdx does: the kernel does
// not mix kinds.
func mapDevice() ([]byte, error) {
	device, err := machine.FindDevice()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(device, "resource2_wc"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	s, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(s.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// startBare starts the guest's side of the bare loop, and stops it until it is wanted.
func (m *Machine) startBare() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyMax)
	defer cancel()
	b := bare{Network: m.options.Alternatives}
	if m.options.Doorbell {
		b.Bind = m.GuestURL()
	}
	p, err := m.StartReady(ctx, []string{bareRole.Variable(b)}, os.Stderr)
	if err != nil {
		return fmt.Errorf("bare loop: %w", err)
	}
	m.bare = p.command
	return m.bare.Signal(syscall.SIGSTOP)
}

// readyMax is how long what a guest starts with may take: in translated code that is some time.
const readyMax = 2 * time.Minute

// Process is this program, running in the guest.
type Process struct {
	machine *Machine
	command *quick.Command
	lines   *child.Lines
}

// StartReady starts this program in the guest, with env added to its environment, and waits until
// it writes the line "ready" to its standard output. Its standard error comes to stderr.
func (m *Machine) StartReady(ctx context.Context, env []string, stderr io.Writer) (*Process, error) {
	return m.StartProgram(ctx, []string{quick.Self}, env, stderr)
}

// StartProgram is StartReady for any program of the guest: args[0] is its path there.
func (m *Machine) StartProgram(ctx context.Context, args, env []string, stderr io.Writer) (*Process, error) {
	out := child.NewLines()
	command, err := m.guest.Start(args, env, out, stderr)
	if err != nil {
		return nil, err
	}
	if err := child.AwaitReady(ctx, command, out); err != nil {
		return nil, err
	}
	return &Process{m, command, out}, nil
}

// Write writes to the process's standard input; see quick.Command.
func (p *Process) Write(text []byte) (int, error) { return p.command.Write(text) }

// Lines brings what the process says behind "ready". Who expects it to say much must take it in time.
func (p *Process) Lines() <-chan string { return p.lines.C() }

// Ended is closed when the process has ended, or the machine.
func (p *Process) Ended() <-chan struct{} { return p.command.Ended() }

// Signal sends the process a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.command.Signal(s) }

// Pause stops the process, not the machine, and returns when it has stopped.
func (p *Process) Pause() error { return p.command.Signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (p *Process) Resume() error { return p.command.Signal(syscall.SIGCONT) }

// CPUTime is that of the whole machine.
func (p *Process) CPUTime() (time.Duration, error) { return p.machine.CPUTime() }

// End waits for a process that has been told to go, and kills it after a minute.
func (p *Process) End() error { return child.AwaitEnd(p.command) }
