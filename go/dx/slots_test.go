// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// waitForWaiters returns when n goroutines wait for a slot.
func waitForWaiters(t testing.TB, ch *Channel, n int) {
	t.Helper()
	for ctx := testContext(t); ; runtime.Gosched() {
		ch.slots.mu.Lock()
		waiting := ch.slots.waiting.Len()
		ch.slots.mu.Unlock()
		if waiting == n {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d goroutines wait for a slot, not %d", waiting, n)
		}
	}
}

// holder keeps each request that says "hold" until it is released.
type holder struct{ entered, release chan struct{} }

func newHolder() *holder {
	return &holder{make(chan struct{}, 64), make(chan struct{})}
}

func (h *holder) ServeCall(q *Request, response []byte) (int, int32) {
	if string(q.Data) == "hold" {
		h.entered <- struct{}{}
		<-h.release
	}
	return copy(response, q.Data), 0
}

// giveUp makes a call that is given up while its handler holds it. Calls by cgo are given up
// by their deadline only, perhaps before the handler has begun.
func (h *holder) giveUp(t *testing.T, ch *Channel) {
	t.Helper()
	for limit := 20 * time.Millisecond; ; limit *= 2 {
		ctx, cancel := context.WithCancel(testContext(t))
		if ch.path == PathCgo {
			ctx, cancel = context.WithTimeout(ctx, limit)
		} else {
			go func() { <-h.entered; h.entered <- struct{}{}; cancel() }()
		}
		_, err := ch.Call(ctx, TypeUser, []byte("hold"), make([]byte, 8))
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a call that is given up: %v", err)
		}
		cancel()
		select {
		case <-h.entered:
			return
		default:
		}
	}
}

func callOnce(t testing.TB, ch *Channel) {
	t.Helper()
	reply, err := ch.Call(testContext(t), TypeUser, []byte("ok"), make([]byte, 8))
	if err != nil || string(reply.Data) != "ok" {
		t.Errorf("%q, %v", reply.Data, err)
	}
}

func TestACallThatHangsHoldsUpNoOther(t *testing.T) {
	for _, path := range []Path{PathNative, PathCgo} {
		for _, goroutines := range []int{1, 8} {
			host := newHost(t, Config{Slots: 4, RequestBytes: 8, ResponseBytes: 8, Options: Options{Path: path}})
			h := newHolder()
			serve(t, host, h, Options{}, ServeOptions{Workers: 4})
			h.giveUp(t, host)
			var running sync.WaitGroup
			for range goroutines {
				running.Go(func() {
					for range 20 {
						callOnce(t, host)
					}
				})
			}
			running.Wait()
			close(h.release)
		}
	}
}

func TestACallWaitsForTheHandlerThatHasTheOnlySlot(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	h := newHolder()
	serve(t, host, h, Options{}, ServeOptions{})
	h.giveUp(t, host)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() { callOnce(t, host) })
	}
	waitForWaiters(t, host, 3)
	close(h.release)
	running.Wait()
}

func TestCallsOnSlotsThatADeadHandlerHasSaySo(t *testing.T) {
	host := newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8})
	guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := newHolder()
	served := make(chan error, 1)
	go func() { served <- guest.ServeWith(context.Background(), h, ServeOptions{Workers: 2}) }()
	for range 2 {
		h.giveUp(t, host)
	}
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			if _, err := host.Call(context.Background(), TypeUser, []byte("ok"), nil); err == nil {
				t.Error("a guest that has closed answered")
			}
		})
	}
	waitForWaiters(t, host, 3)
	guest.Stop()
	close(h.release)
	if err := <-served; !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
	host.Stop() // in case they wait for the next guest
	running.Wait()
}

func TestSlotsAreGivenInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	serve(t, host, echo, Options{}, ServeOptions{})
	const waiters = 40
	var mu sync.Mutex
	var order []int
	note := func(i int) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, i)
	}
	held := newCallerOf(t, host)
	var running sync.WaitGroup
	for i := range waiters {
		running.Go(func() {
			c, err := host.OpenCaller(testContext(t))
			if err != nil {
				t.Error(err)
				return
			}
			note(i)
			_ = c.Close()
		})
		waitForWaiters(t, host, i+1)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	running.Wait()
	if len(order) != waiters || !slices.IsSorted(order) {
		t.Errorf("order %v", order)
	}
}

func TestWhoAsksForACallerGetsOneThatCallsHaveLeft(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	h := newHolder()
	serve(t, host, h, Options{}, ServeOptions{})
	callOnce(t, host)
	c, err := host.OpenCaller(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	callWell(t, c, 1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// And one that waits gets it as soon as the call has ended.
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := host.Call(testContext(t), TypeUser, []byte("hold"), make([]byte, 8)); err != nil {
			t.Error(err)
		}
	})
	<-h.entered
	running.Go(func() {
		c, err := host.OpenCaller(testContext(t))
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.Close()
	})
	waitForWaiters(t, host, 1)
	close(h.release)
	running.Wait()
}

