// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"dx/libdx"
)

// StreamChunk is how many bytes Write, ReadFrom and WriteTo move between two
// publications of progress, unless a quarter of the ring is less.
const StreamChunk = 128 << 10

// StreamOptions are what the caller chooses for a stream: how much of the slot's
// areas its rings use. 0 means all of it. A ring of 0.5 to 2 MiB stays in the
// caches of most machines, and then a large payload arrives sooner than one copy of
// it would take.
type StreamOptions struct {
	RequestRing  int // bytes, up to the request capacity
	ResponseRing int // bytes, up to the response capacity
}

// Stream is a call whose request and response are payloads of any size: they flow
// through rings in the slot's own areas, in chunks, so that the reader starts
// before the writer ends, and a writer that is ahead by a ring waits. Nothing is
// buffered elsewhere and nothing is allocated per chunk.
//
// It is an io.Reader of what the other side writes and an io.Writer of what it
// reads; Reserve and Commit write in place, Peek and Consume read in place. One
// goroutine may write while another reads, and any may close; neither waits longer than the stream's
// context, or that of its direction. A context that ends, ends waits and not the stream. Other errors are the
// stream's end and are reported ever after: ErrEnded (the other side reads no more),
// ErrCancelled, ErrCorrupt, ErrLost, ErrPeerClosed, ErrPeerDead, ErrStopped, ErrType.
type Stream struct {
	out, in    flow
	ch         *Channel
	caller     *Caller // on its side, else nil
	server     *server
	ctx        context.Context
	theirWord  *uint64 // the slot's word of the other side
	goesOn     uint64  // its value while the stream goes on
	answered   uint64  // caller: its value when the handler has returned
	accepted   atomic.Bool
	over       atomic.Pointer[ending]
	done       chan struct{} // closed when over is set
	sharedCell uint32
	kind       uint32
	slot       uint32
	begun      uint64      // server: the caller's word that began it
	returned   atomic.Bool // server: the handler has, and its answer may be there
	failed     bool        // server: what it answered was the error of the stream
	letGo      bool        // caller: the server had, when the stream was released

	shutBy    atomic.Pointer[ending] // once set, nobody begins to use the rings; stream_close.go
	releasing atomic.Bool
	released  chan struct{} // closed when nobody uses them any more
}

// ending is why a stream is over.
type ending struct {
	err    error // nil: the handler has returned
	status int32
}

var errStreamsByCgo = &Error{Status: libdx.ErrInvalid,
	Detail: "streams need PathNative"}

// Type returns the type with which the stream was opened, Slot its slot.
func (s *Stream) Type() uint32 { return s.kind }

// Slot returns the number of the stream's slot.
func (s *Stream) Slot() int { return int(s.slot) }

// Context returns what bounds the stream's waits.
func (s *Stream) Context() context.Context { return s.ctx }

// SetContext changes what bounds the waits that begin from now on. It must not be
// called while another goroutine uses the stream.
func (s *Stream) SetContext(ctx context.Context) { s.ctx, s.in.ctx, s.out.ctx = ctx, ctx, ctx }

// SetReadContext changes what bounds the waits of those who read, and leaves the others
// as they are. It must not be called while another goroutine reads. The end of this
// context may move while somebody waits: what counts is what Done, Err and Deadline say.
func (s *Stream) SetReadContext(ctx context.Context) { s.in.ctx = ctx }

// SetWriteContext is SetReadContext for those who write.
func (s *Stream) SetWriteContext(ctx context.Context) { s.out.ctx = ctx }

// Done is closed when this side knows that the stream has ended. Who reads or writes
// notices that at once. Where nobody does, serving notices within a second that the caller
// has given up or died. On the caller's side nobody else looks.
func (s *Stream) Done() <-chan struct{} { return s.done }

// fail ends the stream, unless it has ended already, and returns how it ended.
func (s *Stream) fail(err error) *ending { return s.end(&ending{err: err}) }

func (s *Stream) end(e *ending) *ending {
	if s.over.CompareAndSwap(nil, e) {
		close(s.done)
		return e
	}
	return s.over.Load()
}

// refresh looks at what the other side says of the slot and of a flow, each word
// once. It returns how the stream ended; one whose handler has returned still has
// what it wrote.
func (s *Stream) refresh(f *flow) *ending {
	e := s.over.Load()
	if e == nil {
		e = s.lookAtWord()
	}
	if e != nil && e.err != nil || !s.accepted.Load() {
		return e
	}
	// A12 <- R12: the bytes. A13 <- R13: their place.
	if !f.note(atomic.LoadUint64(f.theirs)) {
		if e != nil { // the answer stays what it is
			s.over.CompareAndSwap(e, &ending{err: ErrCorrupt})
			return s.over.Load()
		}
		return s.fail(ErrCorrupt)
	}
	return e
}

func (s *Stream) lookAtWord() *ending {
	// A3 <- R3, A2 <- R2: what the slot's word publishes.
	w := atomic.LoadUint64(s.theirWord)
	switch {
	case s.server != nil:
		return s.callerSays(w)
	case w == s.goesOn:
		if !s.accepted.Load() {
			s.accepted.Store(true)
		}
	case w == s.answered:
		s.accepted.Store(true)
		return s.end(s.caller.streamAnswer())
	}
	return nil
}

