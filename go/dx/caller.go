// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"dx/go/internal/spin"
	"dx/libdx"
)

// burstsKept is how many bursts a caller may make without a yield: the only one of
// a channel, or one whose turns ended early.
const burstsKept = 8

// word packs a slot's word.
func word(epoch uint32, state uint64, sequence uint32) uint64 {
	return uint64(epoch)<<libdx.EpochShift | state<<libdx.StateShift | uint64(sequence)
}

// epochOf and stateOf unpack it; its sequence is its lower half.
func epochOf(w uint64) uint32 { return uint32(w >> libdx.EpochShift) }
func stateOf(w uint64) uint64 { return w >> libdx.StateShift & libdx.StateMask }

// Reply is what came back: the response and the handler's status.
type Reply struct {
	Data   []byte
	Status int32
}

// Caller holds one slot: one call at a time, one goroutine at a time. Close alone may be called
// beside the other methods.
type Caller struct {
	callerWord   *uint64
	requestBytes *uint32
	kind         *uint32
	parked       *uint32
	serverWord   *uint64
	results      unsafe.Pointer // the server's line
	cells        unsafe.Pointer
	counters     *libdx.Counters

	cellsCount uint32
	slot       uint32
	sequence   uint32
	epoch      uint32
	burst      uint32 // calls left of this turn
	fullBurst  uint32 // calls of a turn; 0: no limit
	turns      uint32 // that have ended
	fence      uint32 // for spin.FenceBy
	ready      bool   // a request may be sent at once
	begun      bool   // the server has seen our epoch
	abandoned  bool   // the latest request may still be running

	switches   *uint64
	due        bool // the call that goes on is measured
	began      stamp
	roundTrips recorder

	waiter  waiter
	ctx     context.Context // of the wait that goes on
	awaited uint64          // and its word
	// Another word that ends it, of one who wants to be rung for it, too; 0: none.
	orAwaited   uint64
	ch          *Channel
	raw         libdx.Caller
	request     []byte
	response    []byte
	wake        chan error // the parker's word: nil for news
	toldSession uint64     // session of the peer whose end it was told of; 0: of none
	late        bool       // nobody rang for that news; the parker's until the caller has left it
	asleep      int        // flows of the stream that sleep; guarded by the parker
	// While it is open nothing else is sent on the slot.
	stream atomic.Pointer[Stream]

	// caller_close.go says how these work together.
	using    uint64 // 1 while a method runs
	closing  atomic.Bool
	fenced   atomic.Bool // all CPUs know that it is closing
	finished atomic.Bool
	closed   chan struct{}
}

func at[T any](base unsafe.Pointer, offset uintptr) *T { return (*T)(unsafe.Add(base, offset)) }

// OpenCaller takes a free slot. If there is none it waits until ctx ends: first come,
// first served, and without an OS thread. The error is then ctx.Err() and ErrNoSlot
// by errors.Is. If no other slot is free, it takes one on which a call was given up
// whose handler still runs; the first call on it waits for that handler.
func (ch *Channel) OpenCaller(ctx context.Context) (*Caller, error) {
	return ch.slots.take(ctx, false)
}

// openSlot opens a slot of those that no Caller holds.
func (ch *Channel) openSlot() (*Caller, error) {
	if err := ch.enter(); err != nil {
		return nil, err
	}
	raw, err := ch.raw.OpenCaller(0)
	if err != nil {
		_ = ch.leave()
		return nil, ours(err)
	}
	return newCaller(ch, raw), nil
}

