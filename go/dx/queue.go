// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// Queue keeps many calls in flight from one goroutine. Each call that is submitted takes a slot and has
// a tag. Completions come in any order: each call has exactly one, with its tag, also when its time is
// over or the peer ends.
//
// One goroutine at a time may use a Queue; another one gets ErrBusy. Close alone may be called beside
// the other methods.
//
// A submission stores the request where a server that spins sees it. Flush wakes servers that sleep,
// for all submissions since the last one. Poll, Wait and Cancel flush first. What is submitted before a
// server has looked at its slot for the first time is sent by a later one of these calls.
type Queue struct {
	ch        *Channel
	flights   []flight
	inFlight  []*flight // waiting, sent or failed, in the order of their submission
	idle      []*flight // free, the next one last
	held      []*flight // that the server has not let go of
	unflushed []*flight // sent since the last flush
	tags      tagTable
	build     *flight  // whose memory the program has; nil: none
	wanted    int      // completions, by the present wait
	watched   *flight  // whose progress is waited for; nil: none
	least     Progress // that it waits for
	nearest   time.Time
	timed     bool // nearest is known
	checked   time.Time
	ctx       context.Context // of the wait that goes on
	wake      chan error      // the parker's word, for all our Callers

	mu       sync.Mutex // held by the goroutine that is in a method
	closing  atomic.Bool
	finished bool
	closed   chan struct{}
}

// Completion says how a call ended. Data lies in the region: it is valid until Seen, and the other side
// can still write there.
type Completion struct {
	Tag uint64
	Reply
	Err error // nil, or as of Caller.Call; ErrTimeout if the call's own time was over

	flight *flight
	serial uint64
}

// Progress is how far a call has come.
type Progress int

const (
	ProgressNone    Progress = iota // no call with this tag is in flight
	ProgressSent                    // it was submitted; a handler may have begun it
	ProgressTakenUp                 // the handler has taken it up, and answers later
	ProgressEnded                   // its Completion is there
)

type flightState uint8

const (
	flightFree     flightState = iota
	flightHeld                 // the server has yet to let go of what was sent before
	flightWaiting              // submitted; no server has greeted our epoch on this slot
	flightSent                 // the request is published
	flightFailed               // it ended without an answer
	flightReturned             // the program has its completion
)

// flight is one slot of a Queue, and the call on it.
type flight struct {
	c        *Caller
	awaited  uint64 // the server's word that ends the present state
	tag      uint64
	serial   uint64 // of the latest completion
	timeout  time.Duration
	deadline time.Time // zero: the clock has not been read since the submission
	bytes    int       // of the request
	state    flightState
	err      error
	measured bool // since sent
	sent     stamp
}

// OpenQueue takes depth free slots and makes a Queue of them. Without so many it returns ErrNoSlot at
// once. It is not for PathCgo.
func (ch *Channel) OpenQueue(depth int) (*Queue, error) {
	switch {
	case depth < 1:
		return nil, newError(libdx.ErrInvalid, "a queue of %d calls: 1 to %d are possible", depth, ch.Slots())
	case depth > ch.Slots():
		return nil, newError(libdx.ErrNoSlot, "a queue of %d calls, and this side has %d slots", depth, ch.Slots())
	case ch.path == PathCgo:
		return nil, newError(libdx.ErrInvalid, "a queue makes no cgo calls: take PathNative")
	}
	q := &Queue{ch: ch, flights: make([]flight, depth), tags: newTagTable(depth),
		wake: make(chan error, depth+1), closed: make(chan struct{})}
	for i := range q.flights {
		c, err := ch.slots.takeNow()
		if err != nil {
			for j := range i {
				q.flights[j].c.closeUnused()
			}
			return nil, err
		}
		c.wake = q.wake
		q.flights[i] = flight{c: c, state: flightHeld}
	}
	ch.crowd.callers.Add(int32(1 - depth)) // one goroutine has all of them
	for i := depth - 1; i >= 0; i-- {
		q.held = append(q.held, &q.flights[i])
	}
	q.settle()
	// S1 <-> S2: the slots are in use now, and a server that sleeps has not greeted us there.
	for i := range q.flights {
		q.flights[i].c.ringServer()
	}
	return q, nil
}

// begin must be followed by end if it returns nil.
func (q *Queue) begin() error {
	if !q.mu.TryLock() {
		return newError(libdx.ErrBusy, "another goroutine is in a method of this queue: one at a time")
	}
	if q.closing.Load() {
		q.end()
		return ErrStopped
	}
	return nil
}

func (q *Queue) end() {
	q.mu.Unlock()
	if q.closing.Load() {
		q.finish()
	}
}

// Close gives up what is in flight and gives the slots back; there are no completions any more. A
// goroutine that is in a method is told to end, with ErrStopped, and the slots are given back when it
// has. Close never waits for that, and may be called again.
func (q *Queue) Close() error {
	if q.closing.Swap(true) {
		return nil
	}
	close(q.closed)
	q.finish()
	return nil
}

// finish is called by who closes and by who leaves a method afterwards; the last one does it.
func (q *Queue) finish() {
	if !q.mu.TryLock() {
		return
	}
	defer q.mu.Unlock()
	if q.finished {
		return
	}
	q.finished = true
	for _, f := range q.inFlight {
		if f.state == flightSent {
			f.c.abandon()
		}
	}
	q.ch.crowd.callers.Add(int32(len(q.flights) - 1))
	for i := range q.flights {
		q.flights[i].c.closeUnused()
	}
}

// letGo says whether a request may be written on the slot. Where no server has ever been, nobody reads.
func (f *flight) letGo() bool {
	c := f.c
	w := atomic.LoadUint64(c.serverWord)
	if c.ready || w == c.readyWord() {
		c.begun, c.abandoned, c.ready = true, false, true
		return true
	}
	return w == 0 && !c.abandoned
}

// settle moves what the server has let go of from held to idle.
func (q *Queue) settle() {
	kept := q.held[:0]
	for _, f := range q.held {
		if f.letGo() {
			f.state = flightFree
			q.idle = append(q.idle, f)
		} else {
			kept = append(kept, f)
		}
	}
	q.held = kept
}

// Seen gives the slot of a completion back to the queue: its Data must not be read afterwards.
func (q *Queue) Seen(done *Completion) error {
	if err := q.begin(); err != nil {
		return err
	}
	defer q.end()
	f := done.flight
	if f == nil || f.state != flightReturned || f.serial != done.serial || f.c.ch != q.ch {
		return newError(libdx.ErrInvalid, "a completion that is not of this queue, or was given back before")
	}
	if f.c.abandoned {
		f.state = flightHeld
		q.held = append(q.held, f)
	} else {
		f.state = flightFree
		q.idle = append(q.idle, f)
	}
	return nil
}

// Cancel gives a call up. It completes at the next Poll, with ErrCancelled or with what the server has
// answered by now. A handler that has not begun is not entered. ErrInvalid: no call with this tag is in
// flight.
func (q *Queue) Cancel(tag uint64) error {
	if err := q.begin(); err != nil {
		return err
	}
	defer q.end()
	f := q.tags.find(tag)
	if f == nil {
		return newError(libdx.ErrInvalid, "no call with the tag %d is in flight", tag)
	}
	q.ringServers()
	if !f.ended() || f.state == flightWaiting {
		q.fail(f, ErrCancelled)
	}
	return nil
}

// InFlight returns how many calls are submitted whose completions were not returned yet.
func (q *Queue) InFlight() int {
	if q.begin() != nil {
		return 0
	}
	defer q.end()
	return len(q.inFlight)
}
