// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"bytes"
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
	s.again(name, func(uint64) error {
		f()
		if s.over.Load() {
			return ErrStopped
		}
		time.Sleep(100 * time.Microsecond) // it asks often enough
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

func (s *storm) judge(reply Reply, request []byte, err error) error {
	if err == nil && !bytes.Equal(reply.Data, request) {
		s.t.Errorf("%q is no answer to %q", reply.Data, request)
	}
	return err
}

// callers are goroutines that call from one side.
func (s *storm) callers(side string, ch *Channel) {
	s.again(side+" Channel.Call", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		request := fmt.Appendf(nil, "%s %d", side, n)
		reply, err := ch.Call(ctx, TypeUser, request, make([]byte, stormBytes))
		return s.judge(reply, request, err)
	})
	s.again(side+" Caller.Call and Close beside it", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		c, err := ch.Caller(ctx)
		if err != nil {
			return err
		}
		var closing sync.WaitGroup
		closing.Go(func() { _ = c.Close() })
		for {
			request := fmt.Appendf(nil, "%d", n)
			reply, err := c.Call(ctx, TypeUser, request, make([]byte, stormBytes))
			if s.judge(reply, request, err) != nil {
				closing.Wait()
				return err
			}
		}
	})
	s.again(side+" Caller in place", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		c, err := ch.Caller(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }() // nobody else does: what lies in the region stays valid
		for range 5 {
			request := c.Request()
			if request == nil {
				_, err := c.Call(ctx, TypePing, nil, nil)
				return err
			}
			want := fmt.Appendf(nil, "%s in place %d", side, n)
			reply, err := c.CallInPlace(ctx, TypeUser, copy(request, want))
			if s.judge(reply, want, err) != nil {
				return err
			}
		}
		return nil
	})
}

// streams are goroutines that stream from one side.
func (s *storm) streams(side string, ch *Channel) {
	s.again(side+" Stream, all of it closed beside it", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		c, err := ch.Caller(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		st, err := c.Stream(ctx, streamEcho, StreamOptions{RequestRing: 61, ResponseRing: 61})
		if err != nil {
			return err
		}
		var users sync.WaitGroup
		defer users.Wait()
		users.Go(func() {
			if n%2 == 0 {
				_, _ = st.ReadFrom(io.LimitReader(&pattern{}, 1000))
			} else {
				_, _ = io.CopyN(struct{ io.Writer }{st}, &pattern{}, 1000)
			}
			st.CloseWrite()
		})
		users.Go(func() {
			var err error
			if n%3 == 0 {
				_, err = st.WriteTo(&pattern{})
			} else {
				_, err = io.Copy(struct{ io.Writer }{&pattern{}}, struct{ io.Reader }{st})
			}
			if !stormMayEndWith(err) {
				s.t.Errorf("%s: a stream: %v", side, err)
			}
		})
		users.Go(func() {
			if rand.IntN(4) == 0 {
				users.Go(func() { _ = c.Close() })
			}
			if rand.IntN(2) == 0 {
				_ = st.Close()
			}
		})
		_, _, _ = st.Type(), st.Slot(), st.Context()
		if rand.IntN(2) == 0 {
			_ = st.Close()
			_, err = c.Call(ctx, TypePing, nil, nil)
		}
		return err
	})
	s.again(side+" Stream in place, and End", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		c, err := ch.Caller(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		st, err := c.Stream(ctx, streamSink, StreamOptions{})
		if err != nil {
			return err
		}
		p := &pattern{}
		for range n % 4 {
			room, err := st.Reserve(100)
			if err != nil {
				break
			}
			used, _ := p.Read(room[:min(len(room), 100)])
			st.Commit(used)
		}
		status, err := st.End()
		if err == nil && status != 1 {
			s.t.Errorf("%s: a stream ended with %d", side, status)
		}
		return err
	})
}

// lookers ask one side about itself.
func (s *storm) lookers(side string, ch *Channel) {
	slots, region := ch.Slots(), ch.RegionBytes()
	s.until(side+" questions", func() {
		_, _, _ = ch.Park(), ch.Notice(), ch.Peer()
		if ch.Slots() != slots || ch.RegionBytes() != region || ch.FD() < -1 {
			s.t.Errorf("%s: %d slots, %d bytes, descriptor %d", side, ch.Slots(), ch.RegionBytes(), ch.FD())
		}
		for _, err := range []error{second(ch.Stats(HostCallers)), second(ch.SlotStats(0))} {
			if !stormMayEndWith(err) {
				s.t.Errorf("%s: %v", side, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// serving serves one side again and again.
func (s *storm) serving(side string, ch *Channel) {
	s.again(side+" Serve", func(n uint64) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(20000))*time.Microsecond)
		defer cancel()
		return ch.ServeWith(ctx, echo, ServeOptions{Workers: 1 + int(n%3), CopyRequests: n%2 == 0, Streams: s.handler(ch)})
	})
}

// handler leaves, now and then, goroutines of its own in its stream.
func (s *storm) handler(ch *Channel) StreamHandler {
	if ch.path == PathCgo {
		return nil
	}
	return StreamHandlerFunc(func(st *Stream) int32 {
		switch rand.IntN(8) {
		case 0:
			s.running.Go(func() { _, _ = st.WriteTo(discard{}) })
			s.running.Go(func() { _, _ = st.Write(make([]byte, 200)) })
			return 1
		case 1:
			s.running.Go(func() { _ = st.Close() })
		}
		return streamHandler(st)
	})
}

func (s *storm) bystanders() {
	s.again("Listener.Accept", func(uint64) error {
		ctx, cancel := shortContext()
		defer cancel()
		_, _, err := s.listener.Accept(ctx)
		return err
	})
	s.until("Observer", func() {
		o, err := Observe(s.url)
		if err != nil {
			return // the name is gone with its host
		}
		var closing sync.WaitGroup
		closing.Go(func() { _ = o.Close() })
		if _, err := o.Stats(GuestServers); !stormMayEndWith(err) {
			s.t.Errorf("observer: %v", err)
		}
		closing.Wait()
	})
	s.until("Attach", func() {
		ctx, cancel := shortContext()
		defer cancel()
		if ch, err := Attach(ctx, s.url, Options{}); err == nil { // the guest was closed just now
			_ = ch.Close()
		}
	})
}

// blow waits until all have worked, and fails only if none of them works any more.
func (s *storm) blow() {
	last, lastChange := uint64(0), time.Now()
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
		time.Sleep(time.Millisecond)
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
