// SPDX-License-Identifier: Apache-2.0

package dx

import "io"

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
