// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"dx/experiments/internal/cload"
	"dx/experiments/internal/ledger"
	"dx/go/dx"
	"dx/libdx"
)

const (
	typeVerify = dx.TypeUser + 1 // as in cload
	// deadlineEvery is how many calls there are to one with a deadline, so that some are given up
	// when the other side is stopped.
	deadlineEvery = 16
	callDeadline  = 50 * time.Millisecond
	// nobody is how long a caller leaves a side alone that has nobody on it.
	nobody      = 200 * time.Microsecond
	pauseWithin = 10 * time.Minute // callers that go on for so long have lost their way
	slotWithin  = time.Second      // a slot that is free is had at once
)

// hostSide is a host with callers that go on through every death of the guest, in either language.
type hostSide interface {
	Slots() int // gives all slots back, takes them all, makes a call on each: how many were right
	Close() error
}

// host is the host's process: it waits for the word if it stands by, creates the region, calls
// until it is told to end, and closes.
func (r *role) host() error {
	r.say("waiting")
	select {
	case <-r.commands: // "go"
	case <-r.ctx.Done():
		return nil
	}
	start, err := r.create()
	if err != nil {
		if r.ctx.Err() == nil {
			r.say("error", err)
			<-r.ctx.Done()
		}
		return nil
	}
	h, err := start()
	if err != nil {
		return err
	}
	for {
		select {
		case <-r.ctx.Done():
			return h.Close()
		case command := <-r.commands:
			switch command {
			case "sample":
				r.sample()
			case "slots":
				r.say("slots", h.Slots())
			}
		}
	}
}

// create becomes the host, as soon as the one before is gone, and returns what starts the callers.
func (r *role) create() (start func() (hostSide, error), err error) {
	for {
		start, err := r.tryCreate()
		// Whoever scribbles may still be there, or what was written.
		if err == nil || !errors.Is(err, dx.ErrHostExists) && !r.ledger.IsScribbling() || r.ctx.Err() != nil {
			return start, err
		}
		pause()
	}
}

func (r *role) tryCreate() (func() (hostSide, error), error) {
	if r.Lang == "c" {
		if err := r.Wait.Check(); err != nil {
			return nil, err
		}
		wait := libdx.WaitOf(r.Wait)
		h, err := cload.Create(r.URL, r.Callers, r.Callers, r.Payload, &wait)
		if err != nil {
			return nil, err
		}
		r.say("ready", h.FD())
		return func() (hostSide, error) { return h.StartSoak(r.ledger, r.Life) }, nil
	}
	ch, err := dx.Create(r.URL, dx.Config{Slots: r.Callers, RequestBytes: r.Payload,
		ResponseBytes: r.Payload, Options: dx.Options{Wait: &r.Wait}})
	if err != nil {
		return nil, err
	}
	r.say("ready", ch.FD())
	return func() (hostSide, error) { return startCallers(r, ch), nil }, nil
}

// goHost calls from goroutines.
type goHost struct {
	ch       *dx.Channel
	ledger   *ledger.Ledger
	life     uint32
	callers  []*caller
	stopping atomic.Bool
	interval atomic.Pointer[interval]
	running  sync.WaitGroup
}

// interval is a time in which no caller has a slot.
type interval struct {
	arrived sync.WaitGroup
	over    chan struct{}
}

func startCallers(r *role, ch *dx.Channel) *goHost {
	h := &goHost{ch: ch, ledger: r.ledger, life: r.Life}
	for i := range r.Callers {
		h.callers = append(h.callers, &caller{host: h, line: &r.ledger.Callers[i], index: uint32(i),
			request: make([]byte, r.Payload), response: make([]byte, r.Payload)})
	}
	for _, c := range h.callers {
		h.running.Go(c.run)
	}
	return h
}

// Close ends the callers and closes the channel.
func (h *goHost) Close() error {
	h.stopping.Store(true)
	h.ch.Stop()
	h.running.Wait()
	return h.ch.Close()
}

