// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"dx/go/internal/spin"
)

// How completions are waited for: a Queue is a source of the waiter of its first slot, and its Callers
// park as others do, with one channel for all.

// ended says whether the state that goes on is over.
func (f *flight) ended() bool {
	return f.state == flightFailed || atomic.LoadUint64(f.c.serverWord) == f.awaited
}

// lookAtClock gives a deadline to what was submitted since the last look, and ends what is late.
func (q *Queue) lookAtClock(now time.Time) {
	if q.timed && (q.nearest.IsZero() || now.Before(q.nearest)) {
		return
	}
	q.nearest, q.timed = time.Time{}, true
	for _, f := range q.inFlight {
		if f.timeout < 0 {
			continue
		}
		if f.deadline.IsZero() {
			f.deadline = now.Add(f.timeout)
		}
		if !now.Before(f.deadline) {
			if !f.ended() {
				q.fail(f, q.late(f))
			}
		} else if q.nearest.IsZero() || f.deadline.Before(q.nearest) {
			q.nearest = f.deadline
		}
	}
}

func (q *Queue) late(f *flight) error {
	if f.state == flightWaiting && PeerState(q.ch.raw.Peer()) != PeerAlive {
		return ErrNoPeer
	}
	return ErrTimeout
}

// collect moves what has ended out of inFlight. It keeps the order of submission, so that both sides go
// through the slots one after the other.
func (q *Queue) collect(done []Completion) (n int) {
	kept, at := 0, 0
	for ; at < len(q.inFlight) && n < len(done); at++ {
		f := q.inFlight[at]
		if f.ended() {
			if f.state != flightWaiting {
				q.complete(f, &done[n])
				n++
				continue
			}
			q.greeted(f)
		}
		q.inFlight[kept] = f
		kept++
	}
	if n != 0 {
		q.inFlight = slices.Delete(q.inFlight, kept, at)
	}
	return n
}

func (q *Queue) complete(f *flight, done *Completion) {
	f.serial++
	*done = Completion{Tag: f.tag, Err: f.err, flight: f, serial: f.serial}
	if f.state == flightSent {
		// A3 <- R3: the response is there when the word is.
		done.Reply, done.Err = f.c.takeAnswer(f.bytes)
		if f.measured && done.Err == nil {
			f.c.roundTrips.add(f.sent)
		}
		// So that the lines of many responses are under way at once.
		spin.Prefetch(unsafe.Pointer(unsafe.SliceData(f.c.response)))
	} else {
		_ = f.c.failed(f.err)
	}
	f.state, f.err = flightReturned, nil
	q.tags.remove(f.tag)
}

// sweep collects, and rings the servers also for what that has sent.
func (q *Queue) sweep(done []Completion) int {
	q.ringServers()
	n := q.collect(done)
	q.ringServers()
	if len(q.held) != 0 {
		q.settle()
	}
	return n
}

// Poll returns the completions that are there, without waiting: how many of done it has filled.
func (q *Queue) Poll(done []Completion) (int, error) {
	if err := q.begin(); err != nil {
		return 0, err
	}
	defer q.end()
	n := q.sweep(done)
	if n == 0 && len(q.inFlight) != 0 {
		_ = q.lookAround(time.Now())
		n = q.sweep(done)
	}
	return n, nil
}

// lookAround ends the calls that are late, or all if the peer has ended, and returns why. It looks at the
// peer as often as its liveness asks for.
func (q *Queue) lookAround(now time.Time) error {
	q.lookAtClock(now)
	if now.Sub(q.checked) < q.ch.liveness {
		return nil
	}
	q.checked = now
	err := q.checkPeer()
	if err != nil {
		q.failAll(err)
	}
	return err
}

// Wait waits for at least so many completions, as the channel's wait strategy says, and returns how
// many of done it has filled. If fewer calls are in flight, it waits for those, and if none is, it returns
// at once. If ctx ends before, the error is ctx.Err(), and the completions that are there are returned
// with it.
func (q *Queue) Wait(ctx context.Context, least int, done []Completion) (int, error) {
	if least < 1 || least > len(done) {
		return 0, newError(ErrInvalid.Status, "wait for %d completions, with room for %d: 1 to %d", least, len(done), len(done))
	}
	if err := q.begin(); err != nil {
		return 0, err
	}
	defer q.end()
	q.ringServers()
	n := 0
	if len(q.inFlight) != 0 {
		n = q.spin(least, done)
	}
	for n < least && len(q.inFlight) != 0 {
		_ = q.lookAround(time.Now()) // also if the other side shows news and takes it back
		q.wanted = min(least-n, len(q.inFlight))
		err := q.sleep(ctx)
		if q.closing.Load() {
			return n, ErrStopped
		}
		n += q.sweep(done[n:])
		if err == nil {
			err = ctx.Err()
		}
		if err != nil && n < least && len(q.inFlight) != 0 {
			return n, err
		}
	}
	return n, nil
}

