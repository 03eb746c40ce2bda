// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"dx/go/dx"
)

// SetLinger says what Close does with bytes that the other side has not read yet, as
// net.TCPConn's does. With sec < 0 (the default) they are delivered in the background. With
// 0 they are dropped, and the other side reads syscall.ECONNRESET. With more, Close waits so
// many seconds for the other side to read them, and then drops the rest.
//
// It is for the side that has dialed. What the listening side has written can be read even
// after the end of its process, if the process has closed its listener first. There only 0
// differs.
func (c *Conn) SetLinger(sec int) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	c.linger.Store(int64(sec))
	return nil
}

// Close closes the connection. Read and Write that wait end with net.ErrClosed. What was
// written before is still delivered.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.failed("close", net.ErrClosed)
	}
	beforeWrite()
	c.readBy.end()
	c.writeBy.end()
	close(c.closing)
	switch {
	case c.dialed != nil:
		c.closeDialed()
	case c.onClose != nil:
		c.onClose()
	}
	return nil
}

// closeDialed ends the stream, at once if the other side has read all, and else when it has.
func (c *Conn) closeDialed() {
	if c.linger.Load() == 0 {
		c.release(dx.ErrCancelled)
		return
	}
	c.writing.Lock() // who wrote leaves at once
	c.stream.CloseWrite()
	err := c.stream.Flush()
	c.writing.Unlock()
	if err != context.DeadlineExceeded { // of writeBy, which has ended
		c.release(err)
		return
	}
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		c.release(c.deliver())
	}()
	if sec := c.linger.Load(); sec > 0 {
		limit := time.NewTimer(time.Duration(sec) * time.Second)
		defer limit.Stop()
		select {
		case <-delivered:
		case <-limit.C:
			_ = c.stream.Close()
			<-delivered
		}
	}
}

// deliver waits until the other side has read all that was written, and drops what comes
// meanwhile: the other side may be waiting to write.
func (c *Conn) deliver() error {
	var dropping sync.WaitGroup
	defer dropping.Wait()
	dropping.Go(func() {
		c.reading.Lock()
		defer c.reading.Unlock()
		c.stream.SetReadContext(context.Background())
		_, _ = io.Copy(io.Discard, c.stream)
	})
	c.writing.Lock()
	defer c.writing.Unlock()
	c.stream.SetWriteContext(context.Background())
	err := c.stream.Flush()
	if !errors.Is(err, dx.ErrEnded) {
		_ = c.stream.Close() // which also ends dropping
	}
	return err
}

// release gives the slot back. err is how waiting for the other side to read all has ended.
func (c *Conn) release(err error) {
	if errors.Is(err, dx.ErrEnded) {
		c.end()
	}
	_ = c.stream.Close()
	c.dialed.release()
}

// end ends a stream whose handler has returned, which takes no time.
func (c *Conn) end() {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.stream.SetContext(context.Background())
	_, _ = c.stream.End()
}
