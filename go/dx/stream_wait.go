// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"sync/atomic"
	"time"

	"dx/go/internal/spin"
	"dx/libdx"
)

// How a flow waits: it is a source of a waiter of its own, since two goroutines may use the flows of a
// stream, and parks with the callers of its channel.

// begins gives the flow the strategy of whoever opened its stream, as it is now.
func (f *flow) begins(w *waiter) {
	f.waiter = *w
	f.waiter.counters = &f.counted
	f.waiter.won = 0
}

// await waits until wanted bytes are there or will never be. What to make of
// that is for the caller: e is what ended the stream, if it has ended.
func (f *flow) await(wanted int) (e *ending, err error) {
	ctx := f.ctx
	f.wanted = max(1, wanted)
	if ctx.Done() != nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if !f.look() {
		if err := f.waiter.await(f, 0); err != nil {
			return nil, err
		}
	}
	return f.over, nil
}

// look looks at all that the other side says; true if there is nothing to wait for.
func (f *flow) look() bool {
	f.over = f.stream.refresh(f)
	return f.over != nil || f.satisfied()
}

func (f *flow) turn(n, looks uint32, crowded bool) uint32 {
	if n > 1 && f.waiter.yields(crowded) {
		f.waiter.yield(n, crowded)
	}
	for i := uint32(1); i <= looks; i++ {
		f.relax()
		if f.look() {
			return i
		}
	}
	return 0
}

// relax rests until the other side may have said something new. Its words are all in one line, which is
// what a monitor watches.
func (f *flow) relax() {
	switch {
	case f.waiter.rests && f.stream.accepted.Load():
		seen := f.peer
		if f.ended && !f.sends {
			seen |= libdx.StreamEnd
		}
		spin.Rest(f.theirs, seen)
	case f.waiter.relax:
		spin.Pause()
	}
}

// between looks at the context, and every liveness at the peer.
func (f *flow) between(n uint32) (done bool, err error) {
	if n%clockEvery != 0 {
		return false, nil
	}
	s := f.stream
	if s.ch.stopped.Load() {
		s.fail(ErrStopped) // which the next look finds
		return false, nil
	}
	if err := overdue(f.ctx); err != nil || !f.waiter.due(s.ch.liveness) {
		return false, err
	}
	if err := f.ctx.Err(); err != nil {
		return false, err
	}
	if err := errorOf(s.ch.raw.Check()); err != nil {
		s.fail(err)
	}
	return false, nil
}

// park sleeps until there is nothing to wait for. A context that ends, ends the wait and not the
// stream; all else that does is the stream's end.
func (f *flow) park() (slept time.Duration, err error) {
	s := f.stream
	for {
		asleep, ended, err := s.ch.parker.parkFlow(f)
		slept += asleep
		switch {
		case f.look(): // news count first
			return slept, nil
		case ended != nil:
			return slept, ended
		case err != nil:
			f.over = s.fail(err)
			return slept, nil
		}
	}
}

// addWaits adds what the flows of a stream have counted, when nobody uses them any more: for whoever
// is the writer of these counters.
func (s *Stream) addWaits(to *libdx.Counters) {
	for _, c := range []*libdx.Counters{&s.in.counted, &s.out.counted} {
		to.Looks += c.Looks
		to.Spin += c.Spin
		to.Yield += c.Yield
		to.Park += c.Park
		to.Parks += c.Parks
		to.ParkNs += c.ParkNs
		to.Rings += c.Rings
		to.Rescued += c.Rescued
		to.Yields += c.Yields
	}
}

// parkFlow sleeps until there is something to look at. ended is the context's error, and
// err says that waiting makes no sense any more.
func (p *parker) parkFlow(f *flow) (slept time.Duration, ended, err error) {
	if err := p.addFlow(f); err != nil {
		return 0, nil, err
	}
	f.counted.Parks++
	began := time.Now()
	select {
	case err = <-f.wake:
	case <-f.ctx.Done():
		ended = f.ctx.Err()
	}
	p.removeFlow(f)
	slept = time.Since(began)
	f.counted.ParkNs += uint64(slept)
	if f.late {
		f.late = false
		f.counted.Rescued++
	}
	return slept, ended, err
}

func (p *parker) addFlow(f *flow) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.prepare(f.stream.sharedCell); err != nil {
		return err
	}
	if c := f.stream.caller; c != nil {
		// R7 -> A7 (serve.c), S4 <-> S3: as in add. Both flows of a caller may sleep.
		c.asleep++
		atomic.StoreUint32(c.parked, f.stream.sharedCell+1)
	}
	if f.ready() {
		f.wake <- nil
		return nil
	}
	p.flows[f] = struct{}{}
	if err := p.ensureRunning(); err != nil {
		p.forget(f)
		return err
	}
	return nil
}

// forget takes back what addFlow announced; p.mu is held.
func (p *parker) forget(f *flow) {
	delete(p.flows, f)
	if c := f.stream.caller; c != nil {
		if c.asleep--; c.asleep == 0 {
			atomic.StoreUint32(c.parked, 0)
		}
	}
}

func (p *parker) removeFlow(f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(f)
	select { // what was sent to us meanwhile
	case <-f.wake:
	default:
	}
}

// wakeFlow is called with p.mu held.
func (p *parker) wakeFlow(f *flow, err error) {
	delete(p.flows, f)
	f.wake <- err
}

// wakeStream wakes what sleeps of a stream that has ended.
func (p *parker) wakeStream(s *Stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range []*flow{&s.in, &s.out} {
		if _, ok := p.flows[f]; ok {
			p.wakeFlow(f, nil)
		}
	}
}