// WaitSlot waits until Submit finds a slot, while the server has not let go of calls that were given up.
// If no slot can come back, since all are used by calls in flight or by completions that were not given
// back, it returns ErrNoSlot. That the peer has ended is told once.
func (q *Queue) WaitSlot(ctx context.Context) error {
	if err := q.begin(); err != nil {
		return err
	}
	defer q.end()
	q.ringServers()
	for {
		q.settle()
		switch {
		case len(q.idle) != 0 || q.build != nil:
			return nil
		case len(q.held) == 0:
			return q.noSlot()
		}
		if err := q.lookAround(time.Now()); err != nil {
			q.setTold(true)
			return err
		}
		q.wanted = 0
		err := q.sleep(ctx)
		if q.closing.Load() {
			return ErrStopped
		}
		if err == nil {
			err = ctx.Err()
		}
		if q.settle(); err != nil && len(q.idle) == 0 {
			return err
		}
	}
}

// spin is the first looks, which decide the latency.
func (q *Queue) spin(least int, done []Completion) (n int) {
	w := &q.flights[0].c.waiter
	if len(q.inFlight) == 1 {
		if seen := w.spin(q.inFlight[0].c.serverWord, q.inFlight[0].awaited, w.firstLooks); seen != 0 {
			w.counters.Looks += uint64(seen)
			w.counters.Spin++
		}
		return q.sweep(done)
	}
	for look := uint32(1); look <= w.firstLooks; look++ {
		if n += q.collect(done[n:]); n >= least || len(q.inFlight) == 0 {
			w.counters.Looks += uint64(look)
			w.counters.Spin++
			break
		}
		spin.Pause()
	}
	q.ringServers()
	return n
}

// sleep goes on with a wait, and returns why it makes no sense any more.
func (q *Queue) sleep(ctx context.Context) error {
	q.ctx = ctx
	err := q.flights[0].c.waiter.await(q, 0)
	q.ctx = nil
	if err == nil || ctx.Err() == err || err == context.DeadlineExceeded {
		return err
	}
	q.failAll(err)
	if q.wanted != 0 {
		return nil // the completions tell it
	}
	q.setTold(true)
	return err
}

// enough says whether there is what the present wait wants: completions, or a slot.
func (q *Queue) enough() bool {
	if q.watched != nil {
		return q.watchedArrived()
	}
	if q.wanted == 0 {
		return slices.ContainsFunc(q.held, func(f *flight) bool {
			return atomic.LoadUint64(f.c.serverWord) == f.c.readyWord()
		})
	}
	ended := 0
	for _, f := range q.inFlight {
		if !f.ended() {
			continue
		}
		if ended++; f.state == flightWaiting || ended == q.wanted {
			return true
		}
	}
	return false
}

func (q *Queue) turn(n, looks uint32, crowded bool) uint32 {
	w := &q.flights[0].c.waiter
	if w.yields(crowded) {
		w.yield(n, crowded)
	}
	for look := uint32(1); look <= looks; look++ {
		if q.enough() {
			return look
		}
		spin.Pause()
	}
	return 0
}

// between looks at the context and the deadlines, and every liveness at the peer.
func (q *Queue) between(n uint32) (done bool, err error) {
	if n%clockEvery != 0 {
		return false, nil
	}
	if q.closing.Load() || q.ch.stopped.Load() {
		return false, ErrStopped
	}
	if err := overdue(q.ctx); err != nil {
		return false, err
	}
	q.lookAtClock(time.Now())
	if !q.flights[0].c.waiter.due(q.ch.liveness) {
		return q.enough(), nil
	}
	if err := q.ctx.Err(); err != nil {
		return false, err
	}
	return q.enough(), q.checkPeer()
}

// park sleeps until one of our Callers is woken, the nearest deadline or the context's end.
func (q *Queue) park() (slept time.Duration, err error) {
	first := q.flights[0].c
	p := &q.ch.parker
	var asleep []*flight
	for i := range q.flights {
		f := &q.flights[i]
		if f.state != flightSent && f.state != flightWaiting && f.state != flightHeld {
			continue
		}
		f.c.awaited = f.awaited
		if f.state == flightHeld {
			f.c.awaited = f.c.readyWord()
		}
		if f == q.watched && f.state == flightSent && q.least == ProgressTakenUp {
			f.c.orAwaited = f.c.processingWord()
		}
		if err = p.add(f.c); err != nil {
			break
		}
		asleep = append(asleep, f)
	}
	began := time.Now()
	if err == nil {
		first.counters.Parks++
		err = q.awaitWake()
	}
	for _, f := range asleep {
		p.remove(f.c)
		f.c.orAwaited = 0
		if f.c.late {
			f.c.late = false
			first.counters.Rescued++
		}
	}
	q.drain()
	slept = time.Since(began)
	first.counters.ParkNs += uint64(slept)
	q.lookAtClock(time.Now())
	if err != nil && q.enough() {
		err = nil
	}
	return slept, err
}

func (q *Queue) awaitWake() error {
	var timer <-chan time.Time
	if !q.nearest.IsZero() {
		t := time.NewTimer(time.Until(q.nearest))
		defer t.Stop()
		timer = t.C
	}
	for {
		select {
		case err := <-q.wake:
			if err != nil || q.enough() {
				return err
			}
		case <-timer:
			return nil
		case <-q.closed:
			return ErrStopped
		case <-q.ctx.Done():
			return q.ctx.Err()
		}
	}
}

// drain takes what was sent to us meanwhile: nobody sends any more.
func (q *Queue) drain() {
	for {
		select {
		case <-q.wake:
		default:
			return
		}
	}
}