// Slots is as in hostSide.
func (h *goHost) Slots() (right int) {
	pause := &interval{over: make(chan struct{})}
	pause.arrived.Add(len(h.callers))
	h.interval.Store(pause)
	arrived := make(chan struct{})
	go func() {
		pause.arrived.Wait()
		close(arrived)
	}()
	defer close(pause.over)
	defer h.interval.Store(nil)
	select {
	case <-arrived:
	case <-time.After(pauseWithin):
		return 0 // one that has not arrived still uses its own
	}
	for _, c := range h.callers {
		ctx, cancel := context.WithTimeout(context.Background(), slotWithin)
		c.caller, _ = h.ch.OpenCaller(ctx)
		cancel()
	}
	for _, c := range h.callers {
		if c.caller != nil && c.call() {
			right++
		}
	}
	return right
}

// caller is one goroutine that calls; its line of the ledger outlives it.
type caller struct {
	host     *goHost
	caller   *dx.Caller // nil while it has no slot
	line     *ledger.Caller
	index    uint32
	request  []byte
	response []byte
	noticed  bool     // the latest call found nobody there
	_        [64]byte // the next one's are on another line
}

// run is the closed loop.
func (c *caller) run() {
	defer c.release()
	h := c.host
	for !h.stopping.Load() {
		if pause := h.interval.Load(); pause != nil {
			c.release()
			pause.arrived.Done()
			<-pause.over
		}
		if c.caller == nil && !c.open() {
			continue
		}
		c.call()
	}
}

func (c *caller) open() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*callDeadline)
	defer cancel()
	var err error
	c.caller, err = c.host.ch.OpenCaller(ctx)
	return err == nil
}

// release gives the slot back.
func (c *caller) release() {
	if c.caller != nil {
		_ = c.caller.Close()
		c.caller = nil
	}
}

// call makes one call, judges it and counts it; true if the answer was right.
func (c *caller) call() bool {
	l, book := c.line, c.host.ledger
	mark, forged := atomic.LoadUint32(&book.Mark), book.IsScribbling()
	l.Issued++
	self := ledger.Sender{Caller: c.index, Life: c.host.life, Number: l.Issued}
	reply, err := c.send(self.Number, ledger.FillRequest(c.request, self))
	forged = forged || book.IsScribbling()
	switch {
	case err != nil && forged:
		l.ForgedError++
		time.Sleep(nobody)
		return false
	case err != nil:
		c.failed(err)
		return false
	}
	verdict := ledger.Judge(reply.Data, len(c.request), self)
	if forged {
		if verdict == ledger.Right {
			l.ForgedRight++
		} else {
			l.ForgedWrong++
		}
		return verdict == ledger.Right
	}
	l.Count(verdict, self.Number, reply.Data)
	if verdict == ledger.Right {
		c.noticed = false
		l.Stamp(mark, ledger.Lives(c.host.life, uint32(reply.Status)))
	}
	return verdict == ledger.Right
}

func (c *caller) send(number uint64, n int) (dx.Reply, error) {
	if number%deadlineEvery != 0 {
		return c.caller.Call(context.Background(), typeVerify, c.request[:n], c.response)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	return c.caller.Call(ctx, typeVerify, c.request[:n], c.response)
}

// failed counts a call without an answer.
func (c *caller) failed(err error) {
	kind := 0 // none of libdx's
	if e, ok := errors.AsType[*dx.Error](err); ok {
		kind = int(-e.Status) % ledger.FailedKinds
	} else if errors.Is(err, context.DeadlineExceeded) {
		kind = int(-dx.ErrTimeout.Status)
	}
	c.line.Failed[kind]++
	if !errors.Is(err, dx.ErrPeerDead) && !errors.Is(err, dx.ErrPeerClosed) && !errors.Is(err, dx.ErrNoPeer) {
		return
	}
	if !c.noticed {
		atomic.StoreInt64(&c.line.NoticeNs, ledger.Now())
	}
	c.noticed = true
	// The slot goes back, so that all of them are handed round.
	c.release()
	time.Sleep(nobody)
}
