// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// Bounds of a child's start and end, for machines that others use, too.
const (
	startMax = 2 * time.Minute
	endMax   = time.Minute
)

// Running is a process that was started, here or in a virtual machine.
type Running interface {
	Ended() <-chan struct{} // closed when it has ended
	Wait() error
	Signal(syscall.Signal) error
}

// AwaitReady waits until a process writes the line "ready" to its standard output, which goes to
// lines, for at most two minutes. One that does not is killed.
func AwaitReady(ctx context.Context, r Running, lines *Lines) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	var err error
	select {
	case line := <-lines.C():
		if line == "ready" {
			return nil
		}
		err = fmt.Errorf("it said %q instead of ready", line)
	case <-r.Ended():
		return fmt.Errorf("guest: it ended before it was ready: %v", r.Wait())
	case <-ctx.Done():
		err = fmt.Errorf("not ready: %w", ctx.Err())
	}
	_ = r.Signal(syscall.SIGKILL)
	return fmt.Errorf("guest: %w (it ended: %v)", err, r.Wait())
}

// AwaitEnd waits for a process that has been told to go, and kills it after a minute.
func AwaitEnd(r Running) error {
	_ = r.Signal(syscall.SIGCONT) // in case it is stopped
	select {
	case <-r.Ended():
		if err := r.Wait(); err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		return nil
	case <-time.After(endMax):
		_ = r.Signal(syscall.SIGKILL)
		_ = r.Wait()
		return fmt.Errorf("guest: still there %v after its host had gone; killed", endMax)
	}
}

// A Process is a child that has said that it is ready.
type Process struct {
	Cmd   *exec.Cmd
	input io.WriteCloser
	lines *Lines
	ended chan struct{}
	err   error // once it has ended
}

// StartReady starts cmd and waits until it is ready: see AwaitReady.
func StartReady(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	return StartReadyOn(ctx, cmd, nil)
}

// StartReadyOn is StartReady for a process all of whose threads are to run on these CPUs: see StartOn.
func StartReadyOn(ctx context.Context, cmd *exec.Cmd, cpus []int) (*Process, error) {
	p := &Process{Cmd: cmd, lines: NewLines(), ended: make(chan struct{})}
	cmd.Stdout = p.lines
	var err error
	if p.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	exited, err := StartOn(cmd, cpus)
	if err != nil {
		return nil, fmt.Errorf("cannot start the guest: %w", err)
	}
	go func() {
		p.err = <-exited
		close(p.ended)
	}()
	if err := AwaitReady(ctx, p, p.lines); err != nil {
		return nil, err
	}
	return p, nil
}

// Write writes to the process's standard input.
func (p *Process) Write(text []byte) (int, error) { return p.input.Write(text) }

// CloseInput ends its standard input.
func (p *Process) CloseInput() error { return p.input.Close() }

// Lines brings what the process says after "ready". Who expects it to say much must take it in time.
func (p *Process) Lines() <-chan string { return p.lines.C() }

// Ended is closed when the process has ended, and Wait returns what came of it then.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.Cmd.Process.Signal(s) }

// End is AwaitEnd.
func (p *Process) End() error { return AwaitEnd(p) }
