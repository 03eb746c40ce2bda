// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const kindBlock = TypeUser + 1

// blocker answers with the request, and lets requests of kindBlock wait for release.
type blocker struct {
	entered chan struct{}
	release chan struct{}
	runs    atomic.Int32
}

func newBlocker(t *testing.T) *blocker {
	b := &blocker{entered: make(chan struct{}, 64), release: make(chan struct{}, 64)}
	t.Cleanup(b.open)
	return b
}

// open lets all go that block now or later.
func (b *blocker) open() {
	for {
		select {
		case b.release <- struct{}{}:
		default:
			return
		}
	}
}

func (b *blocker) ServeCall(q *Request, response []byte) (int, int32) {
	b.runs.Add(1)
	if q.Type == kindBlock {
		b.entered <- struct{}{}
		<-b.release
	}
	return copy(response, q.Data), int32(q.Type)
}

// queued is a host's queue with a guest that serves it.
type queued struct {
	t    *testing.T
	host *Channel
	b    *blocker
	*Queue
	done [16]Completion
}

func newQueued(t *testing.T, depth int, wait *Wait, s ServeOptions) *queued {
	q := &queued{t: t, b: newBlocker(t)}
	q.host = newHost(t, Config{Slots: 8, RequestBytes: 64, ResponseBytes: 64, Options: Options{Wait: wait}})
	serve(t, q.host, q.b, Options{Wait: wait}, s)
	t.Cleanup(q.b.open) // before the server's end
	q.openQueue(depth)
	// When a server has looked at the slots, what is submitted is sent at once.
	for tag := range depth {
		q.submit(uint64(tag), TypeUser, -1)
	}
	q.await(depth)
	q.b.runs.Store(0)
	return q
}

func (q *queued) openQueue(depth int) {
	q.t.Helper()
	queue, err := q.host.OpenQueue(depth)
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { _ = queue.Close() })
	q.Queue = queue
}

// submit sends the tag as the request.
func (q *queued) submit(tag uint64, kind uint32, timeout time.Duration) {
	q.t.Helper()
	if err := q.trySubmit(tag, kind, timeout); err != nil {
		q.t.Fatal(err)
	}
}

func (q *queued) trySubmit(tag uint64, kind uint32, timeout time.Duration) error {
	return q.Submit(tag, kind, binary.LittleEndian.AppendUint64(nil, tag), timeout)
}

// await waits for exactly n, checks the echo of each that succeeded, and gives them back.
func (q *queued) await(n int) map[uint64]error {
	q.t.Helper()
	got, err := q.Wait(testContext(q.t), n, q.done[:n])
	if err != nil || got != n {
		q.t.Fatalf("%d completions of %d, %v", got, n, err)
	}
	found := map[uint64]error{}
	for i := range n {
		d := &q.done[i]
		if _, twice := found[d.Tag]; twice {
			q.t.Errorf("the tag %d came twice", d.Tag)
		}
		if d.Err == nil && (len(d.Data) != 8 || binary.LittleEndian.Uint64(d.Data) != d.Tag) {
			q.t.Errorf("the tag %d came with %x", d.Tag, d.Data)
		}
		found[d.Tag] = d.Err
		if err := q.Seen(d); err != nil {
			q.t.Error(err)
		}
		if err := q.Seen(d); !errors.Is(err, ErrInvalid) {
			q.t.Errorf("given back twice: %v", err)
		}
	}
	return found
}

func (q *queued) expect(n int, tag uint64, want error) {
	q.t.Helper()
	if got, ok := q.await(n)[tag]; !ok || !errors.Is(got, want) {
		q.t.Errorf("the tag %d came: %v, with %v", tag, ok, got)
	}
}

// withTimeout is a queue whose call 1 has ended by its deadline while its handler runs.
func withTimeout(t *testing.T) *queued {
	for limit := time.Millisecond; limit < time.Minute; limit *= 2 { // until the handler begins in time
		q := newQueued(t, 2, nil, ServeOptions{})
		q.submit(1, kindBlock, limit)
		q.expect(1, 1, ErrTimeout)
		select {
		case <-q.b.entered:
			return q
		default:
		}
	}
	t.Fatal("no handler began")
	return nil
}

