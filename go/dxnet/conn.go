// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dx/go/dx"
)

// Conn is a connection: a net.Conn. All methods may be called by any number of goroutines.
type Conn struct {
	stream *dx.Stream
	addr   Addr

	reading, writing sync.Mutex // held by who reads, and by who writes
	readBy, writeBy  deadline
	writeClosed      atomic.Bool
	atEnd            bool // the handler has ended, and all had been read; under reading

	closed  atomic.Bool
	closing chan struct{} // closed by Close
	linger  atomic.Int64  // seconds, as of SetLinger

	dialed  *dialed // of a connection that was dialed, else nil
	onClose func()  // of one that the program has accepted
}

var _ net.Conn = (*Conn)(nil)

func newConn(stream *dx.Stream, addr Addr) *Conn {
	c := &Conn{stream: stream, addr: addr, closing: make(chan struct{})}
	c.linger.Store(-1)
	c.readBy.init()
	c.writeBy.init()
	stream.SetReadContext(&c.readBy)
	stream.SetWriteContext(&c.writeBy)
	return c
}

// LocalAddr returns the address of the connection, an Addr.
func (c *Conn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr returns the same as LocalAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

func (c *Conn) failed(op string, err error) error { return opError(op, c.addr, c.addr, err) }

// Read copies what is there to p, and waits only if there is nothing. At the end of what
// the other side has written it returns io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	if c.closed.Load() { // and then who delivers the rest may have the lock
		return 0, c.failed("read", net.ErrClosed)
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.closed.Load() {
		return 0, c.failed("read", net.ErrClosed)
	}
	n, err := c.stream.Read(p)
	afterRead()
	if err == nil {
		return n, nil
	}
	return n, c.readError(err)
}

// readError is called with reading held.
func (c *Conn) readError(err error) error {
	switch {
	case c.closed.Load():
		err = net.ErrClosed
	case err == context.DeadlineExceeded:
		err = os.ErrDeadlineExceeded
	case err == io.EOF:
		status, ended := c.stream.Answer()
		if !ended || status == 0 {
			return io.EOF
		}
		err = syscall.ECONNRESET // the other side has lost what it forwarded
	case c.atEnd || c.stream.AtEnd():
		return io.EOF // and later it went away
	default:
		err = &failure{syscall.ECONNRESET, err}
	}
	return c.failed("read", err)
}

// Write waits until all of p is on its way to the other side.
func (c *Conn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, c.failed("write", net.ErrClosed)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	switch {
	case c.closed.Load():
		return 0, c.failed("write", net.ErrClosed)
	case c.writeClosed.Load():
		return 0, c.failed("write", syscall.EPIPE)
	}
	beforeWrite()
	n, err := c.stream.Write(p)
	if err == nil {
		return n, nil
	}
	return n, c.writeError(err)
}

func (c *Conn) writeError(err error) error {
	switch {
	case c.closed.Load():
		err = net.ErrClosed
	case c.writeClosed.Load():
		err = syscall.EPIPE
	case err == context.DeadlineExceeded:
		err = os.ErrDeadlineExceeded
	case errors.Is(err, dx.ErrEnded), errors.Is(err, dx.ErrCancelled):
		err = &failure{syscall.EPIPE, err}
	default:
		err = &failure{syscall.ECONNRESET, err}
	}
	return c.failed("write", err)
}

// CloseWrite ends what this side writes: the other side reads io.EOF after it. A Write
// that waits ends with syscall.EPIPE. Read goes on.
func (c *Conn) CloseWrite() error {
	if c.closed.Load() {
		return c.failed("close", net.ErrClosed)
	}
	beforeWrite()
	c.writeClosed.Store(true)
	c.writeBy.end()
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.closed.Load() { // Close does it else
		c.stream.CloseWrite()
	}
	return nil
}

// SetDeadline sets the deadlines of Read and Write, also of those that wait now.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, &c.readBy, &c.writeBy) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, &c.readBy) }

// SetWriteDeadline sets the deadline of Write. A Write that it ends may have written a
// part, and says how much.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.writeBy) }

func (c *Conn) setDeadline(t time.Time, deadlines ...*deadline) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		d.set(t)
	}
	return nil
}
