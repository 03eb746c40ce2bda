// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"
)

const streamRing = 4096

// pattern is what byte n of every test's stream is.
type pattern struct{ at uint64 }

func patternByte(at uint64) byte { return byte(at * 0x9e3779b97f4a7c15 >> 56) }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = patternByte(p.at)
		p.at++
	}
	return len(b), nil
}

// Write fails at the first byte that is not the pattern's.
func (p *pattern) Write(b []byte) (int, error) {
	for i := range b {
		if b[i] != patternByte(p.at) {
			return i, fmt.Errorf("byte %d is %d", p.at, b[i])
		}
		p.at++
	}
	return len(b), nil
}

// streamTypes are what the handler of these tests does with a stream.
const (
	streamSink  = TypeUser + 40 + iota // checks what comes; 1 if all was right
	streamEcho                         // 1
	streamEarly                        // reads 100 bytes and returns 77
	streamDeaf                         // waits until the stream fails; 1 if it was ErrCancelled
)

var streamHandler = StreamHandlerFunc(func(s *Stream) int32 {
	var err error
	switch s.Type() {
	case streamSink:
		_, err = io.Copy(&pattern{}, s)
	case streamEcho:
		_, err = io.Copy(s, s)
	case streamEarly:
		_, _ = io.ReadFull(s, make([]byte, 100))
		return 77
	case streamDeaf:
		if _, err = s.Read(make([]byte, 1)); errors.Is(err, ErrCancelled) {
			err = nil
		}
	}
	if err != nil {
		return 2
	}
	return 1
})

// streamHost creates a region whose guest serves streams of the tests' handler.
func streamHost(t testing.TB, slots int, capacity int, o ServeOptions) *Channel {
	t.Helper()
	host := newHost(t, Config{Slots: slots, RequestBytes: capacity, ResponseBytes: capacity})
	o.Streams = streamHandler
	serve(t, host, echo, Options{}, o)
	return host
}

