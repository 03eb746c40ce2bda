// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// yieldsOf returns the yields of a wait of 1,000 looks, beside so many other
// goroutines that spin.
func yieldsOf(t *testing.T, adapt Adapt, others int32) uint64 {
	t.Helper()
	w := mustPreset(t, "balanced")
	w.SpinMin, w.SpinMax, w.SpinStart, w.SpinInc, w.SpinDec = 1000, 1000, 1000, 0, 0
	w.YieldEvery, w.Adapt = 100, adapt
	host := newHost(t, Config{Options: Options{Wait: &w}})
	caller := newCallerOf(t, host)
	// What a park costs here is measured, and would shorten the wait.
	caller.waiter.limit, caller.waiter.slice, caller.waiter.firstLooks = 1000, 100, 100
	if adapt == AdaptLoad {
		caller.waiter.cpus = 2
	}
	spinning.Add(others)
	defer spinning.Add(-others)
	// Nobody answers: the wait goes through all its looks and parks, and is ended then.
	ended := make(chan error, 1)
	go func() {
		_, err := caller.Call(context.Background(), TypeUser, nil, nil)
		ended <- err
	}()
	for host.parked() == 0 {
		runtime.Gosched()
	}
	host.Stop()
	if err := <-ended; !errors.Is(err, ErrStopped) {
		t.Errorf("the call ended with %v", err)
	}
	return caller.counters.Yields
}

// parked counts callers that sleep.
func (ch *Channel) parked() int {
	ch.parker.mu.Lock()
	defer ch.parker.mu.Unlock()
	return len(ch.parker.waiting)
}

func TestACrowdYieldsAtEveryLook(t *testing.T) {
	for _, c := range []struct {
		what   string
		adapt  Adapt
		others int32
		yields uint64
	}{
		{"no crowd", AdaptLoad, 1, 10}, // with itself as many as CPUs
		{"a crowd", AdaptLoad, 2, 1000},
		{"a crowd that nobody asked about", AdaptStep, 2, 10},
	} {
		if n := yieldsOf(t, c.adapt, c.others); n != c.yields {
			t.Errorf("%s: %d yields in 1,000 looks, want %d", c.what, n, c.yields)
		}
	}
	if n := spinning.Load(); n != 0 {
		t.Errorf("%d goroutines spin for ever", n)
	}
}

func TestHardwareRestsAnswerCalls(t *testing.T) {
	for _, slots := range []int{1, 3} {
		w := mustPreset(t, "latency")
		w.Relax = RelaxHardware
		host := newHost(t, Config{Slots: slots, Options: Options{Wait: &w}})
		serve(t, host, echo, Options{Wait: &w}, ServeOptions{})
		caller := newCallerOf(t, host)
		for range 100 {
			if _, err := caller.Call(testContext(t), TypeUser, nil, nil); err != nil {
				t.Fatalf("%d slots, by %s: %v", slots, HardwareWait(), err)
			}
		}
	}
}
