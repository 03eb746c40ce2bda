// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"math"
	"runtime"
	"sync/atomic"
	"unsafe"

	"dx/go/internal/spin"
	"dx/libdx"
)

// server is one serving goroutine: serve.c in Go.
type server struct {
	callerLines, serverLines, cells, payload unsafe.Pointer
	stride, responseOffset                   uintptr
	slotsUsed                                *uint32
	serving                                  *uint64
	counters                                 *libdx.Counters
	fence                                    uint32 // for spin.FenceBy
	first, step, base, count                 uint32
	lineStep, seenStep                       uintptr // bytes between the words of our slots
	cell, cellsCount                         uint32
	seen                                     []uint64 // each caller's latest word that we took up
	answered                                 []uint32 // slots whose callers are yet to be rung
	request                                  Request
	copied                                   []byte
	requestCapacity, responseCapacity        uint32
	handler                                  HandlerFunc
	throughRestart                           bool
	waiter                                   waiter
	index                                    uint32 // among the workers
	handlers                                 handlerClock
	running                                  uint64 // the word of the request whose handler runs, or 0
	runningSlot                              uint32
	lends                                    bool         // there are other workers
	concurrent                               *concurrency // nil: handlers run on the worker's goroutine
	occupied                                 int          // slots with a stream, or whose handler runs
	anyReturned                              atomic.Bool  // slots are to be settled
	lending                                  lending
	pool                                     *pool
	streams                                  serverStreams
	bell                                     bell
	ch                                       *Channel
}

func newServer(p *pool, h Handler, o ServeOptions, index, n uint32) (*server, error) {
	ch := p.ch
	v, err := ch.raw.ServerBegin(index, n)
	if err != nil {
		return nil, ours(err)
	}
	s := &server{
		callerLines: v.CallerLines, serverLines: v.ServerLines, cells: v.Cells, payload: v.Payload,
		stride: uintptr(v.PayloadStride), responseOffset: uintptr(v.ResponseOffset),
		slotsUsed: v.SlotsUsed, serving: v.Serving, counters: v.Counters,
		index: index,
		first: v.Base + index, step: n, base: v.Base, count: v.Count,
		cell: v.Cell, cellsCount: v.CellsCount,
		lineStep:         uintptr(n) * libdx.Line,
		seenStep:         uintptr(n) * 8,
		seen:             make([]uint64, v.Count),
		answered:         make([]uint32, 0, libdx.Batch),
		requestCapacity:  uint32(ch.raw.RequestCapacity()),
		responseCapacity: uint32(ch.raw.ResponseCapacity()),
		handler:          directly(h),
		throughRestart:   o.ThroughRestart,
		ch:               ch,
		pool:             p,
		concurrent:       p.concurrent,
	}
	s.lending.turn.Store(turnTaken)
	s.lends = n > 1 && s.concurrent == nil
	if s.lends || s.concurrent != nil {
		s.lending.busy = make([]uint64, v.Count)
	}
	if o.CopyRequests {
		s.copied = make([]byte, s.requestCapacity)
	}
	s.bell = bell{ch: ch, cell: v.Cell}
	s.waiter.init(&ch.wait, v.SpinMax, v.SpinMaxNs, v.Counters)
	s.streams.init(o.Streams, v)
	ch.raw.Takeover(index, n, s.seen)
	return s, nil
}

// directly spares each call of a function the way through the interface.
func directly(h Handler) HandlerFunc {
	if f, ok := h.(HandlerFunc); ok {
		return f
	}
	return h.ServeCall
}

// callerField and serverField point into the lines of a slot.
func (s *server) callerField(slot uint32, offset uintptr) unsafe.Pointer {
	return unsafe.Add(s.callerLines, uintptr(slot)*libdx.Line+offset)
}

func (s *server) serverField(slot uint32, offset uintptr) unsafe.Pointer {
	return unsafe.Add(s.serverLines, uintptr(slot)*libdx.Line+offset)
}

// used returns how many of our slots are in use.
func (s *server) used() uint32 {
	// A5 <- R5: the slots' first words. The number is input.
	used := min(atomic.LoadUint32(s.slotsUsed), s.count)
	ours := s.first - s.base // slots of the calling side before our first
	if used <= ours {
		return 0
	}
	return (used - ours + s.step - 1) / s.step
}

// changed returns the index among our slots of the first one, from index i on,
// that holds a word that we have not seen, or used.
func (s *server) changed(i, used uint32) uint32 {
	if i >= used {
		return used
	}
	slot := s.first + i*s.step
	// A2 <- R2: the request is there when the word is.
	return i + spin.Scan((*uint64)(s.callerField(slot, libdx.CallerWord)), s.lineStep,
		&s.seen[slot-s.base], s.seenStep, used-i)
}

