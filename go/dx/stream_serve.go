// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"

	"dx/go/internal/spin"
	"dx/libdx"
)

// StreamHandler serves streams. ServeStream runs on a goroutine of its own; it
// reads and writes, and its result is the status that the caller's End returns.
// What it wrote is finished by its return, what it has not read is dropped. When
// the caller gives up, dies or lies, or when serving ends, every method of the
// stream says so, and ServeStream should return. After a panic or runtime.Goexit the
// caller gets ErrLost; Serve says what else.
type StreamHandler interface {
	ServeStream(s *Stream) (status int32)
}

// StreamHandlerFunc makes a function a StreamHandler.
type StreamHandlerFunc func(s *Stream) (status int32)

// ServeStream calls f.
func (f StreamHandlerFunc) ServeStream(s *Stream) int32 { return f(s) }

// unsafePointer spares files an import.
type unsafePointer = unsafe.Pointer

// serverStreams is what a serving goroutine knows of the streams on its slots.
type serverStreams struct {
	handler    StreamHandler
	sharedCell uint32
	of         []*Stream // one per slot; nil where none goes on

	mu      sync.Mutex
	ended   []*Stream // answered, and to be forgotten by the serving goroutine
	running sync.WaitGroup
}

func (x *serverStreams) init(h StreamHandler, v libdx.ServerView) {
	x.handler, x.sharedCell = h, v.SharedCell
	if h != nil {
		x.of = make([]*Stream, v.Count)
	}
}

// beginStream takes up a request that says it is a stream; true if it is.
func (s *server) beginStream(slot uint32, w uint64, kind, requestRing uint32) bool {
	x := &s.streams
	kind ^= libdx.TypeStream
	if x.handler == nil || kind-TypeUser > TypeMax-TypeUser {
		return false
	}
	responseRing := atomic.LoadUint32((*uint32)(s.callerField(slot, libdx.CallerRing)))
	if responseRing > s.responseCapacity {
		s.refuse(slot, w, libdx.ResultCorrupt)
		return true
	}
	st := s.newStream(slot, w, kind, requestRing, responseRing)
	x.of[slot-s.base] = st
	s.occupied++
	// R6 -> A6 (serve.c): said before the handler can have any effect.
	spin.StoreRelease(s.serving, journal(slot, w))
	// Its goroutine sleeps with the parker, so that the serving goroutine need not
	// be woken for each chunk. S2 <-> S1: whom to ring, before any look at the stream.
	atomic.StoreUint32((*uint32)(s.serverField(slot, libdx.ServerCell)), x.sharedCell+1)
	// R3 -> A3: our progress words are of this stream.
	spin.StoreRelease((*uint64)(s.serverField(slot, libdx.ServerWord)),
		word(epochOf(w), libdx.ServerProcessing, uint32(w)))
	x.running.Go(func() { s.runStream(st) })
	return true
}

func (s *server) newStream(slot uint32, w uint64, kind, requestRing, responseRing uint32) *Stream {
	request := unsafe.Add(s.payload, uintptr(slot)*s.stride)
	response := unsafe.Add(request, s.responseOffset)
	st := &Stream{ch: s.ch, server: s, done: make(chan struct{}), released: make(chan struct{}),
		theirWord: (*uint64)(s.callerField(slot, libdx.CallerWord)), goesOn: w, begun: w,
		kind: kind, slot: slot, sharedCell: s.streams.sharedCell}
	st.accepted.Store(true)
	st.in = flow{stream: st, ring: unsafe.Slice((*byte)(request), requestRing),
		ours:   (*uint64)(s.serverField(slot, libdx.ServerTaken)),
		theirs: (*uint64)(s.callerField(slot, libdx.CallerSent)), wake: make(chan error, 1)}
	st.out = flow{stream: st, sends: true, ring: unsafe.Slice((*byte)(response), responseRing),
		ours:   (*uint64)(s.serverField(slot, libdx.ServerSent)),
		theirs: (*uint64)(s.callerField(slot, libdx.CallerTaken)), wake: make(chan error, 1)}
	st.SetContext(context.Background())
	st.in.begins(&s.waiter)
	st.out.begins(&s.waiter)
	*st.in.ours, *st.out.ours = 0, 0
	return st
}

