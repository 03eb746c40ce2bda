// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync/atomic"
	"time"
)

// How a Caller waits for one value of the server's word: it is a source of its waiter, and parks with
// all other callers of its channel.

// await goes on with a wait after looks looks. It returns nil when the server's word is the awaited one.
func (c *Caller) await(ctx context.Context, awaited uint64, looks uint32) error {
	c.ctx, c.awaited = ctx, awaited
	err := c.waiter.await(c, looks)
	c.ctx = nil
	return err
}

func (c *Caller) turn(n, looks uint32, crowded bool) uint32 {
	if c.waiter.yields(crowded) {
		c.refill()
		c.waiter.yield(n, crowded)
	}
	return c.waiter.spin(c.serverWord, c.awaited, looks)
}

// between looks at the context, and every liveness at the peer.
func (c *Caller) between(n uint32) (done bool, err error) {
	if n%clockEvery != 0 {
		return false, nil
	}
	if c.closing.Load() {
		return false, ErrStopped
	}
	if err := overdue(c.ctx); err != nil || !c.waiter.due(c.ch.liveness) {
		return false, err
	}
	if err := c.ctx.Err(); err != nil {
		return false, err
	}
	return false, c.checkPeer()
}

// park announces the sleep to the server and sleeps until the awaited word is
// there, the context ends or the peer is gone. It returns how long it slept.
func (c *Caller) park() (slept time.Duration, err error) {
	p := &c.ch.parker
	if err := p.add(c); err != nil {
		return 0, err
	}
	c.counters.Parks++
	began := time.Now()
	select {
	case err = <-c.wake:
	case <-c.ctx.Done():
		err = c.ctx.Err()
	}
	p.remove(c)
	slept = time.Since(began)
	c.counters.ParkNs += uint64(slept)
	if c.late {
		c.late = false
		c.counters.Rescued++
	}
	// A word that came in the last moment counts.
	if atomic.LoadUint64(c.serverWord) == c.awaited {
		err = nil
	}
	return slept, err
}
