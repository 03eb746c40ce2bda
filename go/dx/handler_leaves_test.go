// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var errBoom = errors.New("boom")

// way is how a handler leaves.
type way int

const (
	byReturn way = iota
	byPanic
	byGoexit
)

func (w way) leave() {
	switch w {
	case byPanic:
		panic(errBoom)
	case byGoexit:
		runtime.Goexit()
	}
}

// outcome is how ServeWith ended.
type outcome struct {
	returned  bool
	err       error
	recovered any
}

// serveOn serves on a goroutine of its own, which survives a panic.
func serveOn(ctx context.Context, ch *Channel, h Handler, o ServeOptions) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		var how outcome
		defer func() {
			how.recovered = recover()
			ended <- how
		}()
		how.err = ch.ServeWith(ctx, h, o)
		how.returned = true
	}()
	return ended
}

func attach(t *testing.T, host *Channel, o Options) *Channel {
	t.Helper()
	guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), o)
	if err != nil {
		t.Fatal(err)
	}
	return guest
}

// order is a request: an id, and how its handler is to leave.
func order(id uint32, w way) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, id), byte(w))
}

// counting is a handler that counts how often it ran for each id.
type counting struct {
	mu   sync.Mutex
	runs map[uint32]int
}

func (c *counting) ServeCall(q *Request, response []byte) (int, int32) {
	id, w := binary.LittleEndian.Uint32(q.Data), way(q.Data[4])
	c.mu.Lock()
	c.runs[id]++
	c.mu.Unlock()
	w.leave()
	return copy(response, q.Data), 0
}

func (c *counting) check(t *testing.T, ids uint32) {
	t.Helper()
	for id := range ids {
		if n := c.runs[id]; n != 1 {
			t.Errorf("the handler ran %d times for request %d", n, id)
		}
	}
}

func callOrder(t *testing.T, c *Caller, id uint32, w way) error {
	t.Helper()
	return callOrderUntil(testContext(t), t, c, id, w)
}

func callOrderUntil(ctx context.Context, t *testing.T, c *Caller, id uint32, w way) error {
	t.Helper()
	reply, err := c.Call(ctx, TypeUser, order(id, w), make([]byte, 8))
	if err == nil && binary.LittleEndian.Uint32(reply.Data) != id {
		t.Errorf("request %d got the answer %v", id, reply.Data)
	}
	return err
}

// wantsPanic checks what whoever called Serve has recovered.
func wantsPanic(t *testing.T, how outcome, asItIs bool) {
	t.Helper()
	if asItIs {
		if how.recovered != errBoom {
			t.Errorf("Serve's caller got %v, want the panic itself", how)
		}
		return
	}
	p, ok := how.recovered.(*HandlerPanic)
	if !ok || !errors.Is(p, errBoom) || !strings.Contains(string(p.Stack), "way.leave") {
		t.Errorf("Serve's caller got %v, want a HandlerPanic with the handler's stack", how)
	}
}

// Whichever slot the call came from: the one with the lowest number belongs to the
// worker on Serve's own goroutine, the next one to another.
func TestAHandlerThatLeavesEndsServingAndNothingIsHandledTwice(t *testing.T) {
	const slots, rounds = 2, 10
	for _, c := range []struct {
		path    Path
		workers int
		way     way
	}{
		{PathNative, 1, byPanic}, {PathNative, 1, byGoexit}, {PathNative, 2, byPanic},
		{PathNative, 2, byGoexit}, {PathNative, 4, byPanic}, {PathNative, 4, byGoexit},
		{PathCgo, 1, byPanic}, {PathCgo, 2, byPanic},
	} {
		t.Run(fmt.Sprintf("path %d, %d workers, way %d", c.path, c.workers, c.way), func(t *testing.T) {
			host := newHost(t, Config{Slots: slots, RequestBytes: 8, ResponseBytes: 8})
			guest := attach(t, host, Options{Path: c.path})
			callers := []*Caller{newCallerOf(t, host), newCallerOf(t, host)}
			h := &counting{runs: map[uint32]int{}}
			o := ServeOptions{Workers: c.workers}
			id := uint32(0)
			next := func(caller *Caller, w way) error {
				id++
				return callOrder(t, caller, id-1, w)
			}
			for round := range rounds {
				ended := serveOn(context.Background(), guest, h, o)
				for _, caller := range callers {
					if err := next(caller, byReturn); err != nil {
						t.Fatalf("round %d: a call that is served again: %v", round, err)
					}
				}
				if err := next(callers[round%slots], c.way); !errors.Is(err, ErrLost) {
					t.Errorf("round %d: the caller of a handler that left got %v", round, err)
				}
				how := <-ended
				if how.returned {
					t.Errorf("round %d: Serve returned %v", round, how.err)
				}
				if c.way == byPanic {
					wantsPanic(t, how, c.path == PathNative && c.workers == 1)
				}
			}
			if err := guest.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			h.check(t, id)
		})
	}
}

