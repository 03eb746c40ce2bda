// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// callersOf returns a Caller for each of n slots, in the order of the slots.
func callersOf(t *testing.T, host *Channel, n int) []*Caller {
	t.Helper()
	callers := make([]*Caller, n)
	for range n {
		c := newCallerOf(t, host)
		callers[c.raw.View().Slot] = c
	}
	return callers
}

// holding is a handler that holds requests that begin with 'h' until release.
type holding struct {
	entered chan int // slots
	release chan struct{}
	now     atomic.Int32
	most    atomic.Int32
}

func newHolding() *holding {
	return &holding{entered: make(chan int, 100), release: make(chan struct{})}
}

func (h *holding) ServeCall(q *Request, response []byte) (int, int32) {
	if n := h.now.Add(1); n > h.most.Load() {
		h.most.Store(n)
	}
	defer h.now.Add(-1)
	n := copy(response, q.Data)
	if response[0] == 'h' {
		h.entered <- q.Slot
		<-h.release
	}
	if response[0] == 'p' {
		panic(errBoom)
	}
	return n, 0
}

func callText(ctx context.Context, c *Caller, text string) error {
	reply, err := c.Call(ctx, TypeUser, []byte(text), make([]byte, 8))
	if err == nil && string(reply.Data) != text {
		err = fmt.Errorf("%q was answered by %q", text, reply.Data)
	}
	return err
}

// hold has callers make calls whose handlers are held; wait returns when they were answered.
func (h *holding) hold(t *testing.T, callers []*Caller, slots ...int) (wait func()) {
	var held sync.WaitGroup
	for _, slot := range slots {
		held.Go(func() {
			if err := callText(context.Background(), callers[slot], "hold"); err != nil {
				t.Errorf("the held call of slot %d: %v", slot, err)
			}
		})
		<-h.entered
	}
	return held.Wait
}

func TestIdleWorkersTakeWhatBusyOnesCannot(t *testing.T) {
	const workers, slots = 4, 9
	for name, w := range map[string]Wait{
		"spinning": neverPark(t), "parked": parkAtOnce(t), "balanced": mustPreset(t, "balanced"),
	} {
		for _, held := range [][]int{{0}, {2}, {0, 1, 3}, {0, 4, 8}} {
			t.Run(fmt.Sprintf("%s, slots %v held", name, held), func(t *testing.T) {
				host := newHost(t, Config{Slots: slots, RequestBytes: 8, ResponseBytes: 8})
				h := newHolding()
				serve(t, host, h, Options{Wait: &w}, ServeOptions{Workers: workers})
				callers := callersOf(t, host, slots)
				wait := h.hold(t, callers, held...)
				for slot, c := range callers {
					if slot == held[0] || slot == held[len(held)-1] || slot == held[len(held)/2] {
						continue
					}
					for range 20 {
						if err := callText(testContext(t), c, "quick"); err != nil {
							t.Errorf("slot %d: %v", slot, err)
						}
					}
				}
				close(h.release)
				wait()
				for slot, c := range callers {
					if err := callText(testContext(t), c, "after"); err != nil {
						t.Errorf("slot %d, when all had been released: %v", slot, err)
					}
				}
			})
		}
	}
}

func TestNoMoreHandlersRunThanThereAreWorkers(t *testing.T) {
	const workers, slots = 2, 6
	host := newHost(t, Config{Slots: slots, RequestBytes: 8, ResponseBytes: 8})
	h := newHolding()
	serve(t, host, h, Options{}, ServeOptions{Workers: workers})
	callers := callersOf(t, host, slots)
	wait := h.hold(t, callers, 0, 2) // both of worker 0
	var others sync.WaitGroup
	for _, slot := range []int{1, 3, 4, 5} {
		others.Go(func() {
			if err := callText(testContext(t), callers[slot], "quick"); err != nil {
				t.Errorf("slot %d: %v", slot, err)
			}
		})
	}
	close(h.release)
	wait()
	others.Wait()
	if n := h.most.Load(); n != workers {
		t.Errorf("%d handlers ran at once on %d workers", n, workers)
	}
}

func TestACallThatIsGivenUpStaysWithItsWorker(t *testing.T) {
	w := neverPark(t)
	host := newHost(t, Config{Slots: 3, RequestBytes: 8, ResponseBytes: 8})
	h := newHolding()
	serve(t, host, h, Options{Wait: &w}, ServeOptions{Workers: 2})
	callers := callersOf(t, host, 3)
	for _, slot := range []int{0, 2} { // its worker's, and then one that another has taken
		ctx, cancel := context.WithCancel(context.Background())
		given := make(chan error, 1)
		go func() { given <- callText(ctx, callers[slot], "hold") }()
		<-h.entered
		cancel()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("slot %d: %v", slot, err)
		}
		if slot == 0 {
			// The idle worker has looked at worker 0's slots since then.
			if err := callText(testContext(t), callers[2], "quick"); err != nil {
				t.Error(err)
			}
		}
		if callers[slot].Request() != nil {
			t.Errorf("slot %d may be written while its handler reads it", slot)
		}
	}
	close(h.release)
	for slot, c := range callers {
		if err := callText(testContext(t), c, "after"); err != nil {
			t.Errorf("slot %d: %v", slot, err)
		}
	}
}

