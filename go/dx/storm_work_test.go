// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

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
		c, err := ch.OpenCaller(ctx)
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
		c, err := ch.OpenCaller(ctx)
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

// queues are goroutines that keep calls in flight from one side. What lies in the region stays valid
// if nobody closes the queue beside them.
func (s *storm) queues(side string, ch *Channel) {
	s.again(side+" Queue, and Close beside it", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		q, err := ch.OpenQueue(2)
		if err != nil {
			return err
		}
		defer func() { _ = q.Close() }()
		var closing sync.WaitGroup
		defer closing.Wait()
		if n%2 == 0 {
			closing.Go(func() { _ = q.Close() })
		}
		request := fmt.Appendf(nil, "%s queued %d", side, n)
		for tag := range uint64(2) {
			if err := q.Submit(tag, TypeUser, request, -1); err != nil {
				return err
			}
		}
		_ = q.Cancel(n % 3)
		done := make([]Completion, 2)
		got, err := q.Wait(ctx, 2, done)
		for i := range done[:got] {
			if n%2 != 0 && !stormMayEndWith(s.judge(done[i].Reply, request, done[i].Err)) {
				s.t.Errorf("%s: a call of a queue: %v", side, done[i].Err)
			}
			_ = q.Seen(&done[i])
		}
		return err
	})
}

// streams are goroutines that stream from one side.
func (s *storm) streams(side string, ch *Channel) {
	s.again(side+" Stream, all of it closed beside it", func(n uint64) error {
		ctx, cancel := stormContext()
		defer cancel()
		c, err := ch.OpenCaller(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		st, err := c.OpenStream(ctx, streamEcho, StreamOptions{RequestRing: 61, ResponseRing: 61})
		if err != nil {
			return err
		}
		users := s.usersOf(side, c, st, n)
		defer users.Wait()
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
		c, err := ch.OpenCaller(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		st, err := c.OpenStream(ctx, streamSink, StreamOptions{})
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

// usersOf write and read a stream, and some of them close it, or all that it stands on.
func (s *storm) usersOf(side string, c *Caller, st *Stream, n uint64) *sync.WaitGroup {
	users := &sync.WaitGroup{}
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
	return users
}

// lookers ask one side about itself.
func (s *storm) lookers(side string, ch *Channel) {
	slots, region := ch.Slots(), ch.RegionBytes()
	s.until(side+" questions", func() {
		_, _, _ = ch.ParkKind(), ch.Notice(), ch.Peer()
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
