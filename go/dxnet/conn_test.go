// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

func TestItIsAConnectionAsPackageNetMeansIt(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for _, swap := range []bool{false, true} {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				s := listen(t, w, Config{Conns: 2, Buffer: 4096})
				dialed, accepted := s.connect()
				stop = func() {
					_ = dialed.Close()
					_ = accepted.Close()
					_ = s.listener.Close()
				}
				if swap {
					return accepted, dialed, stop, nil
				}
				return dialed, accepted, stop, nil
			})
		}
	})
}

// ends runs a test with each end of a connection as ours.
func ends(t *testing.T, test func(t *testing.T, ours, theirs *Conn)) {
	eachWay(t, func(t *testing.T, w way) {
		for _, swap := range []bool{false, true} {
			s := listen(t, w, Config{Conns: 1, Buffer: 1000, Guests: 1})
			ours, theirs := s.connect()
			if swap {
				ours, theirs = theirs, ours
			}
			test(t, ours, theirs)
			_ = ours.Close()
			_ = theirs.Close()
			_ = s.listener.Close()
		}
	})
}

func wants(t *testing.T, what string, err error, want error, timeout bool) {
	t.Helper()
	var e net.Error
	if !errors.Is(err, want) || !errors.As(err, &e) || e.Timeout() != timeout {
		t.Errorf("%s: %v (%T), not %v", what, err, err, want)
	}
	if _, ok := err.(*net.OpError); !ok {
		t.Errorf("%s: %T is no *net.OpError", what, err)
	}
}

func TestOneDirectionEndsAndTheOtherGoesOn(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		mustWrite(t, ours, "last words")
		if err := ours.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		mustRead(t, theirs, "last words")
		for range 2 {
			if n, err := theirs.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d, %v", n, err)
			}
		}
		mustWrite(t, theirs, "answer")
		mustRead(t, ours, "answer")
		_, err := ours.Write([]byte("x"))
		wants(t, "write after CloseWrite", err, syscall.EPIPE, false)
	})
}

func TestCloseWriteWakesAWriter(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		wrote := make(chan error, 1)
		go func() {
			_, err := ours.Write(make([]byte, 5000)) // more than there is room for
			wrote <- err
		}()
		awaitIn("Conn).Write")
		if err := ours.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wants(t, "write", <-wrote, syscall.EPIPE, false)
		n, err := io.Copy(io.Discard, theirs)
		if n < 750 || err != nil { // a writer waits for a quarter of the buffer
			t.Errorf("%d bytes arrived, %v", n, err)
		}
	})
}

// awaitIn returns when a goroutine sleeps in this method.
func awaitIn(method string) {
	all := make([]byte, 1<<20)
	for ; ; runtime.Gosched() {
		for _, stack := range strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n") {
			head, _, _ := strings.Cut(stack, "\n")
			if strings.Contains(stack, method) && strings.Contains(head, "[select") {
				return
			}
		}
	}
}

func TestCloseWakesBothAndIsToldOnce(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		read, wrote := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := ours.Read(make([]byte, 1))
			read <- err
		}()
		go func() {
			_, err := ours.Write(make([]byte, 5000))
			wrote <- err
		}()
		awaitIn("Conn).Read")
		awaitIn("Conn).Write")
		if err := ours.Close(); err != nil {
			t.Error(err)
		}
		wants(t, "read", <-read, net.ErrClosed, false)
		wants(t, "write", <-wrote, net.ErrClosed, false)
		wants(t, "close", ours.Close(), net.ErrClosed, false)
		wants(t, "half close", ours.CloseWrite(), net.ErrClosed, false)
		wants(t, "deadline", ours.SetDeadline(time.Now()), net.ErrClosed, false)
		wants(t, "linger", ours.SetLinger(1), net.ErrClosed, false)
		_, err := ours.Read(nil)
		wants(t, "read", err, net.ErrClosed, false)
		_, err = ours.Write(nil)
		wants(t, "write", err, net.ErrClosed, false)
		if n, err := io.Copy(io.Discard, theirs); n < 750 || err != nil {
			t.Errorf("%d bytes arrived, %v", n, err)
		}
	})
}

