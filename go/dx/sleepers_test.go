// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dx/libdx"
)

// parkAtOnce sleeps without any spin.
func parkAtOnce(t testing.TB) Wait {
	w := mustPreset(t, "balanced")
	w.SpinMin, w.SpinStart, w.SpinMax = 0, 0, 0
	return w
}

// neverPark spins for ever.
func neverPark(t testing.TB) Wait {
	w := mustPreset(t, "balanced")
	w.Park, w.Adapt = ParkNever, AdaptOff
	return w
}

// spinForEver has a goroutine spin until the test ends: in a call that nobody answers.
func spinForEver(t testing.TB) (end func()) {
	w := neverPark(t)
	host := newHost(t, Config{Options: Options{Wait: &w}})
	c := newCallerOf(t, host)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), TypeUser, nil, nil)
		ended <- err
	}()
	return func() {
		host.Stop()
		if err := <-ended; !errors.Is(err, ErrStopped) {
			t.Errorf("the spinning call ended with %v", err)
		}
	}
}

// spinIdly has a server spin that nobody calls.
func spinIdly(t testing.TB) (end func()) {
	w := neverPark(t)
	host := newHost(t, Config{Options: Options{Wait: &w}})
	serve(t, host, echo, Options{Wait: &w}, ServeOptions{})
	return func() {}
}

// callQuickly has a goroutine call a server: neither of them ever waits for long.
func callQuickly(t testing.TB) (end func()) {
	w := neverPark(t)
	host := newHost(t, Config{Options: Options{Wait: &w}})
	serve(t, host, echo, Options{Wait: &w}, ServeOptions{})
	c := newCallerOf(t, host)
	var enough atomic.Bool
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil && !enough.Load() {
			_, err = c.Call(context.Background(), TypeUser, nil, nil)
		}
		ended <- err
	}()
	return func() {
		enough.Store(true)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// The ring is in the memory and the poller does not hear of it, as if nobody ever looked
// at the poller; and the sleep ends for no other reason.
func TestGoroutinesThatSpinWakeThoseWhoWereRung(t *testing.T) {
	for name, spin := range map[string]func(testing.TB) func(){
		"a call without an answer": spinForEver,
		"an idle server":           spinIdly,
		"calls and answers":        callQuickly,
	} {
		t.Run(name, func(t *testing.T) {
			w := parkAtOnce(t)
			w.ParkTimeoutNs = int64(1000 * time.Second)
			host := newHost(t, Config{Options: Options{Wait: &w}})
			host.sleep = time.Hour
			host.parker.bell.file = deaf(t)
			c := newCallerOf(t, host)
			c.ready = true
			ended := make(chan error, 1)
			go func() {
				_, err := c.Call(context.Background(), TypeUser, nil, nil)
				ended <- err
			}()
			for host.parked() == 0 || !sleeps(&host.parker.bell) {
				runtime.Gosched()
			}
			atomic.StoreUint64(c.serverWord, word(c.epoch, libdx.ServerAcknowledged, c.sequence))
			atomic.AddUint32(host.raw.Rings(host.parker.bell.cell), 16)
			defer spin(t)()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-testContext(t).Done():
				_ = host.parker.bell.file.SetReadDeadline(time.Now())
				host.Stop()
				t.Errorf("nobody woke it; it ended with %v when all was stopped", <-ended)
			}
			if c.counters.Rescued != 0 {
				t.Error("the end of the time woke it")
			}
		})
	}
}

// deaf is a descriptor that never becomes readable.
func deaf(t *testing.T) *os.File {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "deaf")
}

// sleeps says whether somebody waits for the bell.
func sleeps(b *bell) bool {
	sleepers.mu.Lock()
	defer sleepers.mu.Unlock()
	for _, other := range sleepers.bells {
		if other == b {
			return true
		}
	}
	return false
}

// A sleeper that was called by a goroutine that spins is called once, and sleeps again
// although the ring arrives at its descriptor later.
func TestARingThatWasSeenDoesNotEndTheNextSleepToo(t *testing.T) {
	w := parkAtOnce(t)
	host := newHost(t, Config{Options: Options{Wait: &w}})
	b := &bell{ch: host, cell: 0}
	if err := b.ensure(); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for range 100 {
		armed := host.raw.Arm(b.cell)
		rung := make(chan bool)
		go func() { rung <- b.wait(armed, time.Hour) }()
		for !sleeps(b) {
			runtime.Gosched()
		}
		if !host.raw.Ring(b.cell) {
			t.Fatal("nobody was there to be rung")
		}
		wakeSleepers()
		if !<-rung {
			t.Fatal("the ring was not seen")
		}
		host.raw.Disarm(b.cell, armed)
		armed = host.raw.Arm(b.cell)
		if b.wait(armed, 0) {
			t.Fatal("a ring that nobody made")
		}
		host.raw.Disarm(b.cell, armed)
	}
}

func TestSleepersComeAndGoBesideThoseWhoLook(t *testing.T) {
	w := parkAtOnce(t)
	host := newHost(t, Config{Slots: 16, RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: &w}})
	serve(t, host, echo, Options{Wait: &w}, ServeOptions{Workers: 4})
	var enough atomic.Bool
	var looking sync.WaitGroup
	for range 2 {
		looking.Go(func() {
			for !enough.Load() {
				wakeSleepers()
				runtime.Gosched()
			}
		})
	}
	callAll(t, host, 16, 100)
	enough.Store(true)
	looking.Wait()
}

// BenchmarkParkedCallBesideSpinners is the round trip of a caller and a server that
// park at once, where other goroutines spin on every P.
func BenchmarkParkedCallBesideSpinners(b *testing.B) {
	for range runtime.GOMAXPROCS(0) {
		defer spinForEver(b)()
	}
	w := parkAtOnce(b)
	host := newHost(b, Config{Options: Options{Wait: &w}})
	serve(b, host, echo, Options{Wait: &w}, ServeOptions{})
	c := newCallerOf(b, host)
	for b.Loop() {
		if _, err := c.Call(context.Background(), TypeUser, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
