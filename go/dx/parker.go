// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// parker puts goroutines to sleep: all parked callers of a channel are rung
// through one cell, for which one goroutine waits, so that thousands of them cost
// one thread of libdx.
type parker struct {
	ch      *Channel
	bell    bell
	mu      sync.Mutex
	waiting map[*Caller]uint64 // the word that each awaits
	flows   map[*flow]struct{} // of streams, of callers and of servers
	running bool
	toldEnd bool           // parked Callers have been told of an end; run's
	begin   func()         // run, made once: whoever parks allocates nothing
	ended   sync.WaitGroup // of run
}

func (p *parker) init(ch *Channel) {
	p.ch = ch
	p.bell.ch = ch
	p.begin = func() { defer p.ended.Done(); p.run() }
	p.waiting = map[*Caller]uint64{}
	p.flows = map[*flow]struct{}{}
}

func (p *parker) add(c *Caller) error {
	cell := c.raw.View().SharedCell
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.prepare(cell); err != nil {
		return err
	}
	if c.closing.Load() { // else wakeCaller finds us
		return ErrStopped
	}
	// R7 -> A7 (serve.c): either the sleeper has armed the cell before, or it will
	// look at us after arming it. S4 <-> S3: announced before the look below.
	parked := cell + 1
	if c.orAwaited != 0 {
		parked |= libdx.ParkedProgress
	}
	atomic.StoreUint32(c.parked, parked)
	if c.hasCome(c.awaited) {
		c.wake <- nil
		return nil
	}
	p.waiting[c] = c.awaited
	if err := p.ensureRunning(); err != nil {
		delete(p.waiting, c)
		return err
	}
	return nil
}

// prepare opens the bell of the shared cell; p.mu is held.
func (p *parker) prepare(cell uint32) error {
	if p.ch.stopped.Load() {
		return ErrStopped
	}
	if p.bell.cell != cell { // the first time
		p.bell.cell = cell
	}
	return p.bell.ensure()
}

// ensureRunning starts run if it does not run; p.mu is held.
func (p *parker) ensureRunning() error {
	if p.running {
		return nil
	}
	if err := p.ch.enter(); err != nil {
		return err
	}
	p.running = true
	p.ended.Add(1)
	go p.begin()
	return nil
}

func (p *parker) remove(c *Caller) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, c)
	atomic.StoreUint32(c.parked, 0)
	select { // what was sent to us meanwhile
	case <-c.wake:
	default:
	}
}

// hasCome says whether the server's word is what is waited for.
func (c *Caller) hasCome(awaited uint64) bool {
	w := atomic.LoadUint64(c.serverWord)
	return w == awaited || c.orAwaited != 0 && w == c.orAwaited
}

// wakeReady wakes those whose word is there, late if nobody rang for it; p.mu is held. It returns
// how many go on waiting.
func (p *parker) wakeReady(late bool) (woken, left int) {
	for c, awaited := range p.waiting {
		if c.hasCome(awaited) {
			delete(p.waiting, c)
			c.late = late
			c.wake <- nil
			woken++
		}
	}
	for f := range p.flows {
		if f.ready() {
			f.late = late
			p.wakeFlow(f, nil)
			woken++
		}
	}
	return woken, len(p.waiting) + len(p.flows)
}

// wakeCaller ends the wait of a Caller that is being closed.
func (p *parker) wakeCaller(c *Caller) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.waiting[c]; waits {
		delete(p.waiting, c)
		c.wake <- ErrStopped
	}
}

// wakeAll ends all waits; p.mu is held.
func (p *parker) wakeAll(err error) {
	for c := range p.waiting {
		delete(p.waiting, c)
		c.wake <- err
	}
	for f := range p.flows {
		p.wakeFlow(f, err)
	}
}

// run waits in the shared cell for as long as anybody is parked.
func (p *parker) run() {
	defer func() { _ = p.ch.leave() }()
	late := false
	for {
		p.mu.Lock()
		cell := p.bell.cell
		armed := p.ch.raw.Arm(cell)
		woken, left := p.wakeReady(late)
		if woken != 0 {
			p.bell.foundNews()
		}
		if left == 0 {
			p.running = false
			p.ch.raw.Disarm(cell, armed)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		// Behind the announcement, because whoever closes rings those who are
		// announced.
		late = woken == 0 && p.checkPeer() && p.sleep(armed)
		p.ch.raw.Disarm(cell, armed)
	}
}

// sleep waits to be rung. It returns true if nobody rang in all that time who should have if there
// is news.
func (p *parker) sleep(armed uint32) (late bool) {
	limit, began := p.sleepLimit(), time.Now()
	rung := p.bell.wait(armed, limit)
	return !rung && time.Since(began) >= limit && libdx.ArmedPark(armed) != libdx.ParkPoll
}

// checkPeer ends the waits that make no sense any more, and returns whether any may be left.
func (p *parker) checkPeer() bool {
	status := p.ch.raw.Check()
	if status == libdx.OK {
		if p.toldEnd {
			p.peerCame()
		}
		return true
	}
	session := p.ch.raw.PeerInfo().Session
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeReady(false)
	return p.wakeEnded(status, session)
}

func (p *parker) sleepLimit() time.Duration {
	return min(p.ch.sleep, time.Duration(p.ch.wait.ParkTimeoutNs))
}

// stop ends all waits with ErrStopped and returns when run has ended, which the
// channel's stop has rung.
func (p *parker) stop() {
	p.mu.Lock()
	p.wakeAll(ErrStopped)
	p.mu.Unlock()
	p.ended.Wait()
	p.mu.Lock()
	p.bell.close()
	p.mu.Unlock()
}