// callerSays judges the caller's word, on the server's side.
func (s *Stream) callerSays(w uint64) *ending {
	switch {
	case w == s.goesOn:
		return nil
	case epochOf(w) == epochOf(s.goesOn):
		return s.fail(ErrCancelled)
	}
	return s.fail(ErrPeerDead)
}

// Reserve returns room to write in place: all that is free and contiguous, at
// least n bytes of it (or a ring, or what there is up to the ring's end, if that is
// less). It is ours until Commit, or until the stream is closed.
func (s *Stream) Reserve(n int) ([]byte, error) {
	defer s.out.end()
	if err := s.out.begin(); err != nil {
		return nil, err
	}
	return s.reserve(n)
}

func (s *Stream) reserve(n int) ([]byte, error) {
	f := &s.out
	if f.ended {
		return nil, io.ErrClosedPipe
	}
	if len(f.ring) == 0 {
		return nil, &Error{Status: libdx.ErrInvalid, Detail: "no byte can be written to this stream"}
	}
	e, err := f.await(n)
	switch {
	case err != nil:
		return nil, err
	case e != nil && e.err != nil:
		return nil, e.err
	case e != nil:
		return nil, ErrEnded
	}
	return f.span(), nil
}

// Commit publishes the first n bytes of what Reserve returned; it panics if there
// are not so many.
func (s *Stream) Commit(n int) {
	defer s.out.end()
	if s.out.begin() == nil {
		s.commit(n)
	}
}

func (s *Stream) commit(n int) {
	if n == 0 || s.over.Load() != nil {
		return
	}
	_ = s.out.span()[:n:n]
	s.out.advance(n)
}

// chunk is how many bytes go between two publications.
func (f *flow) chunk() int { return max(1, min(StreamChunk, len(f.ring)/4)) }

// Write copies p into the stream, chunk by chunk.
func (s *Stream) Write(p []byte) (n int, err error) {
	defer s.out.end()
	if err := s.out.begin(); err != nil {
		return 0, err
	}
	for n < len(p) {
		chunk := min(len(p)-n, s.out.chunk())
		room, err := s.reserve(chunk)
		if err != nil {
			return n, err
		}
		chunk = copy(room[:min(chunk, len(room))], p[n:])
		s.commit(chunk)
		n += chunk
	}
	return n, nil
}

// ReadFrom writes what r gives, until its end: r reads straight into the ring.
func (s *Stream) ReadFrom(r io.Reader) (total int64, err error) {
	defer s.out.end()
	if err := s.out.begin(); err != nil {
		return 0, err
	}
	for {
		room, err := s.reserve(s.out.chunk())
		if err != nil {
			return total, err
		}
		n, err := r.Read(room[:min(len(room), s.out.chunk())])
		s.commit(n)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// CloseWrite says that nothing more will be written. The other side's Read returns
// io.EOF after what was there.
func (s *Stream) CloseWrite() {
	f := &s.out
	defer f.end()
	if f.begin() != nil || f.ended {
		return
	}
	f.ended = true
	if s.over.Load() == nil {
		f.publish(f.position | libdx.StreamEnd)
	}
}

// Peek returns bytes to read in place: all that is there and contiguous, at least
// n bytes of it (or a ring, or what there is up to the ring's end or the stream's,
// if that is less). At the end of the stream it returns io.EOF. The bytes are valid
// until Consume, or until the stream is closed; the other side can still write there.
func (s *Stream) Peek(n int) ([]byte, error) {
	defer s.in.end()
	if err := s.in.begin(); err != nil {
		return nil, err
	}
	return s.peek(n)
}

func (s *Stream) peek(n int) ([]byte, error) {
	e, err := s.in.await(n)
	switch {
	case err != nil:
		return nil, err
	case e != nil && e.err != nil:
		return nil, e.err
	}
	if span := s.in.span(); len(span) != 0 {
		return span, nil
	}
	return nil, io.EOF
}

// Consume gives the first n bytes of what Peek returned back to the writer; it
// panics if there are not so many.
func (s *Stream) Consume(n int) {
	defer s.in.end()
	if s.in.begin() == nil {
		s.consume(n)
	}
}

func (s *Stream) consume(n int) {
	if e := s.over.Load(); n == 0 || e != nil && e.err != nil {
		return
	}
	_ = s.in.span()[:n:n]
	s.in.advance(n)
}

// Read copies what is there to p, and waits only if there is nothing. Its end is
// io.EOF.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	defer s.in.end()
	if err := s.in.begin(); err != nil {
		return 0, err
	}
	span, err := s.peek(1)
	if err != nil {
		return 0, err
	}
	n := copy(p, span[:min(len(span), max(s.in.chunk(), 1))])
	s.consume(n)
	return n, nil
}

// WriteTo gives w what the stream has, until its end: w gets it in place.
func (s *Stream) WriteTo(w io.Writer) (total int64, err error) {
	defer s.in.end()
	if err := s.in.begin(); err != nil {
		if err == io.EOF {
			err = nil
		}
		return 0, err
	}
	for {
		span, err := s.peek(1)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(span[:min(len(span), s.in.chunk())])
		s.consume(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// ring wakes who waits for our progress, if it sleeps; true if this call did.
func (s *Stream) ring() bool {
	if s.server != nil {
		return s.server.ringCaller(s.slot)
	}
	return s.caller.ring()
}
