// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// bothEnds opens a stream whose handler runs in the test, on another goroutine, and returns both ends.
func bothEnds(t *testing.T) (guest *Channel, ours, theirs *Stream, leave func(status int32)) {
	t.Helper()
	host := newHost(t, Config{Slots: 1, RequestBytes: 100, ResponseBytes: 100})
	streams, statuses := make(chan *Stream), make(chan int32, 1)
	guest = serve(t, host, echo, Options{}, ServeOptions{Streams: StreamHandlerFunc(func(s *Stream) int32 {
		streams <- s
		select {
		case status := <-statuses:
			return status
		case <-s.Done():
			return -1
		}
	})})
	ours = openStream(t, newCallerOf(t, host), streamEcho, 0)
	return guest, ours, <-streams, func(status int32) { statuses <- status }
}

func TestFlushWaitsUntilAllWasRead(t *testing.T) {
	_, ours, theirs, leave := bothEnds(t)
	if err := ours.Flush(); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	for _, s := range [][2]*Stream{{ours, theirs}, {theirs, ours}} {
		if _, err := s[0].Write(make([]byte, 70)); err != nil {
			t.Fatal(err)
		}
		now, cancel := context.WithCancel(context.Background())
		cancel()
		s[0].SetWriteContext(now)
		if err := s[0].Flush(); err != context.Canceled {
			t.Errorf("nobody reads: %v", err)
		}
		s[0].SetWriteContext(testContext(t))
		flushed := make(chan error, 1)
		go func() { flushed <- s[0].Flush() }()
		if _, err := io.ReadFull(s[1], make([]byte, 70)); err != nil {
			t.Error(err)
		}
		if err := <-flushed; err != nil {
			t.Error(err)
		}
		if s[1].AtEnd() {
			t.Error("it is at the end, but there can be more")
		}
	}
	if _, err := ours.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	leave(5)
	if err := ours.Flush(); !errors.Is(err, ErrEnded) {
		t.Errorf("the handler has returned: %v", err)
	}
	mustEnd(t, ours, 5)
}

func TestWhoHasReadAllOfAStreamThatIsGivenUpKnowsIt(t *testing.T) {
	for _, all := range []bool{true, false} {
		_, ours, theirs, leave := bothEnds(t)
		if _, err := ours.Write(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		ours.CloseWrite()
		n := 10
		if !all {
			n = 9
		}
		if _, err := io.ReadFull(theirs, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		_ = ours.Close()
		if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, ErrCancelled) {
			t.Errorf("read: %v", err)
		}
		if theirs.AtEnd() != all {
			t.Errorf("%d of 10 bytes were read, at the end: %v", n, !all)
		}
		leave(0)
	}
}

func TestReadersAndWritersHaveContextsOfTheirOwn(t *testing.T) {
	_, ours, theirs, leave := bothEnds(t)
	soon, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	for _, s := range []*Stream{ours, theirs} {
		s.SetReadContext(soon)
		if _, err := s.Read(make([]byte, 1)); err != context.DeadlineExceeded {
			t.Errorf("read: %v", err)
		}
		s.SetReadContext(testContext(t))
	}
	for _, s := range []*Stream{ours, theirs} {
		if _, err := s.Write([]byte{1}); err != nil {
			t.Errorf("write: %v", err)
		}
		s.SetWriteContext(soon)
		if _, err := s.Write([]byte{1}); err != context.DeadlineExceeded {
			t.Errorf("write: %v", err)
		}
	}
	for _, s := range []*Stream{ours, theirs} {
		if n, err := s.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
	}
	ours.SetContext(testContext(t))
	leave(0)
	mustEnd(t, ours, 0)
}

func TestTheEndOfServingIsToldToAHandlerThatIsIdle(t *testing.T) {
	guest, _, theirs, _ := bothEnds(t)
	select {
	case <-theirs.Done():
		t.Error("a stream that goes on is done")
	default:
	}
	guest.Stop()
	<-theirs.Done()
	if _, err := theirs.Write([]byte{1}); err == nil {
		t.Error("it was written to")
	}
}