func TestServeEndsAfterTheHandlersThatStillRun(t *testing.T) {
	for _, w := range []way{byPanic, byGoexit} {
		host := newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8})
		guest := attach(t, host, Options{})
		entered, release := make(chan struct{}), make(chan struct{})
		ended := serveOn(context.Background(), guest, HandlerFunc(func(q *Request, r []byte) (int, int32) {
			if q.Data[0] == 0 {
				close(entered)
				<-release
			}
			way(q.Data[4]).leave()
			return copy(r, q.Data), 0
		}), ServeOptions{Workers: 2})
		slow, leaving := newCallerOf(t, host), newCallerOf(t, host)
		answered := make(chan error, 1)
		go func() { answered <- callOrder(t, slow, 0, byReturn) }()
		<-entered
		if err := callOrder(t, leaving, 1, w); !errors.Is(err, ErrLost) {
			t.Errorf("way %d: its caller got %v", w, err)
		}
		select {
		case how := <-ended:
			t.Errorf("way %d: Serve ended (%v) while a handler ran", w, how)
		default:
		}
		close(release)
		if err := <-answered; err != nil {
			t.Errorf("way %d: the call of the other handler: %v", w, err)
		}
		if how := <-ended; how.returned {
			t.Errorf("way %d: Serve returned %v", w, how.err)
		}
		if err := guest.Close(); err != nil {
			t.Errorf("way %d: close: %v", w, err)
		}
	}
}

func TestAStreamsHandlerThatLeavesLosesItsStream(t *testing.T) {
	for _, workers := range []int{1, 2} {
		for _, w := range []way{byPanic, byGoexit} {
			host := newHost(t, Config{Slots: 2, RequestBytes: 64, ResponseBytes: 64})
			guest := attach(t, host, Options{})
			ctx, stop := context.WithCancel(context.Background())
			var runs atomic.Int32
			ended := serveOn(ctx, guest, echo, ServeOptions{Workers: workers,
				Streams: StreamHandlerFunc(func(s *Stream) int32 {
					runs.Add(1)
					w.leave()
					return 0
				})})
			c := newCallerOf(t, host)
			s := openStream(t, c, TypeUser, 0)
			if _, err := s.End(); !errors.Is(err, ErrLost) {
				t.Errorf("%d workers, way %d: the stream ended with %v", workers, w, err)
			}
			if w == byGoexit {
				mustEcho(t, c) // serving goes on, on this slot, too
				stop()
			}
			how := <-ended
			if w == byPanic {
				wantsPanic(t, how, false)
			} else if !errors.Is(how.err, context.Canceled) {
				t.Errorf("%d workers: Serve ended with %v", workers, how)
			}
			stop()
			if n := runs.Load(); n != 1 {
				t.Errorf("%d workers, way %d: the handler ran %d times", workers, w, n)
			}
			if err := guest.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
}

// A panic of a handler ends the streams of others as the end of serving does.
func TestAPanicEndsStreamsThatGoOn(t *testing.T) {
	host := newHost(t, Config{Slots: 2, RequestBytes: 64, ResponseBytes: 64})
	guest := attach(t, host, Options{})
	var seen error
	ended := serveOn(context.Background(), guest, &counting{runs: map[uint32]int{}},
		ServeOptions{Streams: StreamHandlerFunc(func(s *Stream) int32 {
			_, seen = s.Read(make([]byte, 1))
			return 0
		})})
	s := openStream(t, newCallerOf(t, host), TypeUser, 0)
	if err := callOrder(t, newCallerOf(t, host), 0, byPanic); !errors.Is(err, ErrLost) {
		t.Errorf("the caller got %v", err)
	}
	wantsPanic(t, <-ended, true)
	if _, err := s.End(); !errors.Is(err, ErrLost) || !errors.Is(seen, ErrStopped) {
		t.Errorf("the stream ended with %v, its handler saw %v", err, seen)
	}
	if err := guest.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// roleVariable makes the test that sets it play another part in a child process.
const roleVariable = "DX_TEST_ROLE"

func TestGoexitBetweenFramesOfCEndsTheProcessWithAWord(t *testing.T) {
	if os.Getenv(roleVariable) == "child" {
		host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
		guest := attach(t, host, Options{Path: PathCgo})
		_ = serveOn(context.Background(), guest, &counting{runs: map[uint32]int{}}, ServeOptions{})
		_ = callOrder(t, newCallerOf(t, host), 0, byGoexit)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), roleVariable+"=child")
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(said), "use PathNative") {
		t.Errorf("the process ended with %v and said:\n%s", err, said)
	}
}
