// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"runtime"
	"sync/atomic"

	"dx/go/internal/spin"
)

// A Caller may be closed while another goroutine is in one of its methods. Each method
// says that it uses the Caller, then looks whether it is closing; Close says that it is
// closing, then looks whether it is used. The later one sees the other, and whoever is
// last gives the slot back. Methods are fast and Close is rare, so that only Close pays
// for the order of these steps, by a fence on all CPUs.

// begin must be followed by end, whatever it returns. False: the Caller is closed, and
// nothing of its slot may be touched.
func (c *Caller) begin() bool {
	spin.Mark(&c.using, 1)
	return !c.closing.Load()
}

func (c *Caller) end() {
	spin.Mark(&c.using, 0)
	if c.closing.Load() {
		c.finish() // Close has returned: there is nobody to tell an error
	}
}

// Close gives the slot back. Another goroutine that is in a method of the Caller or of its
// stream is told to end, with ErrStopped (a call of PathCgo ends as if there were no Close),
// and the slot is given back when it has. Close never waits for that, and may be called
// again.
func (c *Caller) Close() error {
	if c.closing.Swap(true) {
		return nil
	}
	close(c.closed)
	fenceAll(c.ch.slowFence)
	c.fenced.Store(true)
	if s := c.stream.Load(); s != nil {
		s.fail(ErrStopped)
		s.shut(ErrStopped)
	}
	c.ch.parker.wakeCaller(c)
	return c.finish()
}

// closeUnused is Close where nobody else can have the Caller.
func (c *Caller) closeUnused() {
	if !c.closing.Swap(true) {
		close(c.closed)
		c.fenced.Store(true)
		_ = c.finish()
	}
}

// finish gives the slot back if nobody uses it any more; closing is set. Who still uses it
// will come here, too.
func (c *Caller) finish() error {
	// Either Close, which comes here after it has set fenced, sees that we have left, or
	// we see that it has: for which our own store must come before our look.
	spin.Fence()
	if !c.fenced.Load() || atomic.LoadUint64(&c.using) != 0 {
		return nil
	}
	s := c.stream.Load()
	if s != nil {
		s.fail(ErrStopped) // it was opened beside our Close
		s.shut(ErrStopped)
		if !s.isReleased() {
			return nil
		}
	}
	if c.finished.Swap(true) {
		return nil
	}
	if s != nil {
		c.settleStream(s)
	}
	c.ch.crowd.callers.Add(-1)
	if c.ch.path == PathNative {
		c.raw.Settle(c.sequence, c.begun, c.abandoned)
	}
	c.raw.Close()
	c.ch.slots.closed()
	return c.ch.leave()
}

// fenceAll is a fence on each CPU that runs a thread of this process: what a goroutine has
// stored before its own next load is seen by us afterwards, or that load sees what we have
// stored before. Where there is no system call for it, the runtime stops all goroutines for
// a moment, which is the same and slower.
func fenceAll(slow bool) {
	if slow || !fenceThreads() {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
	}
}
