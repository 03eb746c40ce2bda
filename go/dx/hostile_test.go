// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hostileTally is what those attacked have seen.
type hostileTally struct {
	right, wrong, failed, served, late atomic.Uint64
	streamed, queued                   atomic.Uint64 // streams that were right, and calls of queues
	streamsFailed                      atomic.Uint64 // since the last that was right
	impossible                         atomic.Pointer[string]
	timeout                            time.Duration // of a call
}

func (y *hostileTally) attacked() bool { return y.timeout == hostileTimeout }

func (y *hostileTally) cannotBe(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	y.impossible.Store(&text)
}

// fail counts what ended with an error, which none may that is not attacked.
func (y *hostileTally) fail(what string, err error, began time.Time) {
	y.failed.Add(1)
	if !y.attacked() {
		y.cannotBe("%s ended with %v after %v", what, err, time.Since(began))
	}
}

func hostileMayEndWith(err error) bool {
	for _, may := range []error{nil, context.DeadlineExceeded, ErrTimeout, ErrPeerClosed, ErrNoPeer,
		ErrLost, ErrRequestTooLarge, ErrResponseTooLarge, ErrCancelled, ErrType, ErrCorrupt} {
		if errors.Is(err, may) {
			return true
		}
	}
	return false
}

func hostileAnswer(request, answer []byte) int32 {
	for i, b := range request {
		answer[len(request)-1-i] = b ^ 0x5a
	}
	return int32(3 * len(request))
}

// call makes one call, in place or not, and judges what comes back.
func (y *hostileTally) call(c *Caller, p *hostilePeer, number uint64, room []byte) {
	request := hostileRequest(number)
	ctx, cancel := context.WithTimeout(context.Background(), y.timeout)
	defer cancel()
	began := time.Now()
	var reply Reply
	var err error
	if in := c.Request(); in != nil && number%2 == 0 {
		reply, err = c.CallInPlace(ctx, TypeUser, copy(in, request))
	} else {
		reply, err = c.Call(ctx, TypeUser, request, room)
	}
	if time.Since(began) > y.timeout+hostileMargin {
		y.late.Add(1)
	}
	if !hostileMayEndWith(err) {
		y.cannotBe("a call ended with %v", err)
	}
	expected := make([]byte, len(request))
	switch status := hostileAnswer(request, expected); {
	case err != nil:
		y.fail("a call", err, began)
	case len(reply.Data) > hostileCapacity:
		y.cannotBe("an answer of %d bytes", len(reply.Data))
	case bytes.Equal(bytes.Clone(reply.Data), expected) && reply.Status == status:
		y.right.Add(1)
	default:
		y.wrong.Add(1)
	}
	p.await(c, err)
}

// callOn calls on a caller that it renews now and then, until told otherwise.
func (y *hostileTally) callOn(ch *Channel, p *hostilePeer, number uint64, enough <-chan struct{}) {
	room := make([]byte, hostileCapacity)
	for {
		c, err := ch.OpenCaller(context.Background())
		if err != nil {
			y.cannotBe("no caller: %v", err)
			return
		}
		for range 64 {
			select {
			case <-enough:
				_ = c.Close()
				return
			default:
			}
			if number%4 == 3 {
				y.stream(c, p, number)
			} else {
				y.call(c, p, number, room)
			}
			number++
		}
		_ = c.Close()
	}
}

// serveOn serves again whenever the other side seems to have closed.
func (y *hostileTally) serveOn(ctx context.Context, ch *Channel, p *hostilePeer) {
	handler := HandlerFunc(func(q *Request, response []byte) (int, int32) {
		if len(q.Data) > hostileCapacity || len(response) != hostileCapacity ||
			q.Type < TypeUser || q.Type > TypeMax || q.Slot < 0 || q.Slot >= 2*hostileSlots {
			y.cannotBe("a request of %d bytes, type %d, on slot %d with room for %d", len(q.Data),
				q.Type, q.Slot, len(response))
			return 0, -1
		}
		status := hostileAnswer(q.Data, response)
		y.served.Add(1)
		p.progress.Add(1)
		return len(q.Data), status
	})
	streams := StreamHandlerFunc(func(s *Stream) int32 { return y.serveStream(s, p) })
	for n := 0; ctx.Err() == nil; n++ {
		err := ch.ServeWith(ctx, handler,
			ServeOptions{Workers: 1 + n%2, CopyRequests: n%3 == 0, Streams: streams})
		if !errors.Is(err, ErrPeerClosed) && !errors.Is(err, context.Canceled) {
			y.cannotBe("serving ended with %v", err)
			return
		}
	}
}

func hostileWait(t *testing.T, park Park) Wait {
	w := mustPreset(t, "balanced")
	w.SpinMin, w.SpinMax, w.SpinStart, w.Park = 0, 300, 20, park
	return w
}

