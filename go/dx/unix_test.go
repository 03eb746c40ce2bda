// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper goes straight to a sleep of this kind.
func sleeper(t testing.TB, kind string) Wait {
	w := mustPreset(t, "balanced")
	w.SpinMin, w.SpinMax, w.SpinStart = 0, 0, 0
	if err := w.Park.UnmarshalText([]byte(kind)); err != nil {
		t.Fatal(err)
	}
	return w
}

// meet makes a host and a guest that serves it, at a socket.
func meet(t testing.TB, config Config, h Handler) (host, guest *Channel) {
	t.Helper()
	url := "unix:" + t.TempDir() + "/rendezvous"
	host, err := Create(url, config)
	if err != nil {
		t.Fatal(err)
	}
	guest, err = Attach(testContext(t), url, config.Options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- guest.Serve(ctx, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("serve ended with %v", err)
		}
		if err := errors.Join(guest.Close(), host.Close()); err != nil {
			t.Error(err)
		}
	})
	return host, guest
}

func callWell(t *testing.T, c *Caller, calls int) {
	t.Helper()
	var request, response [8]byte
	for i := range calls {
		binary.LittleEndian.PutUint64(request[:], uint64(i))
		reply, err := c.Call(testContext(t), TypeUser, request[:], response[:])
		if err != nil || string(reply.Data) != string(request[:]) {
			t.Fatalf("call %d: %v, %x", i, err, reply.Data)
		}
	}
}

func TestPeersMeetAtASocket(t *testing.T) {
	for _, kind := range []string{"futex", "sem", "poll", "doorbell"} {
		for _, path := range []Path{PathNative, PathCgo} {
			w := sleeper(t, kind)
			host, _ := meet(t, Config{RequestBytes: 8, ResponseBytes: 8,
				Options: Options{Wait: &w, Path: path}}, echo)
			c := newCallerOf(t, host)
			callWell(t, c, 200)
			stats, err := host.Stats(HostCallers)
			if err != nil || stats.Park < 100 {
				t.Errorf("%s, path %d: %d of 200 calls slept (%v)", kind, path, stats.Park, err)
			}
		}
	}
}

func threads(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestGoroutinesThatWaitForADoorbellHoldNoThread(t *testing.T) {
	const callers = 1000
	release := make(chan struct{})
	w := sleeper(t, "doorbell")
	host, _ := meet(t, Config{Slots: callers, RequestBytes: 8, ResponseBytes: 8,
		Options: Options{Wait: &w}}, HandlerFunc(func(q *Request, response []byte) (int, int32) {
		<-release
		return copy(response, q.Data), 0
	}))
	before := threads(t)
	var calls sync.WaitGroup
	var wrong atomic.Int32
	for i := range callers {
		c := newCallerOf(t, host)
		calls.Go(func() {
			var request, response [8]byte
			binary.LittleEndian.PutUint64(request[:], uint64(i))
			reply, err := c.Call(testContext(t), TypeUser, request[:], response[:])
			if err != nil || string(reply.Data) != string(request[:]) {
				wrong.Add(1)
			}
		})
	}
	for parked := 0; parked < callers; runtime.Gosched() {
		host.parker.mu.Lock()
		parked = len(host.parker.waiting)
		host.parker.mu.Unlock()
	}
	if now := threads(t); now > before+4 {
		t.Errorf("%d goroutines sleep, and there are %d threads instead of %d", callers, now, before)
	}
	close(release)
	calls.Wait()
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d wrong answers", n)
	}
}

func TestAStormOfRingsDoesNoHarm(t *testing.T) {
	w := sleeper(t, "doorbell")
	host, _ := meet(t, Config{RequestBytes: 8, ResponseBytes: 8, Options: Options{Wait: &w}}, echo)
	fd := host.raw.TakeDoorbell()
	var storm sync.WaitGroup
	var ended atomic.Bool
	storm.Go(func() {
		one := [8]byte{1}
		for !ended.Load() {
			_, _ = unix.Write(fd, one[:]) // a full one is rung enough
		}
	})
	callWell(t, newCallerOf(t, host), 300)
	ended.Store(true)
	storm.Wait()
	_ = unix.Close(fd)
}

// awaitAsleep returns when a goroutine of this function sleeps for a descriptor, or in the kernel.
func awaitAsleep(function string) {
	all := make([]byte, 1<<20)
	for ; ; runtime.Gosched() {
		for _, stack := range strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n") {
			head, _, _ := strings.Cut(stack, "\n")
			if strings.Contains(stack, function) &&
				(strings.Contains(head, "[IO wait") || strings.Contains(head, "[syscall")) {
				return
			}
		}
	}
}

func TestADoorbellThatAPeerMadeBlockingHoldsNoCloseUp(t *testing.T) {
	for _, early := range []bool{true, false} { // before we look at it, or later
		shared, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		own, err := unix.FcntlInt(uintptr(shared), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil || unix.SetNonblock(shared, !early) != nil {
			t.Fatal(err)
		}
		d := openDoorbell(own, nil)
		b := bell{rung: make(chan struct{}, 1)}
		d.add(&b)
		if err := unix.SetNonblock(shared, false); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(shared, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		<-b.rung
		awaitAsleep("doorbell).run")
		d.close() // if this hangs, so does the test
		_ = unix.Close(shared)
	}
}

// What is asked is that it took some time: a loop around it must not run without sleep.
func TestABellThatCannotBePolledDoesNotReturnAtOnce(t *testing.T) {
	const least = 5 * time.Millisecond
	host, _ := meet(t, Config{RequestBytes: 8, ResponseBytes: 8}, echo)
	ch := &Channel{raw: host.raw, switches: host.switches}
	ch.wait.PollNs = int64(least)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	_ = r.Close()
	b := bell{ch: ch, file: r, rings: new(uint32)}
	began := time.Now()
	if b.wait(uint32(ParkFutex)<<1|1, time.Minute) {
		t.Error("a closed file has rung")
	}
	if took := time.Since(began); took < least {
		t.Errorf("it returned after %v", took)
	}
}
