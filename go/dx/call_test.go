// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCallReturnsTheAnswerOnEveryPath(t *testing.T) {
	for _, hostPath := range []Path{PathNative, PathCgo} {
		for _, guestPath := range []Path{PathNative, PathCgo} {
			t.Run(fmt.Sprintf("host %d guest %d", hostPath, guestPath), func(t *testing.T) {
				host := newHost(t, Config{RequestBytes: 100, ResponseBytes: 100,
					Options: Options{Path: hostPath}})
				serve(t, host, echo, Options{Path: guestPath}, ServeOptions{})
				c := newCallerOf(t, host)
				response := make([]byte, 100)
				for n := 0; n <= 100; n++ {
					request := bytes.Repeat([]byte{byte(n)}, n)
					reply, err := c.Call(testContext(t), TypeUser+7, request, response)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(reply.Data, request) || reply.Status != int32(TypeUser+7) {
						t.Fatalf("%d bytes: got %v, status %d", n, reply.Data, reply.Status)
					}
				}
			})
		}
	}
}

func TestCallInPlaceReadsTheAnswerWhereItLies(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 64, ResponseBytes: 64})
	serve(t, host, echo, Options{}, ServeOptions{CopyRequests: true})
	c := newCallerOf(t, host)
	for i := range 10 {
		n := copy(c.Request(), fmt.Sprintf("request %d", i))
		reply, err := c.CallInPlace(testContext(t), TypeUser, n)
		if err != nil || string(reply.Data) != fmt.Sprintf("request %d", i) {
			t.Fatalf("call %d: %q, %v", i, reply.Data, err)
		}
	}
}

func TestManyGoroutinesGetTheirOwnAnswers(t *testing.T) {
	for _, preset := range PresetNames() {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d workers", preset, workers), func(t *testing.T) {
				w := mustPreset(t, preset)
				host := newHost(t, Config{Slots: 64, RequestBytes: 8, ResponseBytes: 8,
					Options: Options{Wait: &w}})
				serve(t, host, echo, Options{Wait: &w}, ServeOptions{Workers: workers})
				callAll(t, host, 64, 200)
			})
		}
	}
}

// callAll makes calls from that many goroutines and checks every answer.
func callAll(t *testing.T, host *Channel, goroutines, calls int) {
	t.Helper()
	ctx := testContext(t)
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			c, err := host.OpenCaller(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			response := make([]byte, 8)
			for i := range calls {
				request := []byte{byte(g), byte(g >> 8), byte(i), byte(i >> 8), 1}
				reply, err := c.Call(ctx, TypeUser, request, response)
				if err != nil || !bytes.Equal(reply.Data, request) {
					t.Errorf("goroutine %d, call %d: %v, %v", g, i, reply.Data, err)
					return
				}
			}
		})
	}
	running.Wait()
}

func TestChannelCallSharesItsCallers(t *testing.T) {
	host := newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8})
	serve(t, host, echo, Options{}, ServeOptions{})
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			response := make([]byte, 8)
			for range 50 {
				reply, err := host.Call(testContext(t), TypeUser, []byte("abc"), response)
				if err != nil || string(reply.Data) != "abc" {
					t.Errorf("%q, %v", reply.Data, err)
					return
				}
			}
		})
	}
	running.Wait()
}

func TestGuestCallsTheHost(t *testing.T) {
	host := newHost(t, Config{Slots: 1, GuestSlots: 2, RequestBytes: 8, ResponseBytes: 8})
	guest := serve(t, host, echo, Options{}, ServeOptions{})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Serve(ctx, echo) }()
	reply, err := guest.Call(testContext(t), TypeUser, []byte("up"), make([]byte, 8))
	if err != nil || string(reply.Data) != "up" {
		t.Errorf("%q, %v", reply.Data, err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("serve ended with %v", err)
	}
}