// run serves until told to end or until waiting makes no sense any more.
func (s *server) run() error {
	for n := uint32(1); ; n++ {
		if n%sleepersRounds == 0 {
			wakeSleepers()
		}
		if s.pool.ended.Load() || s.ch.stopped.Load() {
			return ErrStopped
		}
		if s.round() || s.lends && s.answerAsked() {
			s.giveTurn()
			continue
		}
		if err := s.waiter.await(s, 0); err != nil {
			return err
		}
		s.giveTurn()
	}
}

// giveTurn lets those run to whom we have handed requests.
func (s *server) giveTurn() {
	if s.concurrent != nil {
		runtime.Gosched()
	}
}

// round serves each of our slots once; true if anything was new.
func (s *server) round() bool {
	if s.anyReturned.Load() {
		s.settle()
	}
	used := s.used()
	i := s.changed(0, used)
	if i == used {
		return false
	}
	s.roundFrom(i, used)
	return true
}

// roundFrom serves slot i, which has something new, and those after it.
func (s *server) roundFrom(i, used uint32) {
	for ; i < used; i = s.changed(i+1, used) {
		slot := s.first + i*s.step
		// A2 <- R2: as Scan saw it, or newer; a peer may also have taken it back.
		w := atomic.LoadUint64((*uint64)(s.callerField(slot, libdx.CallerWord)))
		if w != s.seen[slot-s.base] {
			s.takeUp(slot, w)
		}
		if len(s.answered) == libdx.Batch {
			s.ringAnswered()
		}
	}
	if len(s.answered) != 0 {
		s.ringAnswered()
	}
}

// look is round without serving.
func (s *server) look() bool {
	if s.anyReturned.Load() || s.lending.asked.Load() {
		return true
	}
	used := s.used()
	return s.changed(0, used) != used
}

// spin looks at all our slots up to looks times and serves a round as soon as it
// sees something new; it returns the number of the look that did, or 0.
func (s *server) spin(looks uint32) uint32 {
	used := s.used()
	if used == 1 && s.waiter.rests { // a monitor watches one line
		n := spin.UntilOtherRest((*uint64)(s.callerField(s.first, libdx.CallerWord)), s.seen[s.first-s.base], looks)
		if n != 0 {
			s.roundFrom(0, used)
		}
		return n
	}
	if used == 0 || !s.waiter.relax {
		for n := uint32(1); n <= looks; n++ {
			if s.round() {
				return n
			}
			if s.waiter.relax {
				spin.Pause()
			}
		}
		return 0
	}
	n, i := spin.AwaitScan((*uint64)(s.callerField(s.first, libdx.CallerWord)), s.lineStep,
		&s.seen[s.first-s.base], s.seenStep, used, looks,
		unsafe.Add(s.payload, uintptr(s.first)*s.stride), uintptr(s.step)*s.stride)
	if n != 0 {
		s.roundFrom(i, used)
	}
	return n
}

// settle takes back the slots whose streams, or whose requests with other workers,
// were answered.
func (s *server) settle() {
	s.anyReturned.Store(false)
	s.settleStreams()
	if s.lends {
		s.settleClaims()
	}
	if s.concurrent != nil {
		s.settleConcurrent()
	}
}

// isOccupied says whether what the slot's caller says is for others to judge.
func (s *server) isOccupied(slot uint32, w uint64) bool {
	return s.lending.busy != nil && s.lending.busy[slot-s.base] != 0 ||
		s.streams.of != nil && s.streamGoesOn(slot, w)
}

// takeUp acts on a caller's word that is new to us.
func (s *server) takeUp(slot uint32, w uint64) {
	if s.occupied != 0 && s.isOccupied(slot, w) {
		s.seen[slot-s.base] = w // for us when that has ended
		if s.concurrent != nil && s.lending.busy[slot-s.base] != 0 {
			s.concurrent.callerSays(slot, s.lending.busy[slot-s.base], w)
		}
		return
	}
	before := s.seen[slot-s.base]
	s.seen[slot-s.base] = w
	switch stateOf(w) {
	case libdx.CallerSending:
		s.serve(slot, w, s.kindOf(slot), s.bytesOf(slot))
		s.handlers.end() // the caller has its answer, and does not wait for this
	case libdx.CallerAbandoned:
		// Given up after we answered it: nothing to say.
		if before != word(epochOf(w), libdx.CallerSending, uint32(w)) {
			s.refuse(slot, w, libdx.ResultCancelled)
		}
	case libdx.CallerReady, libdx.CallerCompleted:
		// A new life greets; the answer tells it that we have let go of the old one.
		if epochOf(before) != epochOf(w) {
			s.publish(slot, w, libdx.ServerReady)
		}
	}
}

// journal is the entry that says that a request's handler was entered.
func journal(slot uint32, w uint64) uint64 {
	return uint64(epochOf(w)&libdx.JournalEpochMask)<<libdx.JournalEpochShift |
		uint64(slot+1)<<libdx.JournalSlotShift | w&math.MaxUint32
}

