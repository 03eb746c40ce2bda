// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// endless writes until the stream ends; mute reads and writes nothing.
var endless = StreamHandlerFunc(func(s *Stream) int32 {
	for chunk := make([]byte, 1000); ; {
		if _, err := s.Write(chunk); err != nil {
			return 0
		}
	}
})

var mute = StreamHandlerFunc(func(s *Stream) int32 {
	for n := 1; ; n = streamRing + 1 { // never consumed
		if _, err := s.Peek(n); err != nil {
			return 0
		}
		runtime.Gosched()
	}
})

// discard has no ReadFrom, so that the bytes are read where they lie.
type discard struct{}

func (discard) Write(p []byte) (int, error) {
	sum := 0
	for _, b := range p {
		sum += int(b)
	}
	_ = sum
	return len(p), nil
}

// streamUse is one way to use a stream: with this strategy, against this handler.
type streamUse struct {
	wait    *Wait
	handler StreamHandler
	use     func(s *Stream) error
	parked  bool      // until it sleeps
	held    *slowUser // or until it is in the midst of using the ring
}

func TestAStreamIsClosedWithAllBelowItWhileOthersUseIt(t *testing.T) {
	for name, c := range map[string]streamUse{
		"read, spinning": {spinner(t), mute, func(s *Stream) error { _, err := s.Read(make([]byte, 9)); return err }, false, nil},
		"read, parked":   {parksAtOnce(t), mute, func(s *Stream) error { _, err := s.Read(make([]byte, 9)); return err }, true, nil},
		"write, parked":  {parksAtOnce(t), mute, func(s *Stream) error { _, err := s.Write(make([]byte, 3*streamRing)); return err }, true, nil},
		"read in place, flowing": {spinner(t), endless, func(s *Stream) error {
			_, err := s.WriteTo(discard{})
			return err
		}, false, nil},
		"written in place, flowing": {spinner(t), streamHandler, func(s *Stream) error {
			_, err := s.ReadFrom(&pattern{})
			return err
		}, false, nil},
		"read in place, slowly":    {parksAtOnce(t), endless, nil, false, newSlowUser()},
		"written in place, slowly": {parksAtOnce(t), streamHandler, nil, false, newSlowUser()},
	} {
		rounds := 60
		if c.held != nil {
			rounds = 1
			c.use = func(s *Stream) error { _, err := s.WriteTo(c.held); return err }
			if strings.HasPrefix(name, "written") {
				c.use = func(s *Stream) error { _, err := s.ReadFrom(c.held); return err }
			}
		}
		for range rounds {
			closeAllUnder(t, name, c)
		}
	}
}

// closeAllUnder closes a stream, its caller and their channel while another goroutine uses the stream.
func closeAllUnder(t *testing.T, name string, c streamUse) {
	t.Helper()
	host, err := Create("memfd:", Config{RequestBytes: streamRing, ResponseBytes: streamRing, Options: Options{Wait: c.wait}})
	if err != nil {
		t.Fatal(err)
	}
	guest, served := servingGuest(t, host, echo, Options{Wait: c.wait}, ServeOptions{Streams: c.handler})
	caller, err := host.OpenCaller(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := caller.OpenStream(context.Background(), streamSink, StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began, used := make(chan struct{}), make(chan error, 1)
	go func() { close(began); used <- c.use(s) }()
	<-began
	if c.held != nil {
		<-c.held.entered
	}
	if c.parked {
		waitFor(t, "a flow that sleeps", func() bool { return parkedFlows(host) > 0 })
	}
	if err := errors.Join(s.Close(), caller.Close(), host.Close()); err != nil {
		t.Error(err)
	}
	if c.held != nil {
		close(c.held.release) // and now it uses the ring
	}
	if err := <-used; !errors.Is(err, ErrCancelled) && !errors.Is(err, ErrStopped) {
		t.Errorf("%s: %v", name, err)
	}
	if err := <-served; !errors.Is(err, ErrPeerClosed) {
		t.Errorf("%s: serve ended with %v", name, err)
	}
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
}

func TestACallAfterAStreamsCloseIsWoken(t *testing.T) {
	o := Options{Wait: parksAtOnce(t), liveness: longSleep}
	host := newHost(t, Config{RequestBytes: streamRing, ResponseBytes: streamRing, Options: o})
	var read chan error
	slow := HandlerFunc(func(*Request, []byte) (int, int32) {
		read <- <-read // the reader has left
		waitFor(t, "a call that sleeps", func() bool { return parkedCallers(host) == 1 })
		return 0, 0
	})
	serve(t, host, slow, o, ServeOptions{Streams: mute})
	c := newCallerOf(t, host)
	for range 50 {
		s, err := c.OpenStream(testContext(t), TypeUser, StreamOptions{})
		if err != nil {
			t.Fatal(err)
		}
		read = make(chan error, 1)
		go func() { _, err := s.Read(make([]byte, 1)); read <- err }()
		waitFor(t, "a reader that sleeps", func() bool { return parkedFlows(host) == 1 })
		_ = s.Close()
		if _, err := c.Call(testContext(t), TypeUser, nil, nil); err != nil {
			t.Fatalf("the call after the stream: %v", err)
		}
		if err := <-read; !errors.Is(err, ErrCancelled) {
			t.Errorf("the reader: %v", err)
		}
	}
}

func TestACallWaitsForWhoStillUsesTheClosedStream(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	c := newCallerOf(t, host)
	s := openStream(t, c, streamSink, 0)
	source := newSlowUser()
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := s.ReadFrom(source); !errors.Is(err, ErrCancelled) {
			t.Errorf("who still reads into the ring: %v", err)
		}
	})
	<-source.entered
	_ = s.Close()
	ctx, cancel := context.WithCancel(testContext(t))
	cancelled := &lookedAt{Context: ctx, third: make(chan struct{}, 1)}
	go func() { waitFor(t, "a call that waits", func() bool { return cancelled.looks.Load() > 2 }); cancel() }()
	if _, err := c.Call(cancelled, TypeUser, nil, nil); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrBusy) {
		t.Errorf("a call that is given up: %v", err)
	}
	if c.Request() != nil {
		t.Error("the ring that is still in use may be overwritten")
	}
	running.Go(func() { callWell(t, c, 1) })
	close(source.release)
	running.Wait()
}