func TestWhatWasWrittenBeforeCloseArrives(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		text := strings.Repeat("x", 1000) // all of the buffer
		mustWrite(t, theirs, text)        // nobody reads it, and that holds nobody up
		mustWrite(t, ours, text)
		if err := ours.Close(); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(theirs)
		if string(got) != text || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		for { // the first ones may still find room
			if _, err = theirs.Write(make([]byte, 500)); err != nil {
				break
			}
		}
		wants(t, "write to who has closed", err, syscall.EPIPE, false)
	})
}

func TestADropOfWhatIsLeftResetsTheOtherSide(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		mustWrite(t, ours, "never read")
		if err := errors.Join(ours.SetLinger(0), ours.Close()); err != nil {
			t.Error(err)
		}
		_, err := io.Copy(io.Discard, theirs)
		wants(t, "read", err, syscall.ECONNRESET, false)
	})
}

func TestCloseCanWaitForTheReader(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := listen(t, w, Config{})
		ours, theirs := s.connect()
		mustWrite(t, ours, "late")
		if err := ours.SetLinger(3600); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- ours.Close() }()
		awaitIn("closeDialed")
		if got, err := io.ReadAll(theirs); string(got) != "late" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestDeadlinesEndWaitsAndNotTheConnection(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		if err := ours.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := ours.Read(make([]byte, 1))
		wants(t, "read", err, os.ErrDeadlineExceeded, true)
		_, err = ours.Write([]byte("late"))
		wants(t, "write", err, os.ErrDeadlineExceeded, true)
		if err := ours.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		n, err := ours.Write(bytes.Repeat([]byte("y"), 600))
		if n != 600 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		wrote := make(chan error, 1)
		go func() {
			n, err = ours.Write(bytes.Repeat([]byte("y"), 600))
			wrote <- err
		}()
		awaitIn("Conn).Write")
		if err := ours.SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		wants(t, "write", <-wrote, os.ErrDeadlineExceeded, true)
		if n < 150 || n > 400 { // a quarter of the buffer may be left
			t.Errorf("%d bytes had room, not 400", n)
		}
		mustRead(t, theirs, strings.Repeat("y", 600+n))
		mustWrite(t, theirs, "z")
		mustRead(t, ours, "z")
	})
}

func TestADeadlineThatIsMovedHoldsForWhoWaits(t *testing.T) {
	ends(t, func(t *testing.T, ours, theirs *Conn) {
		read := func() chan error {
			done := make(chan error, 1)
			go func() {
				_, err := ours.Read(make([]byte, 1))
				done <- err
			}()
			return done
		}
		soon := time.Now().Add(30 * time.Millisecond)
		_ = ours.SetReadDeadline(soon)
		first := read()
		_ = ours.SetReadDeadline(time.Now().Add(time.Hour)) // in time or not
		mustWrite(t, theirs, "1")
		if err := <-first; err != nil {
			wants(t, "read", err, os.ErrDeadlineExceeded, true)
			mustRead(t, ours, "1")
		}
		second := read()
		awaitIn("Conn).Read")
		_ = ours.SetReadDeadline(time.Unix(1, 0))
		wants(t, "read", <-second, os.ErrDeadlineExceeded, true)
		_ = ours.SetReadDeadline(time.Time{})
		third := read()
		awaitIn("Conn).Read")
		mustWrite(t, theirs, "2")
		if err := <-third; err != nil {
			t.Error(err)
		}
	})
}

func TestDialTellsWhyItFails(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Dial(ended, urlOf(t, "shm"))
	wants(t, "cancelled", err, context.Canceled, false)
	soon, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	_, err = Dial(soon, urlOf(t, "shm"))
	wants(t, "nobody", err, os.ErrDeadlineExceeded, true)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err = Dial(testContext(t), "nonsense:"); err == nil {
		t.Error("nonsense was dialed")
	}
	if _, err = Listen("nonsense:"); err == nil {
		t.Error("nonsense was listened at")
	}
	awaitNothingLeft()
}