func TestWhoCannotHaveASlotIsToldSoAtOnce(t *testing.T) {
	host := newHost(t, Config{GuestSlots: 1}) // and none of its own
	guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	none := newHost(t, Config{})
	without, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", none.FD()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if host.Slots() != 0 || guest.Slots() != 1 || without.Slots() != 0 {
		t.Errorf("slots: %d, %d and %d", host.Slots(), guest.Slots(), without.Slots())
	}
	for range 2 {
		_, calling := without.Call(context.Background(), TypePing, nil, nil)
		_, opening := without.OpenCaller(context.Background())
		for _, err := range []error{calling, opening} {
			var detailed *Error
			if !errors.Is(err, ErrNoSlot) || !errors.As(err, &detailed) || detailed.Detail == "" {
				t.Errorf("a side without slots: %v", err)
			}
		}
	}
	if err := errors.Join(guest.Close(), without.Close()); err != nil {
		t.Error(err)
	}
	if without.Slots() != 0 || guest.Slots() != 1 {
		t.Errorf("slots after close: %d and %d", guest.Slots(), without.Slots())
	}
}

// serveToTheEnd is serve for a host that ends first.
func serveToTheEnd(t *testing.T, host *Channel, h Handler) {
	t.Helper()
	guest, ended := servingGuest(t, host, h, Options{}, ServeOptions{})
	t.Cleanup(func() {
		guest.Stop()
		<-ended
		if err := guest.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopAndCloseEndWaitsForASlot(t *testing.T) {
	for name, end := range map[string]func(*Channel){
		"stop": (*Channel).Stop, "close": func(ch *Channel) { _ = ch.Close() },
	} {
		host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
		h := newHolder()
		serveToTheEnd(t, host, h)
		var running sync.WaitGroup
		call := func() {
			_, err := host.Call(context.Background(), TypeUser, []byte("hold"), make([]byte, 8))
			if !errors.Is(err, ErrStopped) {
				t.Errorf("%s: a call: %v", name, err)
			}
		}
		running.Go(call)
		<-h.entered
		for range 3 {
			running.Go(call)
			running.Go(func() {
				if _, err := host.OpenCaller(context.Background()); !errors.Is(err, ErrStopped) {
					t.Errorf("%s: a caller: %v", name, err)
				}
			})
		}
		waitForWaiters(t, host, 6)
		end(host)
		running.Wait()
		close(h.release)
	}
}

func TestNewCallsAfterStopOrCloseFail(t *testing.T) {
	for _, slots := range []int{1, 2} {
		for _, before := range []int{0, 1} {
			for name, end := range map[string]func(*Channel){
				"stop": (*Channel).Stop, "close": func(ch *Channel) { _ = ch.Close() },
			} {
				host := newHost(t, Config{Slots: slots, RequestBytes: 8, ResponseBytes: 8})
				serveToTheEnd(t, host, echo)
				for range before {
					callOnce(t, host)
				}
				end(host)
				for range 3 {
					if _, err := host.Call(testContext(t), TypeUser, nil, nil); !errors.Is(err, ErrStopped) {
						t.Errorf("%d slots, %s: %v", slots, name, err)
					}
				}
			}
		}
	}
}

func TestWaitsForASlotHoldNoThread(t *testing.T) {
	const goroutines = 2000
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	serve(t, host, echo, Options{}, ServeOptions{})
	c := newCallerOf(t, host)
	before := pprof.Lookup("threadcreate").Count()
	var running sync.WaitGroup
	for range goroutines / 2 {
		running.Go(func() { callOnce(t, host) })
		running.Go(func() {
			c, err := host.OpenCaller(testContext(t))
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close()
		})
	}
	waitForWaiters(t, host, goroutines)
	if threads := pprof.Lookup("threadcreate").Count(); threads > before+30 {
		t.Errorf("%d OS threads, %d before", threads, before)
	}
	_ = c.Close()
	running.Wait()
}

// lookedAt counts how often somebody has asked it anything, and tells of the third time.
type lookedAt struct {
	context.Context
	looks atomic.Int32
	third chan<- struct{}
}

func (c *lookedAt) look() {
	if c.looks.Add(1) == 3 {
		c.third <- struct{}{}
	}
}

func (c *lookedAt) Done() <-chan struct{} { c.look(); return c.Context.Done() }
func (c *lookedAt) Err() error            { c.look(); return c.Context.Err() }

func TestWaitsForAHostHoldNoThread(t *testing.T) {
	const goroutines = 200
	url := shmName(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	third := make(chan struct{}, goroutines)
	before := pprof.Lookup("threadcreate").Count()
	var running sync.WaitGroup
	for range goroutines {
		running.Go(func() {
			_, err := Attach(&lookedAt{Context: ctx, third: third}, url, Options{})
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for range goroutines {
		<-third
	}
	if threads := pprof.Lookup("threadcreate").Count(); threads > before+2*attachThreads {
		t.Errorf("%d OS threads, %d before", threads, before)
	}
	cancel()
	running.Wait()
}
