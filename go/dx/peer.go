// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"time"

	"dx/libdx"
)

// peerPauseMax is the longest time between two looks for a peer.
const peerPauseMax = 20 * time.Millisecond

// WaitPeer waits until the other side is there and lives, and returns nil at once if it
// is. It looks at most 20 ms apart. When ctx has ended, the error is ctx's and ErrNoPeer, by
// errors.Is; after Stop it is ErrStopped.
func (ch *Channel) WaitPeer(ctx context.Context) error {
	if err := ch.enter(); err != nil {
		return err
	}
	defer func() { _ = ch.leave() }()
	for began := time.Now(); ; {
		if ch.stopped.Load() {
			return ErrStopped
		}
		if ch.Peer().State == PeerAlive {
			return nil
		}
		if status := ch.raw.Check(); status != libdx.OK && !isEnd(status) {
			return errorOf(status)
		}
		pause := time.Since(began)
		if err := sleep(ctx, min(max(pause, attachPauseMin), peerPauseMax)); err != nil {
			return &endedError{err, ErrNoPeer}
		}
	}
}

// isEnd says that the other side was there and is no more.
func isEnd(status libdx.Status) bool {
	return status == libdx.ErrPeerDead || status == libdx.ErrPeerClosed
}

// checkPeer says whether waiting for an answer is worth while. Without a peer a call
// waits for one. The end of a peer is told once to each Caller, because a call that was
// under way has lost its answer; from then on there is no peer, as before the first
// came.
func (c *Caller) checkPeer() error {
	status := c.ch.raw.Check()
	if status == libdx.OK {
		c.toldSession = 0 // the next one may end before it has said its session
	}
	if isEnd(status) && c.toldOf(c.ch.raw.PeerInfo().Session) {
		return nil
	}
	return errorOf(status)
}

// toldOf says whether the Caller was told of the end of this session before, and takes
// note of it. It is called by who makes the call, or while that one is parked.
func (c *Caller) toldOf(session uint64) bool {
	told := c.toldSession == session
	c.toldSession = session
	return told
}

// peerCame lets the parked Callers be told of the end of the peer that is there now. It is
// called by run.
func (p *parker) peerCame() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toldEnd = false
	for c := range p.waiting {
		c.toldSession = 0
	}
}

// wakeEnded ends the waits that make no sense any more, for this reason. It returns
// whether any is left: of Callers that have been told of this end and wait for the next
// peer. p.mu is held.
func (p *parker) wakeEnded(status libdx.Status, session uint64) (left bool) {
	for c := range p.waiting {
		if isEnd(status) && c.toldOf(session) {
			left, p.toldEnd = true, true
			continue
		}
		delete(p.waiting, c)
		c.wake <- errorOf(status)
	}
	for f := range p.flows {
		if c := f.stream.caller; c != nil && isEnd(status) {
			c.toldSession = session
		}
		p.wakeFlow(f, errorOf(status))
	}
	return left
}
