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

// A Process is a child that has said that it is ready.
type Process struct {
	Cmd    *exec.Cmd
	input  io.WriteCloser
	lines  *Lines
	exited <-chan error
}

// StartReady starts cmd and waits until it writes the line "ready" to its standard
// output, for at most two minutes. A child that does not is killed.
func StartReady(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Cmd: cmd, lines: NewLines()}
	cmd.Stdout = p.lines
	var err error
	if p.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.exited, err = Start(cmd); err != nil {
		return nil, fmt.Errorf("cannot start the guest: %w", err)
	}
	select {
	case line := <-p.lines.C():
		if line != "ready" {
			err = fmt.Errorf("it said %q instead of ready", line)
		}
	case end := <-p.exited:
		return nil, fmt.Errorf("guest: it ended before it was ready: %v", end)
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startMax):
		err = fmt.Errorf("not ready after %v", startMax)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("guest: %w (it ended: %v)", err, <-p.exited)
	}
	return p, nil
}

// Write writes to the process's standard input.
func (p *Process) Write(text []byte) (int, error) { return p.input.Write(text) }

// Lines brings what the process says behind "ready". Who expects it to say much must take it in time.
func (p *Process) Lines() <-chan string { return p.lines.C() }

// End waits for a child that has been told to go, and kills it after a minute.
func (p *Process) End() error {
	_ = p.Cmd.Process.Signal(syscall.SIGCONT) // in case it is stopped
	select {
	case err := <-p.exited:
		if err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		return nil
	case <-time.After(endMax):
		_ = p.Cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("guest: still there %v after its host had gone; killed", endMax)
	}
}
