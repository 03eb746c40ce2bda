// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// concurrencyWaits are strategies with which handlers of concurrency are tried.
func concurrencyWaits(t *testing.T) map[string]Wait {
	return map[string]Wait{
		"spinning": neverPark(t), "parked": parkAtOnce(t), "balanced": mustPreset(t, "balanced"),
	}
}

func TestHandlersBlockUpToConcurrencyAtOnce(t *testing.T) {
	const limit, slots = 3, 8
	for name, w := range concurrencyWaits(t) {
		for _, workers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) {
				host := newHost(t, Config{Slots: slots, RequestBytes: 8, ResponseBytes: 8})
				h := newHolding()
				serve(t, host, h, Options{Wait: &w},
					ServeOptions{Workers: workers, Concurrency: limit, CopyRequests: workers == 2})
				callers := callersOf(t, host, slots)
				wait := h.hold(t, callers, 0, 1)
				for range 100 { // the third goroutine is for all others
					for slot := 2; slot < slots; slot++ {
						if err := callText(testContext(t), callers[slot], "quick"); err != nil {
							t.Errorf("slot %d: %v", slot, err)
						}
					}
				}
				var others sync.WaitGroup
				for slot := 2; slot < slots; slot++ {
					others.Go(func() {
						if err := callText(context.Background(), callers[slot], "hold"); err != nil {
							t.Errorf("slot %d: %v", slot, err)
						}
					})
				}
				<-h.entered // of one of them
				close(h.release)
				wait()
				others.Wait()
				if most := h.most.Load(); most != limit {
					t.Errorf("%d handlers ran at once, %d were allowed", most, limit)
				}
			})
		}
	}
}

func TestARequestThatWaitsForAHandlerCanBeGivenUp(t *testing.T) {
	for name, w := range concurrencyWaits(t) {
		t.Run(name, func(t *testing.T) {
			host := newHost(t, Config{Slots: 3, RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: &w}})
			h := newHolding()
			var runs atomic.Int32
			serve(t, host, HandlerFunc(func(q *Request, response []byte) (int, int32) {
				runs.Add(1)
				return h.ServeCall(q, response)
			}), Options{Wait: &w}, ServeOptions{Concurrency: 2})
			callers := callersOf(t, host, 3)
			wait := h.hold(t, callers, 0, 1)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			if err := callText(ctx, callers[2], "never"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a call for which no handler was free ended with %v", err)
			}
			close(h.release)
			wait()
			for range 20 {
				if err := callText(testContext(t), callers[2], "after"); err != nil {
					t.Error(err)
				}
			}
			if n := runs.Load(); n != 22 {
				t.Errorf("handlers ran %d times, not 22", n)
			}
		})
	}
}

func TestAConcurrentHandlerThatLeavesLosesItsRequest(t *testing.T) {
	host := newHost(t, Config{Slots: 4, RequestBytes: 8, ResponseBytes: 8})
	guest := attach(t, host, Options{})
	defer guest.Close()
	c := &counting{runs: map[uint32]int{}}
	ended := serveOn(context.Background(), guest, c, ServeOptions{Concurrency: 4})
	callers := callersOf(t, host, 4)
	for id, w := range []way{byReturn, byGoexit, byReturn, byGoexit} {
		err := callOrder(t, callers[id], uint32(id), w)
		if want := map[bool]error{true: nil, false: ErrLost}[w == byReturn]; !errors.Is(err, want) {
			t.Errorf("request %d: %v, want %v", id, err, want)
		}
	}
	if err := callOrder(t, callers[0], 4, byPanic); !errors.Is(err, ErrLost) {
		t.Errorf("after a panic: %v", err)
	}
	wantsPanic(t, <-ended, false)
	ended = serveOn(context.Background(), guest, c, ServeOptions{Concurrency: 4})
	if err := callOrder(t, callers[0], 5, byReturn); err != nil {
		t.Errorf("served again: %v", err)
	}
	guest.Stop()
	if how := <-ended; how.err != ErrStopped {
		t.Errorf("Serve ended with %v", how)
	}
	c.check(t, 6)
}

func TestServeEndsAfterConcurrentHandlersAndWhatWasNotBegunIsServedNext(t *testing.T) {
	host := newHost(t, Config{Slots: 3, RequestBytes: 8, ResponseBytes: 8})
	guest := attach(t, host, Options{})
	defer guest.Close()
	h := newHolding()
	ctx, stop := context.WithCancel(context.Background())
	first := serveOn(ctx, guest, h, ServeOptions{Concurrency: 2})
	callers := callersOf(t, host, 3)
	wait := h.hold(t, callers, 0, 1)
	var third sync.WaitGroup
	third.Go(func() {
		if err := callText(context.Background(), callers[2], "third"); err != nil {
			t.Errorf("the call that was not begun: %v", err)
		}
	})
	stop()
	select {
	case how := <-first:
		t.Fatalf("Serve ended with %v while handlers ran", how)
	default:
	}
	close(h.release)
	wait()
	if how := <-first; !errors.Is(how.err, context.Canceled) {
		t.Errorf("Serve ended with %v", how)
	}
	second := serveOn(context.Background(), guest, h, ServeOptions{Concurrency: 2})
	third.Wait()
	guest.Stop()
	<-second
	if stats, err := guest.Stats(GuestServers); err != nil || stats.Calls != 3 {
		t.Errorf("%d calls were counted, %v", stats.Calls, err)
	}
}

// The caller sees that its request was taken up, before it is answered.
func TestConcurrentHandlersTakeUp(t *testing.T) {
	for name, w := range concurrencyWaits(t) {
		t.Run(name, func(t *testing.T) { takeUp(t, &w) })
	}
}