// slowUser reads or writes the first byte of what it is given when it is told to.
type slowUser struct{ entered, release chan struct{} }

func newSlowUser() *slowUser { return &slowUser{make(chan struct{}), make(chan struct{})} }

func (u *slowUser) use(p []byte) {
	select {
	case <-u.release:
	default:
		close(u.entered)
		<-u.release
	}
	p[0]++
}

func (u *slowUser) Read(p []byte) (int, error)  { u.use(p); return 1, nil }
func (u *slowUser) Write(p []byte) (int, error) { u.use(p); return len(p), nil }

func TestAnAnswerWaitsForWhoStillUsesTheStream(t *testing.T) {
	returned := make(chan *Stream, 1)
	used := make(chan error, 1)
	slow := newSlowUser()
	host := newHost(t, Config{RequestBytes: streamRing, ResponseBytes: streamRing})
	guest, served := servingGuest(t, host, echo, Options{}, ServeOptions{Streams: StreamHandlerFunc(
		func(s *Stream) int32 {
			go func() { _, err := s.WriteTo(slow); used <- err }()
			<-slow.entered
			returned <- s
			return 5
		})})
	c := newCallerOf(t, host)
	s := openStream(t, c, TypeUser, 0)
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	var released atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if mustEnd(t, s, 5); !released.Load() {
			t.Error("the answer came while the ring was in use")
		}
	}()
	left := <-returned
	waitFor(t, "a handler that has returned", func() bool { return left.shutBy.Load() != nil })
	released.Store(true)
	close(slow.release)
	<-ended
	if err := <-used; err != nil && !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	guest.Stop()
	<-served
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
	checkClosedStream(t, left) // its memory is not mapped any more
}

func checkClosedStream(t *testing.T, s *Stream) {
	t.Helper()
	_, reserving := s.Reserve(1)
	_, writing := s.Write([]byte("x"))
	_, filling := s.ReadFrom(&pattern{})
	_, peeking := s.Peek(1)
	_, reading := s.Read(make([]byte, 1))
	_, ending := s.End()
	for i, err := range []error{reserving, writing, filling, peeking, reading, ending} {
		if err == nil {
			t.Errorf("method %d of a closed stream succeeded", i)
		}
	}
	if n, _ := s.WriteTo(discard{}); n != 0 {
		t.Errorf("a closed stream gave %d bytes", n)
	}
	s.Commit(1)
	s.Consume(1)
	s.CloseWrite()
	_, _, _ = s.Type(), s.Slot(), s.Context()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAHandlerThatClosesItsStreamCancelsIt(t *testing.T) {
	host := newHost(t, Config{RequestBytes: streamRing, ResponseBytes: streamRing})
	serve(t, host, echo, Options{}, ServeOptions{Streams: StreamHandlerFunc(func(s *Stream) int32 {
		reading := make(chan error, 1)
		go func() { _, err := s.Read(make([]byte, 1)); reading <- err }()
		_ = s.Close()
		if err := <-reading; !errors.Is(err, ErrCancelled) {
			t.Errorf("its reader: %v", err)
		}
		if _, err := s.End(); !errors.Is(err, ErrInvalid) {
			t.Errorf("End of a handler: %v", err)
		}
		return 3
	})})
	if _, err := openStream(t, newCallerOf(t, host), TypeUser, 0).End(); !errors.Is(err, ErrCancelled) {
		t.Errorf("the caller: %v", err)
	}
}
