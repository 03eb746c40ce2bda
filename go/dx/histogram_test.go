// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestBucketsAreThoseOfC(t *testing.T) {
	for i := range HistogramBuckets {
		from, next := uint64(HistogramFrom(i)), uint64(HistogramFrom(i+1))
		if bucketOf(from) != uint(i) || bucketOf(next-1) != uint(i) {
			t.Fatalf("bucket %d from %d to %d: %d and %d", i, from, next, bucketOf(from), bucketOf(next-1))
		}
	}
	if got := bucketOf(1<<64 - 1); got != HistogramBuckets-1 {
		t.Errorf("the longest time is in bucket %d", got)
	}
}

// switchOf switches the histograms of a host of memfd:.
func switchOf(t *testing.T, host *Channel, every int) {
	t.Helper()
	if err := SwitchHistograms(fmt.Sprintf("memfd:%d", host.FD()), 0, every); err != nil {
		t.Fatal(err)
	}
	if got := host.HistogramEvery(); got != every {
		t.Fatalf("one call in %d, want %d", got, every)
	}
}

func histogramOf(t *testing.T, ch *Channel, of HistogramOf) *Histogram {
	t.Helper()
	h, err := ch.Histogram(of)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// awaitHandlers waits until so many handlers are counted, just after their callers have their answers.
func awaitHandlers(t *testing.T, ch *Channel, want uint64) {
	t.Helper()
	for histogramOf(t, ch, GuestHandlers).Count < want {
		runtime.Gosched()
	}
}

func callTimes(t *testing.T, c *Caller, n int) {
	t.Helper()
	for range n {
		if _, err := c.Call(testContext(t), TypeUser, []byte("x"), make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCallsAndHandlersAreMeasuredWhileItIsOn(t *testing.T) {
	for _, path := range []Path{PathNative, PathCgo} {
		host := newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8, Options: Options{Path: path}})
		serve(t, host, echo, Options{Path: path}, ServeOptions{})
		c := newCallerOf(t, host)
		callTimes(t, c, 3)
		switchOf(t, host, 1)
		callTimes(t, c, 20)
		switchOf(t, host, 0)
		callTimes(t, c, 3)
		awaitHandlers(t, host, 20)
		for _, of := range []HistogramOf{HostCalls, GuestHandlers} {
			if h := histogramOf(t, host, of); h.Count != 20 || h.SumNs < h.MaxNs || h.Value(50) > h.Value(100) {
				t.Errorf("path %d, kind %d: %d times, %d ns", path, of, h.Count, h.SumNs)
			}
		}
		if h, err := host.HistogramAt(HostCalls, 1); err != nil || h.Count != 0 {
			t.Errorf("the slot that is not used: %v, %v", h, err)
		}
		if _, err := host.HistogramAt(HostCalls, 2); !errors.Is(err, ErrInvalid) {
			t.Errorf("a slot that is not there: %v", err)
		}
		switchOf(t, host, 8)
		callTimes(t, c, 81)
		if h := histogramOf(t, host, HostCalls); h.Count != 11 {
			t.Errorf("path %d: one in 8 of 81 calls: %d", path, h.Count)
		}
	}
}

func TestHandlersBesideEachOtherAndQueuesAreMeasured(t *testing.T) {
	const depth, rounds = 4, 25
	host := newHost(t, Config{Slots: depth, RequestBytes: 8, ResponseBytes: 8})
	slow := HandlerFunc(func(q *Request, response []byte) (int, int32) {
		began := time.Now()
		for time.Since(began) < 100*time.Microsecond {
		}
		return echo(q, response)
	})
	serve(t, host, slow, Options{}, ServeOptions{Concurrency: depth})
	switchOf(t, host, 1)
	q, err := host.OpenQueue(depth)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	done := make([]Completion, depth)
	for range rounds {
		for tag := range uint64(depth) {
			if err := q.Submit(tag, TypeUser, []byte("x"), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		n, err := q.Wait(testContext(t), depth, done)
		if err != nil || n != depth {
			t.Fatalf("%d completions, %v", n, err)
		}
		for i := range done {
			if done[i].Err != nil {
				t.Fatal(done[i].Err)
			}
			q.Seen(&done[i])
		}
	}
	awaitHandlers(t, host, depth*rounds)
	calls, handlers := histogramOf(t, host, HostCalls), histogramOf(t, host, GuestHandlers)
	if calls.Count != depth*rounds || handlers.Count != depth*rounds || handlers.Value(1) < 98*time.Microsecond {
		t.Errorf("%d calls, %d handlers from %v", calls.Count, handlers.Count, handlers.Value(1))
	}
}

// Somebody switches all the time, while goroutines call and sleep.
func TestSwitchingBesideCallsIsSafe(t *testing.T) {
	wait := mustPreset(t, "balanced")
	wait.SpinMin, wait.SpinMax, wait.SpinStart = 0, 0, 0
	options := Options{Wait: &wait}
	host := newHost(t, Config{Slots: 5, RequestBytes: 8, ResponseBytes: 8, Options: options})
	serve(t, host, echo, options, ServeOptions{Workers: 2})
	var callers sync.WaitGroup
	for range 4 {
		c := newCallerOf(t, host)
		callers.Go(func() { callTimes(t, c, 300) })
	}
	for every := range 300 {
		switchOf(t, host, every%3)
	}
	callers.Wait()
	switchOf(t, host, 1)
	again := newCallerOf(t, host)
	for histogramOf(t, host, HostWakes).Count == 0 || histogramOf(t, host, GuestWakes).Count == 0 {
		callTimes(t, again, 10) // now and then the answer comes before the sleep
	}
}