func takeUp(t *testing.T, w *Wait) {
	host := newHost(t, Config{Slots: 1, RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: w}})
	h := newHolding()
	serve(t, host, h, Options{Wait: w}, ServeOptions{Concurrency: 2})
	q, err := host.OpenQueue(1)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Submit(7, TypeUser, []byte("hold"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if p, err := q.WaitProgress(testContext(t), 7, ProgressTakenUp); p != ProgressTakenUp || err != nil {
		t.Errorf("progress %v, %v", p, err)
	}
	if p := q.Progress(7); p != ProgressTakenUp {
		t.Errorf("progress %v", p)
	}
	<-h.entered
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := q.WaitProgress(short, 7, ProgressEnded); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait for an end that does not come ended with %v", err)
	}
	close(h.release)
	if p, err := q.WaitProgress(testContext(t), 7, ProgressEnded); p != ProgressEnded || err != nil {
		t.Errorf("progress %v, %v", p, err)
	}
	for _, bad := range []func() error{
		func() error { _, err := q.WaitProgress(testContext(t), 8, ProgressEnded); return err },
		func() error { _, err := q.WaitProgress(testContext(t), 7, ProgressSent); return err },
	} {
		if err := bad(); !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	done := make([]Completion, 1)
	if n, err := q.Wait(testContext(t), 1, done); n != 1 || err != nil || string(done[0].Data) != "hold" {
		t.Errorf("%d completions, %v: %+v", n, err, done[0])
	}
}

// A handler that waits for its context's end is told of it, and why.
func TestTheContextOfARequestEndsWithItsCaller(t *testing.T) {
	for name, w := range concurrencyWaits(t) {
		t.Run(name, func(t *testing.T) {
			host := newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: &w}})
			causes := make(chan error, 2)
			entered := make(chan struct{}, 2)
			guest := attach(t, host, Options{Wait: &w})
			defer guest.Close()
			var last context.Context
			ended := serveOn(context.Background(), guest, HandlerFunc(func(q *Request, _ []byte) (int, int32) {
				ctx := q.Context()
				if len(q.Data) == 0 {
					last = ctx
					entered <- struct{}{}
					return 0, 0
				}
				entered <- struct{}{}
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return 0, 0
			}), ServeOptions{Concurrency: 2})
			c := newCallerOf(t, host)
			ctx, cancel := context.WithCancel(context.Background())
			go func() { <-entered; cancel() }()
			if _, err := c.Call(ctx, TypeUser, []byte{1}, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("the call ended with %v", err)
			}
			if cause := <-causes; !errors.Is(cause, ErrCancelled) {
				t.Errorf("the context ended with %v", cause)
			}
			if _, err := c.Call(testContext(t), TypeUser, nil, nil); err != nil {
				t.Error(err)
			}
			<-entered
			<-last.Done() // with its handler
			var call sync.WaitGroup
			call.Go(func() { _, _ = c.Call(context.Background(), TypeUser, []byte{1}, nil) })
			<-entered
			guest.Stop()
			if cause := <-causes; !errors.Is(cause, ErrStopped) {
				t.Errorf("the context ended with %v", cause)
			}
			call.Wait()
			<-ended
		})
	}
	if err := (&Request{}).Context().Err(); err != nil {
		t.Error(err)
	}
}

func TestConcurrencyIsChecked(t *testing.T) {
	host := newHost(t, Config{Slots: 1, RequestBytes: 8, ResponseBytes: 8})
	for _, path := range []Path{PathNative, PathCgo} {
		guest := attach(t, host, Options{Path: path})
		bad := ServeOptions{Concurrency: map[Path]int{PathNative: -1, PathCgo: 2}[path]}
		if err := guest.ServeWith(testContext(t), newHolding(), bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("path %v: %v", path, err)
		}
		if err := guest.Close(); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkQuickCallsBesideSlowHandlers has quick callers beside callers whose handlers
// take 5 ms, and reports what the quick ones wait.
func BenchmarkQuickCallsBesideSlowHandlers(b *testing.B) {
	const slow, quick = 64, 8
	for _, o := range []ServeOptions{{}, {Workers: 4}, {Concurrency: slow}, {Concurrency: slow + quick}} {
		b.Run(fmt.Sprintf("workers=%d,concurrency=%d", max(1, o.Workers), max(1, o.Concurrency)), func(b *testing.B) {
			host := newHost(b, Config{Slots: slow + quick, RequestBytes: 8, ResponseBytes: 8})
			serve(b, host, HandlerFunc(func(q *Request, response []byte) (int, int32) {
				if len(q.Data) != 0 {
					<-time.After(5 * time.Millisecond)
				}
				return 0, 0
			}), Options{}, o)
			var others, callers sync.WaitGroup
			ctx, stop := context.WithCancel(context.Background())
			for range slow {
				c := newCallerOf(b, host)
				others.Go(func() {
					for ctx.Err() == nil {
						_, _ = c.Call(ctx, TypeUser, []byte{1}, nil)
					}
				})
			}
			took := make([][]time.Duration, quick)
			b.ResetTimer()
			for i := range took {
				c := newCallerOf(b, host)
				callers.Go(func() {
					for range max(1, b.N/quick) {
						began := time.Now()
						if _, err := c.Call(ctx, TypeUser, nil, nil); err != nil {
							b.Error(err)
							return
						}
						took[i] = append(took[i], time.Since(began))
					}
				})
			}
			callers.Wait()
			b.StopTimer()
			stop()
			others.Wait()
			all := slices.Concat(took...)
			slices.Sort(all)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(all[len(all)*p/100].Microseconds()), fmt.Sprintf("us-p%d", p))
			}
		})
	}
}