func newCaller(ch *Channel, raw libdx.Caller) *Caller {
	v := raw.View()
	ch.crowd.init(v.SpinMax, time.Duration(v.SpinMaxNs), ch.wait.Burst)
	c := &Caller{
		callerWord:   at[uint64](v.Line, libdx.CallerWord),
		requestBytes: at[uint32](v.Line, libdx.CallerBytes),
		kind:         at[uint32](v.Line, libdx.CallerType),
		parked:       at[uint32](v.Line, libdx.CallerParked),
		serverWord:   at[uint64](v.ServerLine, libdx.ServerWord),
		results:      v.ServerLine,
		cells:        v.Cells,
		counters:     v.Counters,
		cellsCount:   v.CellsCount,
		slot:         v.Slot,
		sequence:     v.Sequence,
		epoch:        v.Epoch,
		burst:        ch.crowd.burst,
		fullBurst:    ch.crowd.burst,
		begun:        v.Begun,
		abandoned:    v.Abandoned,
		ready:        v.Begun && !v.Abandoned,
		switches:     ch.switches,
		ch:           ch,
		raw:          raw,
		request:      unsafe.Slice((*byte)(v.Request), ch.raw.RequestCapacity()),
		response:     unsafe.Slice((*byte)(v.Response), ch.raw.ResponseCapacity()),
		wake:         make(chan error, 1),
		closed:       make(chan struct{}),
	}
	ch.crowd.callers.Add(1)
	c.waiter.init(&ch.wait, v.SpinMax, v.SpinMaxNs, v.Counters)
	c.waiter.crowd = &ch.crowd
	return c
}

// Call sends request and waits for the response, which is copied to response.
// Reply.Data is the part of response that was filled. ErrBufferTooSmall means
// that it would not fit. The time of ctx is looked at when the first spin has
// failed; a context that has ended already fails the call at once.
func (c *Caller) Call(ctx context.Context, kind uint32, request, response []byte) (Reply, error) {
	reply, err := Reply{}, error(ErrStopped)
	if c.begin() {
		if err = c.admit(ctx, kind, len(request)); err == nil {
			copy(c.request, request)
			reply, err = c.exchange(ctx, kind, len(request))
		}
		switch {
		case len(reply.Data) > len(response):
			reply, err = Reply{}, tooSmall(len(response), len(reply.Data))
		case err == nil:
			reply.Data = response[:copy(response, reply.Data)]
		}
	}
	c.end()
	return reply, err
}

func tooSmall(buffer, response int) error {
	return newError(libdx.ErrBufferTooSmall, "the response has %d bytes, the buffer %d", response, buffer)
}

// Request returns where the next request is to be built for CallInPlace: all of
// the slot's room. It is nil for as long as a handler may still be reading there:
// of a call that was given up, or of one that a dead process made on this slot.
//
// The bytes are part of the region, and must not be used after Close.
func (c *Caller) Request() []byte {
	defer c.end()
	if !c.begin() {
		return nil
	}
	if s := c.stream.Load(); s != nil {
		if !s.isReleased() {
			return nil
		}
		c.settleStream(s)
	}
	if c.ch.path == PathCgo {
		if c.raw.Request() == nil {
			return nil
		}
	} else if !c.ready {
		// Where no server has ever been, nobody reads.
		w := atomic.LoadUint64(c.serverWord)
		if w != c.readyWord() && (w != 0 || c.abandoned) {
			return nil
		}
	}
	return c.request
}

// CallInPlace sends the first n bytes of Request. Reply.Data lies in the region:
// it is valid until the next call or Close, and the other side can still write
// there.
func (c *Caller) CallInPlace(ctx context.Context, kind uint32, n int) (Reply, error) {
	reply, err := Reply{}, error(ErrStopped)
	if c.begin() {
		if err = c.admit(ctx, kind, n); err == nil {
			reply, err = c.exchange(ctx, kind, n)
		}
	}
	c.end()
	return reply, err
}

// admit says whether this request may be sent now.
func (c *Caller) admit(ctx context.Context, kind uint32, n int) error {
	if c.ch.stopped.Load() {
		return ErrStopped
	}
	if uint(n) > uint(len(c.request)) {
		c.counters.Errors++
		return newError(libdx.ErrRequestTooLarge, "a request of %d bytes, the slot takes %d", n, len(c.request))
	}
	if kind-TypeUser > TypeMax-TypeUser && kind != TypePing {
		c.counters.Errors++
		return newError(libdx.ErrType, "message type %d: users send %d to %d", kind, TypeUser, TypeMax)
	}
	if ctx.Done() != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if !c.ready && c.ch.path == PathNative {
		return c.getReady(ctx)
	}
	return nil
}

