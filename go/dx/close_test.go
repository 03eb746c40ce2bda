// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// longSleep, of Options.liveness, has sleepers look at their peer once a minute, so that a lost
// wake-up is a missed deadline and not a moment's delay.
const longSleep = time.Minute

// parksAtOnce sleeps in each wait, spinner never.
func parksAtOnce(t testing.TB) *Wait {
	w := sleeper(t, "futex")
	return &w
}

func spinner(t testing.TB) *Wait {
	w := mustPreset(t, "latency")
	w.Park = ParkNever
	return &w
}

// waitFor returns when condition holds.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for ctx := testContext(t); !condition(); runtime.Gosched() {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
	}
}

func parkedCallers(ch *Channel) int {
	ch.parker.mu.Lock()
	defer ch.parker.mu.Unlock()
	return len(ch.parker.waiting)
}

func parkedFlows(ch *Channel) int {
	ch.parker.mu.Lock()
	defer ch.parker.mu.Unlock()
	return len(ch.parker.flows)
}

// servingGuest attaches to host and serves until both are told to end.
func servingGuest(t testing.TB, host *Channel, h Handler, o Options, s ServeOptions) (guest *Channel, ended chan error) {
	t.Helper()
	guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), o)
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- guest.ServeWith(context.Background(), h, s) }()
	return guest, ended
}

func TestACallerIsClosedBesideItsCall(t *testing.T) {
	for name, wait := range map[string]*Wait{"spinning": spinner(t), "parked": parksAtOnce(t)} {
		host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: wait}})
		h := newHolder()
		serve(t, host, h, Options{}, ServeOptions{})
		c := newCallerOf(t, host)
		called := make(chan error, 1)
		go func() {
			_, err := c.Call(context.Background(), TypeUser, []byte("hold"), make([]byte, 8))
			called <- err
		}()
		<-h.entered
		if wait.Park != ParkNever {
			waitFor(t, "a call that sleeps", func() bool { return parkedCallers(host) == 1 })
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-called; !errors.Is(err, ErrStopped) {
			t.Errorf("%s: %v", name, err)
		}
		close(h.release)
		callWell(t, newCallerOf(t, host), 1) // the slot was given back
	}
}

// Without an order between use and Close, now and then a call would write to a slot that is another's.
func TestCallersAreClosedAtEachPlaceOfACall(t *testing.T) {
	for name, o := range map[string]Options{"native": {}, "cgo": {Path: PathCgo}, "without membarrier": {slowFence: true}} {
		t.Run(name, func(t *testing.T) { closeBesideCalls(t, o) })
	}
}

func closeBesideCalls(t *testing.T, o Options) {
	host := newHost(t, Config{RequestBytes: 64, ResponseBytes: 64, Options: o})
	serve(t, host, echo, Options{}, ServeOptions{})
	for range 500 {
		c, err := host.OpenCaller(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		first, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; ; n++ {
				reply, err := c.Call(testContext(t), TypeUser, []byte("abc"), make([]byte, 8))
				if n == 0 {
					close(first)
				}
				if err != nil {
					if !errors.Is(err, ErrStopped) {
						t.Error(err)
					}
					return
				}
				if string(reply.Data) != "abc" {
					t.Errorf("%q", reply.Data)
				}
			}
		}()
		<-first
		_ = c.Close()
		callOnce(t, host) // on the same slot, beside a call that is ending
		<-ended
	}
}

func TestMethodsAfterCloseSayTheTruth(t *testing.T) {
	url := shmName(t)
	l, err := Listen(url, 1, Config{Slots: 3, GuestSlots: 2, RequestBytes: streamRing, ResponseBytes: streamRing})
	if err != nil {
		t.Fatal(err)
	}
	host := l.Channels()[0]
	guest, err := Attach(testContext(t), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	watching, err := Observe(url)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- guest.ServeWith(context.Background(), echo, ServeOptions{Streams: streamHandler})
	}()
	c, other := newCallerOf(t, host), newCallerOf(t, host)
	s := openStream(t, c, streamSink, 0)
	done := openStream(t, other, streamSink, 0)
	mustEnd(t, done, 1)
	bytes := host.RegionBytes()
	if host.FD() < 0 || bytes == 0 {
		t.Errorf("descriptor %d, %d bytes", host.FD(), bytes)
	}
	if err := errors.Join(watching.Close(), c.Close(), other.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	<-ended
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
	checkClosedChannel(t, host, 3, bytes)
	checkClosedChannel(t, guest, 2, bytes)
	if _, _, err := l.Accept(testContext(t)); !errors.Is(err, ErrStopped) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := watching.Stats(HostCallers); !errors.Is(err, ErrStopped) {
		t.Errorf("an observer: %v", err)
	}
	_, call := c.Call(testContext(t), TypeUser, nil, nil)
	_, inPlace := c.CallInPlace(testContext(t), TypeUser, 0)
	_, stream := c.OpenStream(testContext(t), TypeUser, StreamOptions{})
	for _, err := range []error{call, inPlace, stream} {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("a caller: %v", err)
		}
	}
	if c.Request() != nil {
		t.Error("a request of a closed caller")
	}
	checkClosedStream(t, s)
	checkClosedStream(t, done)
}

func checkClosedChannel(t *testing.T, ch *Channel, slots int, bytes uint64) {
	t.Helper()
	if ch.FD() != -1 || ch.Slots() != slots || ch.RegionBytes() != bytes || ch.ParkKind() != ParkNever ||
		ch.Notice() != "" || ch.Peer() != (Peer{ID: -1}) {
		t.Errorf("descriptor %d, %d slots, %d bytes, parks by %v, %q, %v", ch.FD(), ch.Slots(), ch.RegionBytes(), ch.ParkKind(), ch.Notice(), ch.Peer())
	}
	_, stats := ch.Stats(HostCallers)
	_, slot := ch.SlotStats(0)
	_, call := ch.Call(testContext(t), TypeUser, nil, nil)
	_, caller := ch.OpenCaller(testContext(t))
	for i, err := range []error{stats, slot, call, caller, ch.Serve(testContext(t), echo)} {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("method %d: %v", i, err)
		}
	}
	ch.Stop()
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
}

// What a closed channel was is the next one's: its number, and its place in memory.
func TestAClosedChannelHasNoDescriptor(t *testing.T) {
	for range 50 {
		host := newHost(t, Config{})
		if err := host.Close(); err != nil {
			t.Fatal(err)
		}
		next := newHost(t, Config{})
		if fd := host.FD(); fd != -1 {
			t.Errorf("%d, which is the next channel's %d", fd, next.FD())
		}
	}
}