func TestWrongRequestsAreRefusedAndTheChannelGoesOn(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	tooMuch := HandlerFunc(func(q *Request, response []byte) (int, int32) {
		if len(q.Data) == 1 {
			return 9, 0
		}
		return copy(response, q.Data), 0
	})
	serve(t, host, tooMuch, Options{}, ServeOptions{})
	c := newCallerOf(t, host)
	ctx := testContext(t)
	for _, wrong := range []struct {
		kind    uint32
		request int
		room    int
		want    error
	}{
		{TypeUser, 9, 8, ErrRequestTooLarge},
		{TypeUser - 1, 0, 8, ErrType},
		{TypeMax + 1, 0, 8, ErrType},
		{TypeUser, 1, 8, ErrResponseTooLarge},
		{TypeUser, 8, 7, ErrBufferTooSmall},
	} {
		_, err := c.Call(ctx, wrong.kind, make([]byte, wrong.request), make([]byte, wrong.room))
		if !errors.Is(err, wrong.want) {
			t.Errorf("%+v: %v", wrong, err)
		}
		if reply, err := c.Call(ctx, TypeUser, []byte("ok"), make([]byte, 8)); err != nil ||
			string(reply.Data) != "ok" {
			t.Fatalf("after %+v: %q, %v", wrong, reply.Data, err)
		}
	}
	if reply, err := c.Call(ctx, TypePing, nil, nil); err != nil || len(reply.Data) != 0 {
		t.Errorf("ping: %v, %v", reply, err)
	}
}

func TestLateAnswerIsNeverGivenToTheNextCall(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	entered, release := make(chan struct{}, 1), make(chan struct{})
	var runs atomic.Int32
	serve(t, host, HandlerFunc(func(q *Request, response []byte) (int, int32) {
		runs.Add(1)
		if string(q.Data) == "slow" {
			entered <- struct{}{}
			<-release
		}
		return copy(response, q.Data), 0
	}), Options{}, ServeOptions{})
	c := newCallerOf(t, host)
	short, cancel := context.WithCancel(testContext(t))
	go func() { <-entered; cancel() }()
	if _, err := c.Call(short, TypeUser, []byte("slow"), make([]byte, 8)); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled call: %v", err)
	}
	if c.Request() != nil {
		t.Error("the request of a running call may be overwritten")
	}
	timed, cancelTimed := context.WithTimeout(testContext(t), 30*time.Millisecond)
	defer cancelTimed()
	_, err := c.Call(timed, TypeUser, []byte("next"), make([]byte, 8))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call while the old one runs: %v", err)
	}
	close(release)
	reply, err := c.Call(testContext(t), TypeUser, []byte("third"), make([]byte, 8))
	if err != nil || string(reply.Data) != "third" {
		t.Errorf("%q, %v", reply.Data, err)
	}
	if n := runs.Load(); n != 2 {
		t.Errorf("the handler ran %d times: the call in between was never sent", n)
	}
}

func TestCallFailsWhenNobodyAnswers(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	c := newCallerOf(t, host)
	waitsInVain(t, c)
	ended, stop := context.WithCancel(context.Background())
	stop()
	if _, err := c.Call(ended, TypeUser, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("context that had ended: %v", err)
	}
}

func TestCallMakesNoAllocation(t *testing.T) {
	for name, path := range map[string]Path{"native": PathNative, "cgo": PathCgo} {
		host := newHost(t, Config{RequestBytes: 64, ResponseBytes: 64, Options: Options{Path: path}})
		serve(t, host, echo, Options{}, ServeOptions{})
		c := newCallerOf(t, host)
		request, response := make([]byte, 64), make([]byte, 64)
		ctx := testContext(t)
		allocs := testing.AllocsPerRun(1000, func() {
			if _, err := c.Call(ctx, TypeUser, request, response); err != nil {
				t.Fatal(err)
			}
		})
		// Host and guest are in this process, so that both sides are counted.
		if allocs != 0 {
			t.Errorf("%s: %v allocations a call", name, allocs)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	for _, size := range []int{0, 64} {
		for name, path := range map[string]Path{"native": PathNative, "cgo": PathCgo} {
			b.Run(fmt.Sprintf("%dB/%s", size, name), func(b *testing.B) {
				host := newHost(b, Config{RequestBytes: size, ResponseBytes: size,
					Options: Options{Path: path}})
				serve(b, host, echo, Options{}, ServeOptions{})
				c := newCallerOf(b, host)
				request, response := make([]byte, size), make([]byte, size)
				ctx := context.Background()
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Call(ctx, TypeUser, request, response); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
