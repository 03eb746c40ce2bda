// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"sync/atomic"
	"time"

	"dx/go/internal/spin"
	"dx/libdx"
)

// How calls are submitted to a Queue.

// send publishes the request of a slot that is ready.
func (q *Queue) send(f *flight) {
	c := f.c
	c.sequence++
	f.awaited = word(c.epoch, libdx.ServerAcknowledged, c.sequence)
	f.state = flightSent
	control := q.ch.histogramSwitch()
	if f.measured = measures(control) && c.roundTrips.due(q.ch, control, false, c.slot); f.measured {
		f.sent = c.roundTrips.now()
	}
	// R2 -> A2 (server.go): the request before its word. S1 <-> S2: the fence is that of ringServers, one
	// for many words.
	spin.StoreRelease(c.callerWord, word(c.epoch, libdx.CallerSending, c.sequence))
	q.unflushed = append(q.unflushed, f)
}

// ringServers is one fence, and a ring for each sleeping server, for all that is unflushed.
func (q *Queue) ringServers() {
	if len(q.unflushed) == 0 {
		return
	}
	spin.Fence()
	last := ^uint32(0)
	for _, f := range q.unflushed {
		// A cell that was rung is not rung again.
		if cell := atomic.LoadUint32(at[uint32](f.c.results, libdx.ServerCell)); cell != last {
			last = cell
			f.c.ringServer()
		}
	}
	q.unflushed = q.unflushed[:0]
}

func (q *Queue) noSlot() error {
	returned := len(q.flights) - len(q.inFlight) - len(q.held)
	return newError(libdx.ErrNoSlot, "all %d slots of the queue are in use: %d calls in flight, %d completions "+
		"not given back (Seen), %d calls given up that the server has not let go of",
		len(q.flights), len(q.inFlight), returned, len(q.held))
}

// next takes a slot out of idle, unless the program has it already.
func (q *Queue) next() error {
	if q.build != nil {
		return nil
	}
	if len(q.idle) == 0 && len(q.held) != 0 {
		q.settle()
	}
	last := len(q.idle) - 1
	if last < 0 {
		return q.noSlot()
	}
	q.build, q.idle = q.idle[last], q.idle[:last]
	return nil
}

// Submit submits a call with a copy of the request. No other call in flight may have the tag. timeout
// is more than 0, or negative for ever; it is counted from the next Poll that finds nothing, or from
// the end of the first spin of the next Wait. If all slots are in use, the error is ErrNoSlot and says
// by what. A call that is submitted while there is no peer waits for one, as does one whose peer ends
// before it has looked at the slot; if none comes in time, the error is ErrNoPeer.
func (q *Queue) Submit(tag uint64, kind uint32, request []byte, timeout time.Duration) error {
	if err := q.begin(); err != nil {
		return err
	}
	err := q.check(tag, kind, len(request), timeout)
	if err == nil {
		copy(q.build.c.request, request)
		q.submit(tag, kind, len(request), timeout)
	}
	q.end()
	return err
}

// Request returns where the next request is to be built for SubmitInPlace: all of a slot's room. It is
// nil if Submit would return ErrNoSlot, ErrBusy or ErrStopped. The bytes are part of the region, and
// must not be used after the submission or Close.
func (q *Queue) Request() []byte {
	if q.begin() != nil {
		return nil
	}
	defer q.end()
	if q.next() != nil {
		return nil
	}
	return q.build.c.request
}

// SubmitInPlace is Submit for a request whose first n bytes were built in Request.
func (q *Queue) SubmitInPlace(tag uint64, kind uint32, n int, timeout time.Duration) error {
	if err := q.begin(); err != nil {
		return err
	}
	err := q.check(tag, kind, n, timeout)
	if err == nil {
		q.submit(tag, kind, n, timeout)
	}
	q.end()
	return err
}

func (q *Queue) check(tag uint64, kind uint32, n int, timeout time.Duration) error {
	switch {
	case q.ch.stopped.Load():
		return ErrStopped
	case uint(n) > uint(len(q.flights[0].c.request)):
		return newError(libdx.ErrRequestTooLarge, "a request of %d bytes, the slot takes %d", n, len(q.flights[0].c.request))
	case kind-TypeUser > TypeMax-TypeUser && kind != TypePing:
		return newError(libdx.ErrType, "message type %d: users send %d to %d", kind, TypeUser, TypeMax)
	case timeout == 0:
		return newError(libdx.ErrInvalid, "a timeout of 0: give more, or less for ever")
	case q.tags.find(tag) != nil:
		return newError(libdx.ErrInvalid, "a call with the tag %d is in flight", tag)
	}
	return q.next()
}

func (q *Queue) submit(tag uint64, kind uint32, n int, timeout time.Duration) {
	f := q.build
	q.build = nil
	*f.c.requestBytes = uint32(n)
	*f.c.kind = kind
	f.tag, f.bytes, f.timeout, f.deadline = tag, n, timeout, time.Time{}
	q.tags.put(f)
	q.inFlight = append(q.inFlight, f)
	if timeout > 0 {
		q.timed = false
	}
	if f.c.ready || f.letGo() && f.c.ready {
		q.send(f)
		return
	}
	f.state, f.awaited = flightWaiting, f.c.readyWord()
}

// Flush wakes the servers that sleep, for all that was submitted since the last flush.
func (q *Queue) Flush() error {
	if err := q.begin(); err != nil {
		return err
	}
	q.sendGreeted()
	q.end()
	return nil
}

// sendGreeted sends what has waited for a greeting, and rings the servers.
func (q *Queue) sendGreeted() {
	for _, f := range q.inFlight {
		if f.state == flightWaiting && f.ended() {
			q.greeted(f)
		}
	}
	q.ringServers()
}

// greeted sends the request of a slot at which a server has looked for the first time. It may go to one
// that has ended since then, of which this call was not told.
func (q *Queue) greeted(f *flight) {
	f.c.toldSession = 0
	f.c.begun, f.c.ready = true, true
	q.send(f)
}
