// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"dx/go/internal/spin"
	"dx/libdx"
)

// concurrency runs handlers that may block on goroutines of their own, up to limit at
// once for all workers of a pool. A slot is occupied from when its request was taken
// up until its worker hears that it was answered.
type concurrency struct {
	limit   int
	idle    chan concurrent // to goroutines that wait for their next request
	over    chan struct{}   // closed when serving has ended
	running sync.WaitGroup

	measuring sync.Mutex // guards the histogram of the worker's handlers

	mu      sync.Mutex
	busy    int          // goroutines that have a request
	waiting []concurrent // requests that were taken up and not begun, longest first
	ended   bool
	cancels map[uint32]context.CancelCauseFunc // by slot, of handlers that asked for a context
}

// concurrent is a request, and what became of it.
type concurrent struct {
	server *server
	claim
	begun   bool
	used    int
	failure uint32 // the result that the caller gets; ResultOK if its handler has answered it
}

// handled is a request in its handler.
type handled struct {
	concurrent
	ctx context.Context // nil until it is asked for
}

func (h *handled) context() context.Context {
	x := h.server.concurrent
	x.mu.Lock()
	defer x.mu.Unlock()
	if h.ctx != nil {
		return h.ctx
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	h.ctx = ctx
	x.cancels[h.slot] = cancel
	if x.ended {
		cancel(ErrStopped)
	}
	// The worker may have seen before that the caller has given up.
	if w := atomic.LoadUint64((*uint64)(h.server.callerField(h.slot, libdx.CallerWord))); w != h.word {
		cancel(whyGivenUp(h.word, w))
	}
	return ctx
}

// release ends the context when the handler has returned.
func (h *handled) release() {
	x := h.server.concurrent
	x.mu.Lock()
	defer x.mu.Unlock()
	if h.ctx != nil {
		x.cancels[h.slot](nil)
		delete(x.cancels, h.slot)
	}
}

func whyGivenUp(before, now uint64) error {
	if epochOf(before) != epochOf(now) {
		return ErrPeerDead
	}
	return ErrCancelled
}

// callerSays is told what the word of an occupied slot's caller has become.
func (x *concurrency) callerSays(slot uint32, before, now uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if cancel := x.cancels[slot]; cancel != nil {
		cancel(whyGivenUp(before, now))
	}
}

// newConcurrency returns nil if handlers run on the workers' goroutines.
func newConcurrency(limit int) *concurrency {
	if limit <= 1 {
		return nil
	}
	return &concurrency{limit: limit, idle: make(chan concurrent), over: make(chan struct{}),
		cancels: map[uint32]context.CancelCauseFunc{}}
}

// take has a request handled, now or when there is a goroutine for it.
func (x *concurrency) take(r concurrent) {
	r.server.occupy(r.slot, r.word)
	x.mu.Lock()
	starts := x.busy < x.limit
	if starts {
		x.busy++
	} else {
		x.waiting = append(x.waiting, r)
	}
	x.mu.Unlock()
	if !starts {
		return
	}
	select {
	case x.idle <- r:
	default:
		x.running.Go(func() { x.work(r) })
	}
}

// work handles one request after the other.
func (x *concurrency) work(r concurrent) {
	var copied []byte
	if r.server.copied != nil {
		copied = make([]byte, len(r.server.copied))
	}
	for {
		for more := true; more; r, more = x.next() {
			r.server.handle(r, copied)
		}
		select {
		case r = <-x.idle:
		case <-x.over:
			return
		}
	}
}

// next returns the request that has waited longest; false if there is none.
func (x *concurrency) next() (r concurrent, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 {
		x.busy--
		return concurrent{}, false
	}
	r = x.waiting[0]
	x.waiting = x.waiting[1:]
	return r, true
}

// end ends the contexts of all handlers, and returns when the handlers have. Who serves
// next takes up what was not begun. It is called after the workers have ended; x may be nil.
func (x *concurrency) end(why error) {
	if x == nil {
		return
	}
	x.mu.Lock()
	x.waiting = nil
	for _, cancel := range x.cancels {
		cancel(why)
	}
	ended := x.ended
	x.ended = true
	x.mu.Unlock()
	if !ended {
		close(x.over)
	}
	x.running.Wait()
}

// handle runs the handler of one request, on a goroutine of its own. One that does not
// return has lost its request; one that panicked ends serving.
func (s *server) handle(r concurrent, copied []byte) {
	theirs := (*uint64)(s.callerField(r.slot, libdx.CallerWord))
	if atomic.LoadUint64(theirs) != r.word { // given up, before it began
		s.giveBackConcurrent(r, theirs)
		return
	}
	r.begun = true
	s.publishProcessing(r)
	h := &handled{concurrent: r}
	status, returned := int32(0), false
	h.failure = libdx.ResultLost
	defer func() {
		if !returned {
			value := recover()
			s.pool.handlerLeft(value, false)
			if value != nil {
				defer s.pool.end()
			}
		}
		h.release()
		s.answerConcurrent(&h.concurrent, status)
		s.giveBackConcurrent(h.concurrent, theirs)
	}()
	place := unsafe.Add(s.payload, uintptr(r.slot)*s.stride)
	q := Request{Data: unsafe.Slice((*byte)(place), r.n), Type: r.kind, Slot: int(r.slot), handled: h}
	if copied != nil {
		q.Data = copied[:copy(copied, q.Data)]
	}
	response := unsafe.Slice((*byte)(unsafe.Add(place, s.responseOffset)), s.responseCapacity)
	began, due := s.handlersBegin()
	h.used, status = s.handler(&q, response)
	returned = true
	if due {
		s.handlersEnd(began)
	}
	h.failure = libdx.ResultOK
	if uint(h.used) > uint(s.responseCapacity) {
		h.failure = libdx.ResultTooLarge
	}
}

// handlersBegin and handlersEnd measure a handler that runs beside others of its worker, which have one
// histogram.
func (s *server) handlersBegin() (began stamp, due bool) {
	control := s.ch.histogramSwitch()
	if !measures(control) {
		return began, false
	}
	s.concurrent.measuring.Lock()
	defer s.concurrent.measuring.Unlock()
	due = s.handlers.due(s.ch, control, true, s.index)
	return s.handlers.now(), due
}

func (s *server) handlersEnd(began stamp) {
	s.concurrent.measuring.Lock()
	defer s.concurrent.measuring.Unlock()
	s.handlers.add(began)
}

// publishProcessing says that the handler is entered: a worker has one journal, and
// there may be many handlers.
func (s *server) publishProcessing(r concurrent) {
	// R3 -> A3: said before the handler can have any effect.
	spin.StoreRelease((*uint64)(s.serverField(r.slot, libdx.ServerWord)),
		word(epochOf(r.word), libdx.ServerProcessing, uint32(r.word)))
	// S3 <-> S4: the word before the look.
	spin.Fence()
	// A7 <- R7: the cell was armed before we were sent there. Its number is input.
	parked := atomic.LoadUint32((*uint32)(s.callerField(r.slot, libdx.CallerParked)))
	if parked&libdx.ParkedProgress != 0 {
		s.ringParked(parked)
	}
}

// answerConcurrent is answer and ringAnswered, on the handler's goroutine.
func (s *server) answerConcurrent(r *concurrent, status int32) {
	n := uint32(0)
	if r.failure != libdx.ResultLost {
		n = uint32(min(uint(r.used), math.MaxUint32))
	}
	s.describe(r.slot, r.failure, n, status)
	// R3 -> A3: the response before its word.
	spin.StoreRelease((*uint64)(s.serverField(r.slot, libdx.ServerWord)),
		word(epochOf(r.word), libdx.ServerAcknowledged, uint32(r.word)))
	// S3 <-> S4: the answer before the look.
	spin.Fence()
	// A7 <- R7: as above.
	s.ringParked(atomic.LoadUint32((*uint32)(s.callerField(r.slot, libdx.CallerParked))))
}

// giveBackConcurrent tells the worker that its slot is free. The worker need not be woken
// for that: whoever calls next does it. What the caller's word has said meanwhile is news.
func (s *server) giveBackConcurrent(r concurrent, theirs *uint64) {
	l := &s.lending
	l.mu.Lock()
	l.handled = append(l.handled, r)
	l.mu.Unlock()
	// S1 <-> S2: said before the look at the caller's word.
	s.anyReturned.Store(true)
	if atomic.LoadUint64(theirs) != r.word {
		s.ch.raw.Ring(s.cell)
	}
}

// settleConcurrent takes back the slots of requests that were answered, and counts them.
func (s *server) settleConcurrent() {
	l := &s.lending
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.handled {
		s.vacate(r.slot, r.word)
		switch {
		case !r.begun:
			s.seen[r.slot-s.base] = 0 // so that giving it up is answered
		case r.failure != libdx.ResultOK:
			s.counters.Errors++
		default:
			s.counters.Calls++
			s.counters.RequestBytes += uint64(r.n)
			s.counters.ResponseBytes += uint64(r.used)
		}
	}
	clear(l.handled)
	l.handled = l.handled[:0]
}