func TestCompletionsComeInAnyOrderEachWithItsTag(t *testing.T) {
	q := newQueued(t, 4, nil, ServeOptions{Workers: 2})
	q.submit(100, kindBlock, -1)
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	<-q.b.entered
	for tag := uint64(101); tag < 104; tag++ {
		q.submit(tag, TypeUser, patience)
	}
	// Idle workers take what the one that blocks has on its slots.
	for tag, err := range q.await(3) {
		if tag == 100 || err != nil {
			t.Errorf("%d: %v", tag, err)
		}
	}
	q.b.open()
	q.expect(1, 100, nil)
}

// Nobody looks for the life of the other side meanwhile: a ring that is lost is a hang.
func TestAQueueThatSleepsIsWoken(t *testing.T) {
	sleepy := mustPreset(t, "balanced")
	sleepy.SpinMin, sleepy.SpinStart, sleepy.SpinMax, sleepy.Adapt = 0, 0, 0, AdaptOff
	q := newQueued(t, 4, &sleepy, ServeOptions{})
	for tag := uint64(0); tag < 2000; tag += 4 {
		for i := range uint64(4) {
			q.submit(tag+i, TypeUser, patience)
		}
		for tag, err := range q.await(4) {
			if err != nil {
				t.Fatalf("%d: %v", tag, err)
			}
		}
	}
	stats, err := q.host.Stats(HostCallers)
	if err != nil || stats.Parks == 0 || stats.Calls != 2000+4 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestADeadlineEndsItsOwnCall(t *testing.T) {
	q := withTimeout(t)
	q.submit(2, TypeUser, patience)
	if err := q.trySubmit(3, TypeUser, patience); !errors.Is(err, ErrNoSlot) || !strings.Contains(err.Error(), "1 calls given up") {
		t.Errorf("a full queue says %v", err)
	}
	q.b.open()
	q.expect(1, 2, nil)
	if n, err := q.Wait(testContext(t), 1, q.done[:]); n != 0 || err != nil {
		t.Errorf("with nothing in flight: %d, %v", n, err)
	}
	if err := q.WaitSlot(testContext(t)); err != nil {
		t.Error(err)
	}
	q.submit(4, TypeUser, patience)
	q.submit(5, TypeUser, patience)
	q.expect(2, 5, nil)
}

func TestACancelledCallThatHasNotBegunIsNeverBegun(t *testing.T) {
	q := newQueued(t, 3, nil, ServeOptions{})
	q.submit(1, kindBlock, -1)
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	<-q.b.entered
	q.submit(2, TypeUser, -1)
	q.submit(3, TypeUser, -1)
	if err := q.Cancel(3); err != nil || q.Progress(3) != ProgressEnded {
		t.Error(err, q.Progress(3))
	}
	q.expect(1, 3, ErrCancelled)
	if err := q.Cancel(3); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	q.b.open()
	q.expect(2, 2, nil)
	if runs := q.b.runs.Load(); runs != 2 {
		t.Errorf("%d handlers ran", runs)
	}
}

func TestAQueueWithoutAPeerWaitsForOne(t *testing.T) {
	q := &queued{t: t, b: newBlocker(t), host: newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8})}
	q.openQueue(2)
	q.submit(1, TypeUser, time.Millisecond)
	q.submit(2, TypeUser, -1)
	q.expect(1, 1, ErrNoPeer)
	serve(t, q.host, q.b, Options{}, ServeOptions{})
	q.expect(1, 2, nil)
}

func TestStopEndsAllCallsOfAQueue(t *testing.T) {
	q := newQueued(t, 3, nil, ServeOptions{})
	for tag := range uint64(3) {
		q.submit(tag, kindBlock, -1)
	}
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	<-q.b.entered
	q.host.Stop()
	for tag, err := range q.await(3) {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("%d: %v", tag, err)
		}
	}
	if err := q.trySubmit(9, TypeUser, -1); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
}

