// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"dx/libdx"
)

// When a slot is ready for a request, and how one is given up.

// readyWord is the server's word with which it has let go of everything that was
// sent on our slot.
func (c *Caller) readyWord() uint64 {
	if c.abandoned {
		return word(c.epoch, libdx.ServerAcknowledged, c.sequence)
	}
	return word(c.epoch, libdx.ServerReady, 0)
}

// getReady waits until a request may be sent: the first time for the server's
// greeting, and after a call that was given up for the server to let go of it.
func (c *Caller) getReady(ctx context.Context) error {
	if s := c.stream.Load(); s != nil {
		if err := c.awaitRelease(ctx, s); err != nil {
			return err
		}
		if c.settleStream(s); c.ready {
			return nil
		}
	}
	awaited := c.readyWord()
	if c.waiter.spin(c.serverWord, awaited, 1) == 0 {
		c.ringServer()
		if err := c.await(ctx, awaited, 0); err != nil {
			if err == context.DeadlineExceeded && PeerState(c.ch.raw.Peer()) != PeerAlive {
				err = ErrNoPeer
			}
			return c.failed(err)
		}
	}
	c.begun, c.abandoned, c.ready = true, false, true
	return nil
}

// abandon gives up the request under way: a server that has not begun it will
// not.
func (c *Caller) abandon() {
	c.ready, c.abandoned = false, true
	c.publishAbandoned(c.sequence)
}

func (c *Caller) publishAbandoned(sequence uint32) {
	atomic.StoreUint64(c.callerWord, word(c.epoch, libdx.CallerAbandoned, sequence))
	c.ringServer()
}

// exchangeCgo is one cgo call, with an OS thread held until the answer. A
// context that is cancelled without a deadline is noticed only afterwards.
func (c *Caller) exchangeCgo(ctx context.Context, kind uint32, n int) (Reply, error) {
	timeout := time.Duration(-1)
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(1, time.Until(deadline))
	}
	data, bytes, status, outcome := c.raw.CallInPlace(kind, n, int64(timeout))
	if outcome != libdx.OK {
		return Reply{}, errorOf(outcome)
	}
	return Reply{Data: unsafe.Slice((*byte)(data), bytes), Status: status}, nil
}