// bytesOf and kindOf are of a slot's request: input, of which each is read once.
func (s *server) bytesOf(slot uint32) uint32 {
	return atomic.LoadUint32((*uint32)(s.callerField(slot, libdx.CallerBytes)))
}

func (s *server) kindOf(slot uint32) uint32 {
	return atomic.LoadUint32((*uint32)(s.callerField(slot, libdx.CallerType)))
}

func isUsers(kind uint32) bool { return kind-TypeUser <= TypeMax-TypeUser }

// serve runs the handler for one request of n bytes.
func (s *server) serve(slot uint32, w uint64, kind, n uint32) {
	if n > s.requestCapacity {
		s.refuse(slot, w, libdx.ResultRequestTooLarge)
		return
	}
	used, status := 0, int32(0)
	if isUsers(kind) {
		if s.concurrent != nil {
			s.concurrent.take(concurrent{server: s, claim: claim{slot: slot, kind: kind, n: n, word: w}})
			return
		}
		place := unsafe.Add(s.payload, uintptr(slot)*s.stride)
		// Field by field: the compiler makes a value in another place and copies that.
		s.request.Data = unsafe.Slice((*byte)(place), n)
		s.request.Type, s.request.Slot = kind, int(slot)
		if s.copied != nil {
			s.request.Data = s.copied[:copy(s.copied, s.request.Data)]
		}
		response := unsafe.Slice((*byte)(unsafe.Add(place, s.responseOffset)), s.responseCapacity)
		// R6 -> A6 (serve.c): said before the handler can have any effect.
		spin.Mark(s.serving, journal(slot, w))
		s.running, s.runningSlot = w, slot
		if s.lends {
			s.lend(slot, w)
		}
		if control := s.ch.histogramSwitch(); measures(control) && !s.handlers.skips(control) {
			s.handlers.begin(s, control)
		}
		used, status = s.handler(&s.request, response)
		if s.lends {
			s.regain(slot, w)
		}
		s.running = 0
	} else if kind != TypePing {
		if s.beginStream(slot, w, kind, n) {
			return
		}
		s.refuse(slot, w, libdx.ResultType)
		return
	}
	if uint(used) > uint(s.responseCapacity) {
		s.counters.Errors++
		s.answer(slot, w, libdx.ResultTooLarge, uint32(min(uint(used), math.MaxUint32)), status)
		return
	}
	s.answer(slot, w, libdx.ResultOK, uint32(used), status)
	s.counters.Calls++
	s.counters.RequestBytes += uint64(n)
	s.counters.ResponseBytes += uint64(used)
}

func (s *server) refuse(slot uint32, w uint64, result uint32) {
	s.counters.Errors++
	s.answer(slot, w, result, 0, 0)
}

// lose answers the request whose handler left without returning. Nobody runs it again.
func (s *server) lose() {
	s.handlers.runs = false
	if s.running != 0 {
		if s.lends {
			s.regain(s.runningSlot, s.running)
		}
		s.refuse(s.runningSlot, s.running, libdx.ResultLost)
		s.running = 0
	}
	s.ringAnswered() // those who were answered before it in the same round, too
}

func (s *server) answer(slot uint32, w uint64, result, n uint32, status int32) {
	s.describe(slot, result, n, status)
	s.publish(slot, w, libdx.ServerAcknowledged)
}

// describe writes what the word of an answer publishes.
func (s *server) describe(slot, result, n uint32, status int32) {
	line := s.serverField(slot, 0)
	*at[uint32](line, libdx.ServerBytes) = n
	*at[int32](line, libdx.ServerStatus) = status
	*at[uint32](line, libdx.ServerResult) = result
}

func (s *server) publish(slot uint32, w uint64, state uint64) {
	// R3 -> A3: the response before its word.
	spin.Mark((*uint64)(s.serverField(slot, libdx.ServerWord)),
		word(epochOf(w), state, uint32(w)))
	s.answered = append(s.answered, slot)
}

// ringAnswered rings those callers of the batch who sleep.
func (s *server) ringAnswered() {
	// S3 <-> S4: the answers before the looks.
	spin.FenceBy(&s.fence)
	for _, slot := range s.answered {
		// A7 <- R7: the cell was armed before we were sent there. Its number is input.
		if s.ringParked(atomic.LoadUint32((*uint32)(s.callerField(slot, libdx.CallerParked)))) {
			s.counters.Rings++
		}
	}
	s.answered = s.answered[:0]
}

// ringParked rings the cell that a caller's parked word names, if it names one; true if
// that woke somebody.
func (s *server) ringParked(parked uint32) bool {
	cell := parked&^libdx.ParkedProgress - 1
	return cell < s.cellsCount && s.ch.raw.Ring(cell)
}