// exchange is the fast path: publish, ring if need be, await one word.
func (c *Caller) exchange(ctx context.Context, kind uint32, n int) (Reply, error) {
	if c.ch.path == PathCgo {
		return c.exchangeCgo(ctx, kind, n)
	}
	if control := atomic.LoadUint64(c.switches); measures(control) && !c.roundTrips.skips(control) {
		c.due = c.roundTrips.due(c.ch, control, false, c.slot)
	}
	c.sequence++
	*c.requestBytes = uint32(n)
	*c.kind = kind
	// R2 -> A2 (server.go): the request before its word. S1 <-> S2: the word before
	// the look at the server's cell. Two steps, because slot.h says so.
	spin.Mark(c.callerWord, word(c.epoch, libdx.CallerSending, c.sequence))
	spin.FenceBy(&c.fence)
	if c.due {
		c.began = c.roundTrips.now() // while the word is on its way
	}
	c.ringServer()
	awaited := word(c.epoch, libdx.ServerAcknowledged, c.sequence)
	if c.ch.crowd.yields() && c.sequence%probeEvery != 0 {
		if c.letOthersCall(awaited) {
			return c.takeAnswer(n)
		}
	}
	// A3 <- R3: the response is there when the word is.
	first := c.ch.crowd.firstLooks(c.sequence, c.waiter.firstLooks)
	if c.waiter.crowded() {
		first = min(first, 1)
	}
	looks := c.waiter.spin(c.serverWord, awaited, first)
	if c.sequence%probeEvery == 0 {
		c.ch.crowd.probe(looks, first)
	}
	if looks == 0 {
		if err := c.await(ctx, awaited, first); err != nil {
			c.abandon()
			return Reply{}, c.failed(err)
		}
		return c.takeAnswer(n)
	}
	c.counters.Spin++
	c.counters.Looks += uint64(looks)
	if c.burst--; c.burst == 0 {
		c.endTurn()
	}
	return c.takeAnswer(n)
}

// ringServer wakes the thread that serves our slot, if it sleeps, and counts it.
func (c *Caller) ringServer() {
	if c.ring() {
		c.counters.Rings++
	}
}

func (c *Caller) ring() bool {
	// S1 <-> S2: after the publishing store. The cell's number is input.
	cell := atomic.LoadUint32(at[uint32](c.results, libdx.ServerCell)) - 1
	if cell >= c.cellsCount {
		return false
	}
	armed := at[uint32](c.cells, uintptr(cell)*libdx.Line+libdx.CellArmed)
	return atomic.LoadUint32(armed)&libdx.ArmedBit != 0 && c.ch.raw.Ring(cell)
}

// takeAnswer reads each field once and judges it: the server is not trusted.
func (c *Caller) takeAnswer(n int) (Reply, error) {
	bytes := atomic.LoadUint32(at[uint32](c.results, libdx.ServerBytes))
	status := atomic.LoadInt32(at[int32](c.results, libdx.ServerStatus))
	result := atomic.LoadUint32(at[uint32](c.results, libdx.ServerResult))
	if result != libdx.ResultOK || uint64(bytes) > uint64(len(c.response)) {
		return Reply{}, c.failed(resultError(result))
	}
	c.counters.Calls++
	c.counters.RequestBytes += uint64(n)
	c.counters.ResponseBytes += uint64(bytes)
	if c.due {
		c.due = false
		c.roundTrips.add(c.began)
	}
	return Reply{Data: c.response[:bytes:bytes], Status: status}, nil
}

func resultError(result uint32) error {
	switch result {
	case libdx.ResultTooLarge:
		return ErrResponseTooLarge
	case libdx.ResultLost:
		return ErrLost
	case libdx.ResultCancelled:
		return ErrCancelled
	case libdx.ResultType:
		return ErrType
	case libdx.ResultRequestTooLarge:
		return ErrRequestTooLarge
	}
	return ErrCorrupt
}

func (c *Caller) failed(err error) error {
	c.due = false
	c.counters.Errors++
	if err == ErrTimeout || err == ErrNoPeer || err == context.DeadlineExceeded {
		c.counters.Timeouts++
	}
	return err
}
