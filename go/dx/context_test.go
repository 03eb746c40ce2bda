// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// onceOnly is a context that ends with its first look.
type onceOnly struct {
	context.Context
	looks atomic.Int32
}

func oneAttempt() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &onceOnly{Context: ctx}
}

func (c *onceOnly) Err() error {
	if c.looks.Add(1) == 1 {
		return nil
	}
	return c.Context.Err()
}

// boundedWait is something that a context bounds, in a state in which it waits for ever.
type boundedWait struct {
	name  string
	do    func(ctx context.Context) error
	begun func() // returns when it waits; nil: it looks at its context meanwhile
}

// stuck makes everything that takes a context wait: nobody serves the guest's slot, all
// slots of the host are taken, and nobody else attaches.
func stuck(t *testing.T) []boundedWait {
	t.Helper()
	url := shmName(t)
	l, err := Listen(url, 1, Config{Slots: 2, GuestSlots: 1, RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	guest, err := Attach(testContext(t), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guest.Close() })
	host, _, err := l.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	unserved, fromGuest := newCallerOf(t, host), newCallerOf(t, guest)
	newCallerOf(t, host) // the last slot
	served := newHost(t, Config{Slots: 2, RequestBytes: 64, ResponseBytes: 64})
	h := newHolder()
	silent := StreamHandlerFunc(func(s *Stream) int32 { _, _ = s.Peek(1); <-h.release; return 0 })
	serve(t, served, h, Options{}, ServeOptions{Workers: 2, Streams: silent})
	t.Cleanup(func() { close(h.release) })
	busy, streaming := newCallerOf(t, served), newCallerOf(t, served)
	return []boundedWait{
		{"Attach, all places taken", func(ctx context.Context) error { _, err := Attach(ctx, url, Options{}); return err }, nil},
		{"Attach, no host", func(ctx context.Context) error { _, err := Attach(ctx, url+"-none", Options{}); return err }, nil},
		{"Caller", func(ctx context.Context) error { _, err := host.OpenCaller(ctx); return err }, nil},
		{"Channel.Call", func(ctx context.Context) error { _, err := host.Call(ctx, TypePing, nil, nil); return err }, nil},
		{"Call, nobody serves", func(ctx context.Context) error { _, err := unserved.Call(ctx, TypePing, nil, nil); return err }, nil},
		{"Call, a slow handler", func(ctx context.Context) error {
			_, err := busy.Call(ctx, TypeUser, []byte("hold"), nil)
			return err
		}, nil},
		{"Accept", func(ctx context.Context) error { _, _, err := l.Accept(ctx); return err }, nil},
		{"Serve", func(ctx context.Context) error { return host.Serve(ctx, echo) }, func() { callWell(t, fromGuest, 1) }},
		{"Stream, Read and End", func(ctx context.Context) error {
			s, err := streaming.OpenStream(ctx, TypeUser, StreamOptions{})
			if err != nil {
				return err
			}
			_, reading := s.Read(make([]byte, 1))
			_, ending := s.End()
			if reading == nil || ending == nil {
				return fmt.Errorf("read %v, end %v", reading, ending)
			}
			return errors.Join(reading, ending)
		}, nil},
	}
}

func TestWhatAContextEndsSaysSo(t *testing.T) {
	for _, w := range stuck(t) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		third := make(chan struct{}, 1)
		go func() { ended <- w.do(&lookedAt{Context: ctx, third: third}) }()
		if w.begun != nil {
			w.begun()
		} else {
			select {
			case <-third:
			case err := <-ended:
				t.Fatalf("%s ended by itself: %v", w.name, err)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, ctx.Err()) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, cancelled: %v", w.name, err)
		}
	}
	for _, w := range stuck(t) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		// The wait may end by the deadline before the context itself has noticed it.
		if err := w.do(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s, after the deadline: %v", w.name, err)
		}
		cancel()
	}
}

func TestAContextThatHasEndedDoesNothing(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithTimeout(context.Background(), 0)
	defer cancelLate()
	for _, ctx := range []context.Context{cancelled, late} {
		url := shmName(t)
		l, err := Listen(url, 1, Config{Slots: 2, RequestBytes: 64, ResponseBytes: 64})
		if err != nil {
			t.Fatal(err)
		}
		host := l.Channels()[0]
		if _, err := Attach(ctx, url, Options{}); !errors.Is(err, ctx.Err()) {
			t.Errorf("Attach: %v", err)
		}
		if state := host.Peer().State; state != PeerNone {
			t.Errorf("somebody attached: %v", state)
		}
		guest, err := Attach(testContext(t), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Accept(ctx); !errors.Is(err, ctx.Err()) {
			t.Errorf("Accept: %v", err)
		}
		if _, _, err := l.Accept(testContext(t)); err != nil {
			t.Errorf("the guest was taken from who came later: %v", err)
		}
		c := newCallerOf(t, host)
		called := func(*Request, []byte) (int, int32) { t.Error("called"); return 0, 0 }
		if err := guest.Serve(ctx, HandlerFunc(called)); !errors.Is(err, ctx.Err()) {
			t.Errorf("Serve: %v", err)
		}
		if _, err := c.Call(ctx, TypeUser, nil, nil); !errors.Is(err, ctx.Err()) {
			t.Errorf("Caller.Call: %v", err)
		}
		if _, err := host.Call(ctx, TypeUser, nil, nil); !errors.Is(err, ctx.Err()) {
			t.Errorf("Channel.Call: %v", err)
		}
		if _, err := host.OpenCaller(ctx); !errors.Is(err, ctx.Err()) {
			t.Errorf("Caller: %v", err)
		}
		if _, err := c.OpenStream(ctx, TypeUser, StreamOptions{}); !errors.Is(err, ctx.Err()) {
			t.Errorf("Stream: %v", err)
		}
		newCallerOf(t, host) // both slots are free but for c's
		if err := errors.Join(c.Close(), guest.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
}
