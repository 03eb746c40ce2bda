// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A storm is all methods of both sides at once, by many goroutines, of which some close
// what others use, until one side or both are stopped or closed in the midst of it.
type storm struct {
	t           *testing.T
	host, guest *Channel
	listener    *Listener
	url         string
	over        atomic.Bool // the first Stop or Close has begun
	work        []*stormWork
	running     sync.WaitGroup
}

// stormWork is one goroutine, which does the same again and again.
type stormWork struct {
	name string
	done atomic.Uint64
}

const (
	stormBytes  = 4096
	stormEnough = 5 // times that each has done its work before the end begins
)

// stormMayEndWith are the errors of methods beside a Stop or a Close of either side.
func stormMayEndWith(err error) bool {
	for _, may := range []error{nil, ErrStopped, ErrPeerClosed, ErrPeerDead, ErrNoPeer, ErrLost, ErrCancelled,
		ErrEnded, ErrBusy, ErrNoSlot, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrClosedPipe} {
		if errors.Is(err, may) {
			return true
		}
	}
	return false
}

// again starts a goroutine that does f until the storm is over and f fails.
func (s *storm) again(name string, f func(n uint64) error) {
	w := &stormWork{name: name}
	s.work = append(s.work, w)
	s.running.Go(func() {
		for n := uint64(0); ; n++ {
			err := f(n)
			if !stormMayEndWith(err) {
				s.t.Errorf("%s: %v", name, err)
			}
			w.done.Add(1)
			if s.over.Load() && err != nil {
				return
			}
		}
	})
}

// until is again for what does not fail.
func (s *storm) until(name string, f func()) {
	pace := time.NewTicker(100 * time.Microsecond) // more would leave the others little of the CPUs
	s.t.Cleanup(pace.Stop)
	s.again(name, func(uint64) error {
		f()
		if s.over.Load() {
			return ErrStopped
		}
		<-pace.C
		return nil
	})
}

// stormContext may last for ever: only Stop or Close end what waits by it then.
func stormContext() (context.Context, context.CancelFunc) {
	if rand.IntN(3) == 0 {
		return context.WithCancel(context.Background())
	}
	return shortContext()
}

func shortContext() (context.Context, context.CancelFunc) {
	limit := time.Duration(rand.IntN(2000)) * time.Microsecond
	if rand.IntN(2) == 0 {
		return context.WithTimeout(context.Background(), limit)
	}
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(limit, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// blow waits until all have worked, and fails only if none of them works any more.
func (s *storm) blow() {
	last, lastChange := uint64(0), time.Now()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		sum, enough := uint64(0), true
		for _, w := range s.work {
			sum += min(w.done.Load(), stormEnough)
			enough = enough && w.done.Load() >= stormEnough
		}
		if enough {
			return
		}
		if sum != last {
			last, lastChange = sum, time.Now()
		}
		s.complainAfter(lastChange)
		<-look.C
	}
}

func (s *storm) complainAfter(lastChange time.Time) {
	if time.Since(lastChange) < time.Minute {
		return
	}
	for _, w := range s.work {
		fmt.Fprintf(os.Stderr, "%s: %d times\n", w.name, w.done.Load())
	}
	debug.SetTraceback("all")
	panic("the storm stands still")
}

// end is what ends a storm, in one of several ways.
func (s *storm) end(way int) {
	s.over.Store(true)
	var ending sync.WaitGroup
	for i, f := range []func(){
		s.host.Stop, s.guest.Stop,
		func() { _ = s.listener.Close() }, func() { _ = s.guest.Close() },
		func() { _ = s.host.Close() }, func() { _ = s.guest.Close() },
	} {
		if way>>i&1 != 0 {
			ending.Go(f)
		}
	}
	ending.Wait()
	// What was not ended yet: a side that goes on would never notice the end of the storm.
	ending.Go(func() { _ = s.listener.Close() })
	ending.Go(func() { _ = s.guest.Close() })
	ending.Wait()
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	since := time.Now()
	for {
		select {
		case <-ended:
			return
		case <-time.After(time.Second):
			s.complainAfter(since)
		}
	}
}

// left counts what this process has of regions: mappings and descriptors.
func left(t *testing.T) (names []string) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "/dev/shm/dx-test") || strings.Contains(line, "memfd:dx") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		target, _ := os.Readlink("/proc/self/fd/" + f.Name())
		if !strings.Contains(target, "/fd") && !strings.Contains(target, "anon_inode:[eventpoll]") {
			names = append(names, target)
		}
	}
	slices.Sort(names)
	return names
}

func newStorm(t *testing.T, url string, wait *Wait, path Path) *storm {
	config := Config{Slots: 4, GuestSlots: 3, RequestBytes: stormBytes, ResponseBytes: stormBytes,
		Options: Options{Wait: wait, Path: path}}
	l, err := Listen(url, 1, config)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := Attach(testContext(t), url, config.Options)
	if err != nil {
		t.Fatal(err)
	}
	return &storm{t: t, url: url, listener: l, host: l.Channels()[0], guest: guest}
}

func TestStorm(t *testing.T) {
	waits := map[string]*Wait{"futex": parksAtOnce(t), "never": spinner(t), "balanced": nil}
	doorbell := sleeper(t, "doorbell")
	for name, c := range map[string]struct {
		scheme string
		wait   *Wait
		path   Path
	}{
		"shm, parks at once": {"shm", waits["futex"], PathNative},
		"shm, never parks":   {"shm", waits["never"], PathNative},
		"shm, balanced":      {"shm", nil, PathNative},
		"shm, cgo":           {"shm", nil, PathCgo},
		"unix, doorbell":     {"unix", &doorbell, PathNative},
	} {
		t.Run(name, func(t *testing.T) {
			before := left(t)
			for _, way := range []int{0b000001, 0b000010, 0b000100, 0b001000, 0b000011, 0b110000, 0b111111} {
				url := "unix:" + t.TempDir() + "/rendezvous"
				if c.scheme == "shm" {
					url = shmName(t)
				}
				s := newStorm(t, url, c.wait, c.path)
				for side, ch := range map[string]*Channel{"host": s.host, "guest": s.guest} {
					s.callers(side, ch)
					if c.path == PathNative {
						s.queues(side, ch)
						s.streams(side, ch)
					}
					s.lookers(side, ch)
					s.serving(side, ch)
				}
				s.bystanders()
				s.blow()
				s.end(way)
			}
			if after := left(t); !slices.Equal(before, after) {
				t.Errorf("left behind:\n%s\nbefore:\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
		})
	}
}
