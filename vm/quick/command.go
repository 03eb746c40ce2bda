// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// ErrGone means that the guest ended while its command ran, or before.
var ErrGone = errors.New("the guest is gone")

// Command is a program that runs in the guest.
type Command struct {
	guest          *Guest
	id             int
	stdout, stderr io.Writer
	signalling     sync.Mutex
	sent           chan struct{} // a signal was
	ended          chan struct{}
	err            error
}

// Start starts a program in the guest: args[0] is its path there, env is added to an almost empty
// environment. What it writes comes over the serial line, some 100 KB/s, and goes to stdout and
// stderr, either of which may be nil; a Write that blocks stops all that the guest has to say.
func (g *Guest) Start(args, env []string, stdout, stderr io.Writer) (*Command, error) {
	c := &Command{guest: g, stdout: stdout, stderr: stderr, sent: make(chan struct{}, 1),
		ended: make(chan struct{})}
	g.mu.Lock()
	gone := g.gone
	if !gone {
		g.lastID++
		c.id = g.lastID
		g.commands[c.id] = c
	}
	g.mu.Unlock()
	if gone {
		return nil, fmt.Errorf("%w: %w", ErrGone, g.Err())
	}
	// If the guest goes now, listen ends the command.
	return c, g.order(order{ID: c.id, Run: args, Env: env})
}

func (g *Guest) order(o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := g.Send(string(text)); err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return nil
}

// Write writes to the program's standard input, which never ends. What the program leaves unread
// for a second is lost, since the guest's init does not wait for it any longer; 64 KiB always fit.
func (c *Command) Write(text []byte) (int, error) {
	if err := c.guest.order(order{ID: c.id, In: text}); err != nil {
		return 0, err
	}
	return len(text), nil
}

func (c *Command) take(n news) {
	if len(n.Out) > 0 && c.stdout != nil {
		_, _ = c.stdout.Write(n.Out)
	}
	if len(n.Err) > 0 && c.stderr != nil {
		_, _ = c.stderr.Write(n.Err)
	}
	switch {
	case n.Sent:
		select {
		case c.sent <- struct{}{}:
		default: // nobody asked: a guest may say what it likes
		}
	case n.Ended && n.Fail != "":
		c.finish(errors.New(n.Fail))
	case n.Ended:
		c.finish(nil)
	}
}

func (c *Command) finish(err error) {
	c.err = err
	close(c.ended)
}

// Ended is closed when the program has ended and all that it wrote has been handed on.
func (c *Command) Ended() <-chan struct{} { return c.ended }

// Wait returns how the program ended: nil after exit code 0, ErrGone if the guest went first.
func (c *Command) Wait() error {
	<-c.ended
	return c.err
}

// Signal sends the program a signal, and returns when the guest has done so and, if it is SIGSTOP,
// the program has stopped. One that has ended already is no error.
func (c *Command) Signal(s syscall.Signal) error {
	c.signalling.Lock()
	defer c.signalling.Unlock()
	select {
	case <-c.ended:
		return c.gone()
	default:
	}
	if err := c.guest.order(order{ID: c.id, Kill: int(s)}); err != nil {
		return err
	}
	select {
	case <-c.sent:
		return nil
	case <-c.ended:
		return c.gone()
	}
}

// gone is the error of an ended command whose guest went first.
func (c *Command) gone() error {
	if errors.Is(c.err, ErrGone) {
		return c.err
	}
	return nil
}