// Whether the wait spins or sleeps when it comes.
func TestCloseEndsAWaitOfAQueue(t *testing.T) {
	q := newQueued(t, 2, nil, ServeOptions{})
	for range 20 {
		q.submit(1, kindBlock, -1)
		ended := make(chan error)
		go func() {
			err := error(ErrBusy)
			for errors.Is(err, ErrBusy) { // of the loop below
				_, err = q.Wait(context.Background(), 1, q.done[8:])
			}
			ended <- err
		}()
		<-q.b.entered
		for {
			_, err := q.Poll(q.done[:1])
			if errors.Is(err, ErrBusy) {
				break // it waits
			}
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrStopped) {
			t.Errorf("the wait ended with %v", err)
		}
		if err := q.trySubmit(2, TypeUser, -1); !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		if q.Request() != nil || q.InFlight() != 0 || q.Progress(1) != ProgressNone {
			t.Error("a closed queue has something")
		}
		q.b.release <- struct{}{}
		q.openQueue(2)
		if err := q.WaitSlot(testContext(t)); err != nil {
			t.Fatal(err)
		}
		q.submit(7, TypeUser, -1)
		q.await(1)
	}
}

func TestBadUseOfAQueueIsTold(t *testing.T) {
	q := newQueued(t, 1, nil, ServeOptions{})
	for _, depth := range []int{0, -1, 9} {
		if _, err := q.host.OpenQueue(depth); !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNoSlot) {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	if _, err := q.host.OpenQueue(8); !errors.Is(err, ErrNoSlot) { // 7 are free
		t.Error(err)
	}
	request := make([]byte, 65)
	for _, c := range []struct {
		err, want error
	}{
		{q.Submit(1, TypeUser, request, -1), ErrRequestTooLarge},
		{q.Submit(1, 7, nil, -1), ErrType},
		{q.Submit(1, TypeUser, nil, 0), ErrInvalid},
		{q.Cancel(1), ErrInvalid},
		{q.Seen(&Completion{}), ErrInvalid},
		{q.trySubmit(1, TypeUser, -1), nil},
		{q.trySubmit(1, TypeUser, -1), ErrInvalid},
		{q.trySubmit(2, TypeUser, -1), ErrNoSlot},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%v instead of %v", c.err, c.want)
		}
	}
	if _, err := q.Wait(context.Background(), 2, q.done[:1]); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	q.expect(1, 1, nil)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	q.submit(3, kindBlock, -1)
	if n, err := q.Wait(ended, 1, q.done[:]); n != 0 || !errors.Is(err, context.Canceled) {
		t.Error(n, err)
	}
	q.b.open()
	q.expect(1, 3, nil)
}

// A server that sleeps is woken to greet, before anything can be sent to it.
func TestAQueueWakesItsServerToGreet(t *testing.T) {
	w := parkAtOnce(t)
	w.ParkTimeoutNs = int64(time.Minute)
	options := Options{Wait: &w, liveness: longSleep}
	host := newHost(t, Config{Slots: 4, RequestBytes: 8, ResponseBytes: 8, Options: options})
	guest := serve(t, host, echo, options, ServeOptions{})
	waitFor(t, "a server that sleeps", func() bool {
		stats, err := guest.Stats(GuestServers)
		return err == nil && stats.Parks > 0
	})
	q, err := host.OpenQueue(4)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Submit(1, TypeUser, []byte("greet"), time.Minute); err != nil {
		t.Fatal(err)
	}
	done := make([]Completion, 1)
	if n, err := q.Wait(testContext(t), 1, done); n != 1 || err != nil || done[0].Err != nil {
		t.Errorf("%d completions, %v, %v", n, err, done[0].Err)
	}
	if stats, err := guest.Stats(GuestServers); err != nil || stats.Rescued != 0 {
		t.Errorf("%d sleeps were ended by their time, %v", stats.Rescued, err)
	}
}