func TestAPanicInWorkThatWasTakenIsLikeAnyOther(t *testing.T) {
	host := newHost(t, Config{Slots: 3, RequestBytes: 8, ResponseBytes: 8})
	guest := attach(t, host, Options{})
	h := newHolding()
	ended := serveOn(context.Background(), guest, h, ServeOptions{Workers: 2})
	callers := callersOf(t, host, 3)
	wait := h.hold(t, callers, 0)
	if err := callText(testContext(t), callers[2], "panic"); !errors.Is(err, ErrLost) {
		t.Errorf("its caller got %v", err)
	}
	close(h.release)
	wait()
	if p, ok := (<-ended).recovered.(*HandlerPanic); !ok || !errors.Is(p, errBoom) {
		t.Errorf("Serve's caller got %v", p)
	}
	if err := guest.Close(); err != nil {
		t.Error(err)
	}
}

func TestStreamsBeginBesideABusyWorker(t *testing.T) {
	host := newHost(t, Config{Slots: 3, RequestBytes: 64, ResponseBytes: 64})
	h := newHolding()
	serve(t, host, h, Options{}, ServeOptions{Workers: 2, Streams: streamHandler})
	callers := callersOf(t, host, 3)
	wait := h.hold(t, callers, 0)
	for range 3 {
		s := openStream(t, callers[2], streamSink, 0)
		if _, err := io.CopyN(s, &pattern{}, 1000); err != nil {
			t.Error(err)
		}
		mustEnd(t, s, 1)
	}
	close(h.release)
	wait()
}

func TestWorkIsTakenByOneWorkerOnly(t *testing.T) {
	const workers, slots, calls = 3, 12, 300
	for name, w := range map[string]Wait{
		"spinning": mustPreset(t, "balanced"), "parked": parkAtOnce(t),
	} {
		t.Run(name, func(t *testing.T) {
			host := newHost(t, Config{Slots: slots, RequestBytes: 8, ResponseBytes: 8})
			var runs [slots * calls]atomic.Int32
			serve(t, host, HandlerFunc(func(q *Request, response []byte) (int, int32) {
				id := binary.LittleEndian.Uint32(q.Data)
				runs[id].Add(1)
				for range id % 7 * 10 {
					runtime.Gosched()
				}
				return copy(response, q.Data), 0
			}), Options{Wait: &w}, ServeOptions{Workers: workers})
			var running sync.WaitGroup
			for i, c := range callersOf(t, host, slots) {
				running.Go(func() {
					dice := rand.New(rand.NewPCG(1, uint64(i)))
					for n := range calls {
						id := uint32(i*calls + n)
						ctx, cancel := context.WithCancel(testContext(t))
						if dice.IntN(8) == 0 { // give it up at some point
							go cancel()
						}
						err := callOrderUntil(ctx, t, c, id, byReturn)
						cancel()
						if err != nil && !errors.Is(err, context.Canceled) {
							t.Errorf("request %d: %v", id, err)
						}
						if ran := runs[id].Load(); ran > 1 || err == nil && ran != 1 {
							t.Errorf("request %d ran %d times and ended with %v", id, ran, err)
						}
					}
				})
			}
			running.Wait()
		})
	}
}

// BenchmarkCallBesideASlowHandler has one caller whose handler takes 5 ms, of the
// same worker as the caller that is measured.
func BenchmarkCallBesideASlowHandler(b *testing.B) {
	const workers = 4
	for name, w := range map[string]Wait{"balanced": mustPreset(b, "balanced"), "parked": parkAtOnce(b)} {
		b.Run(name, func(b *testing.B) {
			host := newHost(b, Config{Slots: workers + 1, RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: &w}})
			serve(b, host, HandlerFunc(func(q *Request, _ []byte) (int, int32) {
				if q.Slot == 0 {
					pollSleep(5e6)
				}
				return 0, 0
			}), Options{Wait: &w}, ServeOptions{Workers: workers})
			var callers [workers + 1]*Caller
			for range callers {
				c := newCallerOf(b, host)
				callers[c.raw.View().Slot] = c
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for ctx.Err() == nil {
					_, _ = callers[0].Call(ctx, TypeUser, nil, nil)
				}
			}()
			for b.Loop() {
				if _, err := callers[workers].Call(context.Background(), TypeUser, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			<-ended
		})
	}
}
