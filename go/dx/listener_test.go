// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// guestOf attaches a guest that answers with its request, and returns what ends it.
func guestOf(t *testing.T, url string, options Options) (leave func()) {
	t.Helper()
	guest, err := Attach(testContext(t), url, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- guest.Serve(ctx, echo) }()
	var once sync.Once
	leave = func() {
		once.Do(func() {
			stop()
			if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, ErrPeerClosed) {
				t.Errorf("serve ended with %v", err)
			}
			if err := guest.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(leave)
	return leave
}

func listen(t *testing.T, guests int, options Options) (l *Listener, url string) {
	t.Helper()
	url = "unix:" + t.TempDir() + "/rendezvous"
	l, err := Listen(url, guests, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, url
}

func accept(t *testing.T, l *Listener) (*Channel, Peer) {
	t.Helper()
	ch, peer, err := l.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return ch, peer
}

func TestAcceptTellsGuestsApart(t *testing.T) {
	l, url := listen(t, 3, Options{})
	var leave [3]func()
	sessions, ids := map[uint64]bool{}, map[int]bool{}
	for i := range leave {
		leave[i] = guestOf(t, url, Options{})
		ch, peer := accept(t, l)
		if ch != l.Channels()[i] || peer.Place != i || peer.State != PeerAlive || peer.Remote {
			t.Errorf("guest %d is %+v", i, peer)
		}
		sessions[peer.Session], ids[peer.ID] = true, true
	}
	if len(sessions) != 3 || len(ids) != 3 || ids[-1] || sessions[0] {
		t.Errorf("sessions %v, ids %v", sessions, ids)
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Attach(oneAttempt(), url, Options{}); !errors.Is(err, ErrGuestExists) ||
		!strings.Contains(err.Error(), "3 of its 3 places") {
		t.Errorf("the fourth guest is told %v", err)
	}
	if _, _, err := l.Accept(now); !errors.Is(err, context.Canceled) {
		t.Errorf("a guest that was not there: %v", err)
	}
	// The next one in a place comes by the same channel, as somebody else.
	leave[1]()
	guestOf(t, url, Options{})
	ch, peer := accept(t, l)
	if ch != l.Channels()[1] || sessions[peer.Session] || ids[peer.ID] {
		t.Errorf("the next guest is %+v", peer)
	}
}

// All sides sleep between any two calls, and all guests ring one eventfd of the host. A wake-up that
// is lost costs a minute.
func TestGuestsOfOneHostWakeEachTheirOwn(t *testing.T) {
	for _, path := range []Path{PathNative, PathCgo} {
		w := sleeper(t, "doorbell")
		w.ParkTimeoutNs = int64(time.Minute)
		options := Options{Wait: &w, Path: path, liveness: longSleep}
		l, url := listen(t, 3, options)
		for range 3 {
			guestOf(t, url, options)
		}
		var calls sync.WaitGroup
		for i, ch := range l.Channels() {
			c := newCallerOf(t, ch)
			calls.Go(func() {
				var request, response [8]byte
				for n := range 300 {
					binary.LittleEndian.PutUint64(request[:], uint64(n)<<8|uint64(i))
					reply, err := c.Call(testContext(t), TypeUser, request[:], response[:])
					if err != nil || string(reply.Data) != string(request[:]) {
						t.Errorf("guest %d, call %d: %x, %v", i, n, reply.Data, err)
						return
					}
				}
			})
		}
		calls.Wait()
		for i, ch := range l.Channels() {
			stats, err := ch.Stats(HostCallers)
			if err != nil || stats.Park < 100 || stats.Rescued != 0 {
				t.Errorf("path %d, guest %d: %d calls slept, %d were rescued (%v)", path, i, stats.Park,
					stats.Rescued, err)
			}
		}
	}
}

func TestAListenerIsClosedOnceAndForAll(t *testing.T) {
	l, url := listen(t, 2, Options{})
	guestOf(t, url, Options{})
	if err := l.Channels()[0].Close(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, _, err := l.Accept(testContext(t)); !errors.Is(err, ErrStopped) {
		t.Errorf("accept after the end: %v", err)
	}
	if peer := l.Channels()[1].Peer(); peer.State != PeerNone || peer.ID != -1 {
		t.Errorf("after the end there is %+v", peer)
	}
}

func TestImpossibleNumbersOfGuestsAreRefused(t *testing.T) {
	for _, n := range []int{-1, 0, 31} {
		if _, err := Listen("memfd:", n, Config{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d guests: %v", n, err)
		}
	}
}