// hostilePair is a host and a guest on one region.
func hostilePair(t *testing.T, w *Wait) (host, guest *Channel) {
	t.Helper()
	host, err := Create("memfd:", Config{Slots: hostileSlots, GuestSlots: hostileSlots,
		RequestBytes: hostileCapacity, ResponseBytes: hostileCapacity, Options: Options{Wait: w}})
	if err != nil {
		t.Fatal(err)
	}
	guest, err = Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), Options{Wait: w})
	if err != nil {
		t.Fatal(err)
	}
	return host, guest
}

// hostileTraffic runs calls and servers on both sides until the time is over;
// with a peer they are attacked meanwhile.
func hostileTraffic(t *testing.T, host, guest *Channel, p *hostilePeer, attack bool,
	enough func(*hostileTally) bool) *hostileTally {
	t.Helper()
	y := &hostileTally{timeout: hostileMargin}
	if attack {
		y.timeout = hostileTimeout
	}
	ctx, stopServing := context.WithCancel(context.Background())
	over := make(chan struct{})
	attackOver := make(chan struct{})
	var calls, serving, attacking sync.WaitGroup
	for _, ch := range []*Channel{host, guest} {
		serving.Go(func() { y.serveOn(ctx, ch, p) })
	}
	for i, ch := range []*Channel{host, host, guest} {
		calls.Go(func() { y.callOn(ch, p, uint64(i)<<32, over) })
	}
	calls.Go(func() { y.queueOn(host, p, 8<<32, over) })
	if attack {
		attacking.Go(func() { p.run(attackOver) })
	}
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !enough(y) {
		<-look.C
	}
	close(over)
	calls.Wait()
	stopServing()
	serving.Wait() // they stop although the attack goes on
	close(attackOver)
	attacking.Wait()
	for _, ch := range []*Channel{guest, host} {
		if err := ch.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if what := y.impossible.Load(); what != nil {
		t.Error(*what)
	}
	if late := y.late.Load(); late != 0 {
		t.Errorf("%d calls ended late", late)
	}
	return y
}

// openDescriptors names what is open, by number and by what that is. Of what another test left, some
// may be closed later: what counts is what is new.
func openDescriptors(t *testing.T) map[string]bool {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // not the folder's own
			open[e.Name()+" "+target] = true
		}
	}
	return open
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A peer that scribbles over the region makes calls fail and no more; afterwards
// a new region is as good as ever. DX_TEST_SECONDS makes it longer.
func TestHostilePeer(t *testing.T) {
	parks := []Park{ParkFutex, ParkPoll, ParkNever, ParkSem}
	seconds, err := strconv.ParseFloat(os.Getenv("DX_TEST_SECONDS"), 64)
	if err != nil {
		seconds = 2
	}
	each := time.Duration(seconds * float64(time.Second) / float64(2*len(parks)))
	for i := range 2 * len(parks) {
		park, everything := parks[i/2], i%2 != 0
		t.Run(fmt.Sprintf("%v,everything=%v", park, everything), func(t *testing.T) {
			w := hostileWait(t, park)
			descriptors, heap := openDescriptors(t), heapBytes()
			host, guest := hostilePair(t, &w)
			p := newHostilePeer(t, host, everything, uint64(i))
			until := time.Now().Add(each)
			var moved uint64
			var since time.Time
			y := hostileTraffic(t, host, guest, p, true, func(y *hostileTally) bool {
				now := time.Now()
				some := y.right.Load() > 0 && y.served.Load() > 0 && y.streamed.Load() > 0 && y.queued.Load() > 0 && p.writes.Load() >= 100
				// On a busy machine each of them may be a while in coming.
				if sum := uint64(y.right.Load() + y.served.Load() + y.streamed.Load() + y.queued.Load() + y.wrong.Load() + y.failed.Load()); sum != moved || since.IsZero() {
					moved, since = sum, now
				}
				return now.After(until) && (some || now.After(since.Add(time.Minute)))
			})
			t.Logf("streams right %d; right %d, of queues %d, wrong %d, failed %d, served %d, writes %d", y.streamed.Load(), y.right.Load(),
				y.queued.Load(), y.wrong.Load(), y.failed.Load(), y.served.Load(), p.writes.Load())
			if y.right.Load() == 0 || y.served.Load() == 0 || y.streamed.Load() == 0 || y.queued.Load() == 0 || p.writes.Load() < 100 {
				t.Error("this was no test: no traffic, or no attack")
			}
			if now := heapBytes(); now > heap+hostileGrowth {
				t.Errorf("the heap grew from %d to %d bytes", heap, now)
			}
			for open := range openDescriptors(t) {
				if !descriptors[open] {
					t.Errorf("descriptor %s is open, and was not before", open)
				}
			}
			host, guest = hostilePair(t, &w)
			y = hostileTraffic(t, host, guest, newHostilePeer(t, host, false, 0), false,
				func(y *hostileTally) bool {
					return y.right.Load()+y.wrong.Load()+y.failed.Load() >= 300 && y.queued.Load() > 0
				})
			if y.wrong.Load() != 0 || y.failed.Load() != 0 {
				t.Errorf("with new peers %d answers were wrong and %d calls failed", y.wrong.Load(),
					y.failed.Load())
			}
		})
	}
}
