// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"io"
	"sync/atomic"

	"dx/libdx"
)

// A stream may be closed, and its handler may return, while other goroutines are in its
// methods. The rings are then still in use: the slot is given to the next call, or the
// answer is sent, when they have left. Each method begins and ends the use of its flow.

// begin must be followed by end, whatever it returns. An error says that the stream is
// closed, and that the rings must not be touched.
func (f *flow) begin() error {
	// Both atomics are in one order with those of shut: either it sees us, or we see it.
	f.using.Store(true)
	s := f.stream
	if s.shutBy.Load() == nil {
		return nil
	}
	switch e := s.over.Load(); {
	case e != nil && e.err != nil:
		return e.err
	case f.sends:
		return ErrEnded
	}
	return io.EOF
}

func (f *flow) end() {
	f.using.Store(false)
	if f.stream.shutBy.Load() != nil {
		f.stream.release()
	}
}

// shut ends the use of the rings, once, and never waits: those who are in a wait are
// woken, and the last one who leaves releases the stream. err is what ended it.
func (s *Stream) shut(err error) {
	if !s.shutBy.CompareAndSwap(nil, &ending{err: err}) {
		return
	}
	s.fail(ErrStopped) // whoever still uses it
	s.ch.parker.wakeStream(s)
	s.release()
}

// release lets go of the rings if nobody uses them any more; shutBy is set.
func (s *Stream) release() {
	if s.in.using.Load() || s.out.using.Load() || s.releasing.Swap(true) {
		return
	}
	c := s.caller
	if c != nil {
		c.giveBackSlot(s, s.shutBy.Load().err)
	}
	close(s.released)
	if c != nil && c.closing.Load() {
		_ = c.finish()
	}
}

func (s *Stream) isReleased() bool {
	select {
	case <-s.released:
		return true
	default:
		return false
	}
}

// Flush waits until the other side has read all that was written. It is the writer's. The
// error is ErrEnded if the other side has ended the stream, and will not read the rest.
func (s *Stream) Flush() error {
	f := &s.out
	defer f.end()
	if err := f.begin(); err != nil {
		return err
	}
	e := s.refresh(f)
	if e == nil && f.peer != f.position {
		f.all = true
		defer func() { f.all = false }()
		var err error
		if e, err = f.await(1); err != nil {
			return err
		}
	}
	switch {
	case e != nil && e.err != nil:
		return e.err
	case f.peer != f.position:
		return ErrEnded
	}
	return nil
}

// Answer returns the status of the handler, as End does, once it has returned and this side has
// noticed that; ok is false before, and on the handler's side.
func (s *Stream) Answer() (status int32, ok bool) {
	e := s.over.Load()
	if s.caller == nil || e == nil || e.err != nil {
		return 0, false
	}
	return e.status, true
}

// AtEnd says whether all that the other side writes has been read: it has called
// CloseWrite, and nothing is left. It is the reader's. It tells so also of a stream that
// has failed, until that is closed or its handler has returned: who reads ErrCancelled can
// learn whether anything is missing.
func (s *Stream) AtEnd() bool {
	f := &s.in
	defer f.end()
	if f.begin() != nil || !s.accepted.Load() {
		return false
	}
	// A12 <- R12 (stream.c): nothing comes after what the word says.
	return atomic.LoadUint64(f.theirs) == f.position|libdx.StreamEnd
}