func openStream(t testing.TB, c *Caller, kind uint32, ring int) *Stream {
	t.Helper()
	s, err := c.OpenStream(testContext(t), kind, StreamOptions{RequestRing: ring})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustEnd(t testing.TB, s *Stream, want int32) {
	t.Helper()
	if status, err := s.End(); err != nil || status != want {
		t.Errorf("end: status %d, %v; want %d", status, err, want)
	}
}

func TestStreamsOfEachSizeArriveInOrder(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	c := newCallerOf(t, host)
	for _, ring := range []int{0, 1, 7, 1000} {
		for _, size := range []int64{0, 1, 63, 64, 65, streamRing - 1, streamRing, streamRing + 1,
			3*streamRing + 17, 1234567, 64<<20 + 3} {
			if ring != 0 && size > int64(5000*ring) {
				continue
			}
			s := openStream(t, c, streamSink, ring)
			if n, err := io.CopyN(s, &pattern{}, size); err != nil || n != size {
				t.Fatalf("%d of %d bytes, %v", n, size, err)
			}
			mustEnd(t, s, 1)
			if _, err := s.Write([]byte{1}); err == nil {
				t.Error("a stream that has ended was written to")
			}
		}
	}
	mustEcho(t, c)
}

func mustEcho(t testing.TB, c *Caller) {
	t.Helper()
	reply, err := c.Call(testContext(t), TypeUser, []byte("hello"), make([]byte, 8))
	if err != nil || string(reply.Data) != "hello" {
		t.Errorf("call: %q, %v", reply.Data, err)
	}
}

func TestAStreamIsWrittenAndReadAtOnce(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	s := openStream(t, newCallerOf(t, host), streamEcho, 0)
	const size = 5 << 20
	var writer sync.WaitGroup
	writer.Go(func() {
		if _, err := io.CopyN(s, &pattern{}, size); err != nil {
			t.Error(err)
		}
		s.CloseWrite()
	})
	if n, err := io.Copy(&pattern{}, s); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	writer.Wait()
	mustEnd(t, s, 1)
}

func TestAStreamIsWrittenAndReadInPlace(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	s := openStream(t, newCallerOf(t, host), streamEcho, 0)
	p, back := &pattern{}, &pattern{}
	for range 1000 {
		room, err := s.Reserve(100)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := p.Read(room[:min(100, len(room))])
		s.Commit(n)
		for left := n; left > 0; {
			span, err := s.Peek(1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := back.Write(span); err != nil {
				t.Fatal(err)
			}
			left -= len(span)
			s.Consume(len(span))
		}
	}
	s.CloseWrite()
	if _, err := s.Peek(1); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	mustEnd(t, s, 1)
}

func TestOneLoopServesThousandsOfStreams(t *testing.T) {
	const streams = 1000
	host := streamHost(t, streams, 256, ServeOptions{})
	var all sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(streams)
	for i := range streams {
		c := newCallerOf(t, host)
		all.Go(func() {
			s := openStream(t, c, streamSink, 0)
			// More than a ring: it has begun, and none ends before all have.
			if _, err := io.CopyN(s, &pattern{}, 300); err != nil {
				t.Error(err)
			}
			begun.Done()
			begun.Wait()
			if _, err := io.CopyN(s, &pattern{300}, int64(1000+i)); err != nil {
				t.Error(err)
			}
			mustEnd(t, s, 1)
		})
	}
	all.Wait()
}

func TestAHandlerThatReturnsEarlyEndsTheWriter(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	c := newCallerOf(t, host)
	for range 100 {
		s := openStream(t, c, streamEarly, 0)
		if _, err := io.CopyN(s, &pattern{}, streamRing+101); !errors.Is(err, ErrEnded) {
			t.Fatalf("write: %v", err)
		}
		mustEnd(t, s, 77)
	}
	mustEcho(t, c)
}

func TestAStalledReaderCostsTheDeadlineAndNoMore(t *testing.T) {
	host := streamHost(t, 2, streamRing, ServeOptions{})
	c := newCallerOf(t, host)
	s := openStream(t, c, streamDeaf, 0)
	// Takes one byte at most, as its handler reads once.
	ctx, cancel := context.WithTimeout(testContext(t), 20*time.Millisecond)
	defer cancel()
	s.SetContext(ctx)
	n, err := s.ReadFrom(&pattern{})
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrEnded) || n > streamRing+1 {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = s.Close()
	mustEcho(t, c)
	mustEcho(t, newCallerOf(t, host)) // others were served all the time
}

func TestAStreamThatIsGivenUpIsCancelled(t *testing.T) {
	ended := make(chan error, 1)
	host := newHost(t, Config{Slots: 1, RequestBytes: streamRing, ResponseBytes: streamRing})
	serve(t, host, echo, Options{}, ServeOptions{Streams: StreamHandlerFunc(func(s *Stream) int32 {
		_, err := io.Copy(io.Discard, s)
		ended <- err
		return 0
	})})
	c := newCallerOf(t, host)
	for i := range 100 {
		s := openStream(t, c, streamSink, 0)
		if _, err := s.Write(make([]byte, i*streamRing/10)); err != nil {
			t.Fatal(err)
		}
		if i > 10 { // so much that the handler has begun
			_ = s.Close()
			if err := <-ended; !errors.Is(err, ErrCancelled) {
				t.Errorf("handler: %v", err)
			}
		} else {
			mustEnd(t, s, 0)
			if err := <-ended; err != nil {
				t.Errorf("handler: %v", err)
			}
		}
		mustEcho(t, c)
	}
}

func TestStreamsThatFailAreCountedAsErrors(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	c := newCallerOf(t, host)
	const all, given = 8, 3
	for i := range uint64(all) {
		s := openStream(t, c, streamEcho, 0)
		if _, err := s.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(make([]byte, 1)); err != nil { // the handler has begun
			t.Fatal(err)
		}
		if i < given {
			_ = s.Close()
		} else {
			mustEnd(t, s, 1)
		}
		failed := min(i+1, given)
		awaitCounts(t, host, HostCallers, i+1-failed, failed)
		awaitCounts(t, host, GuestServers, i+1-failed, failed)
	}
}

// awaitCounts waits for counters: a server counts a stream once it has rung its caller.
func awaitCounts(t *testing.T, ch *Channel, of StatsOf, calls, failed uint64) {
	t.Helper()
	for ; ; runtime.Gosched() {
		stats, err := ch.Stats(of)
		if err != nil {
			t.Fatal(err)
		}
		if stats.Calls == calls && stats.Errors == failed {
			return
		}
	}
}

func TestACallerWithAStreamIsBusy(t *testing.T) {
	host := streamHost(t, 1, streamRing, ServeOptions{})
	c := newCallerOf(t, host)
	s := openStream(t, c, streamEcho, 0)
	if _, err := c.Call(testContext(t), TypeUser, nil, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("call: %v", err)
	}
	if _, err := c.OpenStream(testContext(t), streamEcho, StreamOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("stream: %v", err)
	}
	if c.Request() != nil {
		t.Error("the request's place was given away")
	}
	_ = s.Close()
	_ = s.Close()
	mustEcho(t, c)
}

func TestServersWithoutStreamsRefuseThem(t *testing.T) {
	host := newHost(t, Config{Slots: 1, RequestBytes: 64})
	serve(t, host, echo, Options{}, ServeOptions{})
	c := newCallerOf(t, host)
	s := openStream(t, c, streamSink, 0)
	if _, err := s.End(); !errors.Is(err, ErrType) {
		t.Errorf("end: %v", err)
	}
	for _, o := range []StreamOptions{{RequestRing: 65}, {RequestRing: -1}, {ResponseRing: 1}} {
		if _, err := c.OpenStream(testContext(t), streamSink, o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestEndingChannelsEndStreams(t *testing.T) {
	for _, which := range []string{"host", "guest"} {
		host := newHost(t, Config{Slots: 2, RequestBytes: 64, ResponseBytes: 64})
		entered, handled := make(chan bool, 1), make(chan error, 1)
		guest := serve(t, host, echo, Options{}, ServeOptions{
			Streams: StreamHandlerFunc(func(s *Stream) int32 {
				entered <- true
				_, err := s.Read(make([]byte, 1))
				handled <- err
				return 0
			})})
		s := openStream(t, newCallerOf(t, host), streamSink, 0)
		<-entered
		read := make(chan error, 1)
		go func() {
			_, err := s.Read(make([]byte, 1))
			read <- err
		}()
		map[string]*Channel{"host": host, "guest": guest}[which].Stop()
		if which == "guest" {
			if err := <-handled; !errors.Is(err, ErrStopped) {
				t.Errorf("handler: %v", err)
			}
		}
		if err := <-read; !errors.Is(err, ErrStopped) && !errors.Is(err, ErrLost) {
			t.Errorf("%s stopped: read: %v", which, err)
		}
		_ = s.Close()
	}
}

func TestStreamsAllocateNothingPerChunk(t *testing.T) {
	host := streamHost(t, 1, 1<<16, ServeOptions{})
	s := openStream(t, newCallerOf(t, host), streamSink, 0)
	data := new(bytes.Buffer)
	_, _ = io.CopyN(data, &pattern{}, 1<<16)
	if _, err := s.Write(data.Bytes()); err != nil {
		t.Fatal(err)
	}
	at := uint64(1 << 16)
	n := testing.AllocsPerRun(200, func() {
		room, err := s.Reserve(1 << 12)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range room {
			room[i] = patternByte(at)
			at++
		}
		s.Commit(len(room))
	})
	if n >= 1 {
		t.Errorf("%.1f allocations per chunk", n)
	}
	mustEnd(t, s, 1)
}