func streamResult(e *ending) uint32 {
	switch {
	case e == nil || e.err == nil:
		return libdx.ResultOK
	case e.err == ErrCorrupt:
		return libdx.ResultCorrupt
	case e.err == ErrCancelled:
		return libdx.ResultCancelled
	}
	return libdx.ResultLost
}

// runStream runs the handler, on a goroutine of its own. One that does not return has
// lost its stream; one that panicked ends serving.
func (s *server) runStream(st *Stream) {
	status, returned := int32(0), false
	defer func() {
		if !returned {
			value := recover()
			s.pool.handlerLeft(value, false)
			st.fail(ErrLost)
			if value != nil {
				defer s.pool.end()
			}
		}
		s.answerStream(st, status)
	}()
	status = s.streams.handler.ServeStream(st)
	returned = true
}

// answerStream says what the handler returned, on the handler's goroutine.
func (s *server) answerStream(st *Stream, status int32) {
	e := st.over.Load()
	st.fail(ErrEnded) // for goroutines of the handler that still use it
	st.shut(nil)
	<-st.released
	// What was cut short is not to look complete.
	if !st.out.ended && e == nil {
		st.out.ended = true
		// R12 -> A12 (stream.c): what was written, and its end; the answer rings.
		spin.StoreRelease(st.out.ours, st.out.position|libdx.StreamEnd)
	}
	result := streamResult(e)
	st.failed = result != libdx.ResultOK
	s.describe(st.slot, result, 0, status)
	line := s.serverField(st.slot, 0)
	atomic.StoreUint32(at[uint32](line, libdx.ServerCell), s.cell+1)
	st.returned.Store(true)
	// R3 -> A3: the answer before its word.
	spin.StoreRelease(at[uint64](line, libdx.ServerWord),
		word(epochOf(st.begun), libdx.ServerAcknowledged, uint32(st.begun)))
	// S3 <-> S4: the answer before the look.
	spin.Fence()
	if s.ringCaller(st.slot) {
		st.out.counted.Rings++
	}
	x := &s.streams
	x.mu.Lock()
	x.ended = append(x.ended, st)
	x.mu.Unlock()
	// S1 <-> S2: what the caller's word has said meanwhile is taken up by a round.
	s.anyReturned.Store(true)
	s.ch.raw.Ring(s.cell)
}

// ringCaller wakes who waits for a slot's progress or answer, if it sleeps; true if this call did.
func (s *server) ringCaller(slot uint32) bool {
	// A7 <- R7: the cell was armed before we were sent there. Its number is input.
	cell := atomic.LoadUint32((*uint32)(s.callerField(slot, libdx.CallerParked)))&^libdx.ParkedProgress - 1
	return cell < s.cellsCount && s.ch.raw.Ring(cell)
}

// streamGoesOn says whether a slot's word is for a stream to judge. The stream is told of it, since
// its handler may be waiting for something else.
func (s *server) streamGoesOn(slot uint32, w uint64) bool {
	st := s.streams.of[slot-s.base]
	if st == nil {
		return false
	}
	// Its goroutine has answered, and the caller has gone on already? Our word in the
	// region would say so too, but there a peer can write.
	if !st.returned.Load() {
		if st.callerSays(w) != nil {
			st.ch.parker.wakeStream(st)
		}
		return true
	}
	s.takeBack(st)
	return false
}

// takeBack takes back the slot of a stream that was answered.
func (s *server) takeBack(st *Stream) {
	i := st.slot - s.base
	if s.streams.of[i] == st {
		s.streams.of[i] = nil
		s.occupied--
		s.seen[i] = st.begun // what the caller's word has said since then is news
	}
}

// settleStreams counts the streams that were answered, and forgets them.
func (s *server) settleStreams() {
	x := &s.streams
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, st := range x.ended {
		s.takeBack(st)
		if st.failed {
			s.counters.Errors++
		} else {
			s.counters.Calls++
		}
		s.counters.RequestBytes += st.in.position
		s.counters.ResponseBytes += st.out.position
		st.addWaits(s.counters)
	}
	clear(x.ended)
	x.ended = x.ended[:0]
}

// endStreams ends all streams, and returns when their handlers have.
func (s *server) endStreams(err error) {
	for _, st := range s.streams.of {
		if st != nil {
			st.fail(err)
			s.ch.parker.wakeStream(st)
		}
	}
	s.streams.running.Wait()
	s.settleStreams()
}
