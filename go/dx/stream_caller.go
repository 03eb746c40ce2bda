// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync/atomic"

	"dx/go/internal/spin"
	"dx/libdx"
)

// OpenStream opens a stream of this type. The Caller makes no other call (ErrBusy)
// until End or Close of the stream. ctx bounds the waits of opening, and those of
// the stream until SetContext.
func (c *Caller) OpenStream(ctx context.Context, kind uint32, o StreamOptions) (*Stream, error) {
	defer c.end()
	if !c.begin() {
		return nil, ErrStopped
	}
	if c.ch.path != PathNative {
		return nil, errStreamsByCgo
	}
	if uint(o.RequestRing) > uint(len(c.request)) || uint(o.ResponseRing) > uint(len(c.response)) {
		return nil, newError(libdx.ErrInvalid,
			"rings of %d and %d bytes: the slot has %d for requests and %d for responses",
			o.RequestRing, o.ResponseRing, len(c.request), len(c.response))
	}
	if kind-TypeUser > TypeMax-TypeUser {
		return nil, newError(libdx.ErrType, "message type %d: users send %d to %d", kind, TypeUser, TypeMax)
	}
	if err := c.admit(ctx, kind, 0); err != nil {
		return nil, err
	}
	s := c.newStream(ctx, kind, o)
	*c.requestBytes = uint32(len(s.out.ring))
	*at[uint32](c.line(), libdx.CallerRing) = uint32(len(s.in.ring))
	*c.kind = kind | libdx.TypeStream
	c.sequence++
	s.goesOn = word(c.epoch, libdx.ServerProcessing, c.sequence)
	s.answered = word(c.epoch, libdx.ServerAcknowledged, c.sequence)
	c.ready = false
	c.stream.Store(s)
	// R2 -> A2 (serve.c): rings, type and progress words before the slot's.
	// S1 <-> S2: the word before the look at the server's cell.
	spin.StoreRelease(c.callerWord, word(c.epoch, libdx.CallerSending, c.sequence))
	spin.Fence()
	c.ringServer()
	return s, nil
}

// line is the caller's line.
func (c *Caller) line() unsafePointer { return unsafePointer(c.callerWord) }

func (c *Caller) newStream(ctx context.Context, kind uint32, o StreamOptions) *Stream {
	view := c.raw.View()
	s := &Stream{ch: c.ch, caller: c, theirWord: c.serverWord, kind: kind,
		slot: view.Slot, done: make(chan struct{}), released: make(chan struct{}), sharedCell: view.SharedCell}
	s.out = flow{stream: s, sends: true, ring: part(c.request, o.RequestRing),
		ours: at[uint64](c.line(), libdx.CallerSent), theirs: at[uint64](c.results, libdx.ServerTaken),
		wake: make(chan error, 1)}
	s.in = flow{stream: s, ring: part(c.response, o.ResponseRing),
		ours: at[uint64](c.line(), libdx.CallerTaken), theirs: at[uint64](c.results, libdx.ServerSent),
		wake: make(chan error, 1)}
	s.SetContext(ctx)
	s.out.begins(&c.waiter)
	s.in.begins(&c.waiter)
	*s.out.ours, *s.in.ours = 0, 0
	return s
}

func part(area []byte, n int) []byte {
	if n == 0 {
		return area
	}
	return area[:n:n]
}

// streamAnswer reads what the server says of a stream whose handler has returned.
func (c *Caller) streamAnswer() *ending {
	status := atomic.LoadInt32(at[int32](c.results, libdx.ServerStatus))
	if result := atomic.LoadUint32(at[uint32](c.results, libdx.ServerResult)); result != libdx.ResultOK {
		return &ending{err: resultError(result)}
	}
	return &ending{status: status}
}

// End finishes the request, drops what was not read of the response, waits for the
// handler's status and ends the stream, whatever it returns: nil, the stream's
// error, or that of the context, after which the slot is as after a call that
// timed out. The caller's side only; nobody else may read or write the stream any more.
func (s *Stream) End() (status int32, err error) {
	if s.caller == nil {
		return 0, errEndOfHandler
	}
	s.CloseWrite()
	if err := s.in.begin(); err != nil {
		s.in.end()
		return 0, ErrStopped
	}
	status, err = s.drain()
	s.in.end()
	s.shut(err)
	return status, err
}

var errEndOfHandler = &Error{Status: libdx.ErrInvalid,
	Detail: "End is the caller's: a handler ends its stream by returning"}

func (s *Stream) drain() (status int32, err error) {
	f := &s.in
	for {
		f.wordToo = f.ended
		e, err := f.await(1)
		if err != nil {
			return 0, err
		}
		if e != nil {
			return e.status, e.err
		}
		s.consume(len(f.span()))
	}
}

// Close gives a stream up that has not ended: the other side sees ErrCancelled, and so do
// goroutines that are in methods of this one. It never waits, and may be called beside
// all other methods and again. The slot is good for calls when these goroutines have
// returned: a call waits for that. A handler that closes its stream has yet to return.
func (s *Stream) Close() error {
	s.fail(ErrCancelled)
	if s.caller == nil {
		s.ch.parker.wakeStream(s)
		return nil
	}
	s.shut(ErrCancelled)
	return nil
}

// giveBackSlot says what becomes of the slot of a stream that nobody uses any more. One
// that the server still has is given up.
func (c *Caller) giveBackSlot(s *Stream, err error) {
	// A3 <- R3: the handler has let go of the rings.
	s.letGo = atomic.LoadUint64(c.serverWord) == s.answered
	if !s.letGo {
		c.publishAbandoned(uint32(s.answered))
	}
	if err != nil {
		_ = c.failed(err)
	} else {
		c.counters.Calls++
	}
	c.counters.RequestBytes += s.out.position
	c.counters.ResponseBytes += s.in.position
	s.addWaits(c.counters)
}

// settleStream takes the slot back from a stream that was released: by who uses the
// Caller, since giveBackSlot may have run on any goroutine.
func (c *Caller) settleStream(s *Stream) {
	c.ready, c.abandoned = s.letGo, !s.letGo
	c.waiter.learn(&s.in.waiter)
	c.stream.Store(nil)
}

// awaitRelease waits until nobody uses a stream any more that was closed.
func (c *Caller) awaitRelease(ctx context.Context, s *Stream) error {
	if s.shutBy.Load() == nil {
		return ErrBusy
	}
	select {
	case <-s.released:
		return nil
	case <-ctx.Done():
		return c.failed(&endedError{ctx.Err(), errStreamInUse})
	case <-c.closed:
	case <-c.ch.slots.done:
	}
	return ErrStopped
}

var errStreamInUse = &Error{Status: libdx.ErrBusy,
	Detail: "a goroutine is still in a method of the stream that was closed"}
