// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync/atomic"

	"dx/experiments/internal/cload"
	"dx/experiments/internal/ledger"
	"dx/go/dx"
	"dx/libdx"
)

// guestSide is an attached guest, in either language.
type guestSide interface {
	serve() error // until stop, or until the host is gone
	stop()
	close() error
}

// guest is the guest's process: it attaches as soon as there is a host without a guest, serves,
// and attaches anew when the host is gone.
func (r *role) guest() error {
	go func() {
		for command := range r.commands {
			switch command {
			case "sample":
				r.sample()
			case "hang":
				r.hanging.Store(true)
				r.say("hangs")
			}
		}
	}()
	for r.ctx.Err() == nil {
		r.say("waiting")
		g, err := r.attach()
		if err == nil {
			r.say("attached")
			if err = r.serve(g); r.ctx.Err() != nil {
				return err
			}
		}
		// A host that is there and does not get to greet us is waited for like one that is not.
		silent := g == nil && errors.Is(err, dx.ErrTimeout)
		if err != nil && !silent && r.ctx.Err() == nil && !r.ledger.IsScribbling() {
			r.say("error", err)
			<-r.ctx.Done()
			return nil
		}
		pause()
	}
	return nil
}

// serve serves one life of the host. It is no error if the host goes.
func (r *role) serve(g guestSide) error {
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(r.ctx, func() {
		defer close(stopped)
		g.stop()
	})
	err := g.serve()
	switch {
	case errors.Is(err, dx.ErrPeerDead), errors.Is(err, dx.ErrPeerClosed):
		r.say("notice")
		err = nil
	case errors.Is(err, dx.ErrStopped) && r.ctx.Err() != nil:
		err = nil
	}
	if !unwatch() {
		<-stopped
	}
	return errors.Join(err, g.close())
}

func (r *role) attach() (guestSide, error) {
	if r.Lang == "c" {
		if err := r.Wait.Check(); err != nil {
			return nil, err
		}
		wait := libdx.WaitOf(r.Wait)
		guest, err := cload.AttachSoak(r.ctx, r.URL, &wait)
		if err != nil {
			return nil, err
		}
		return &cGuest{guest, r}, nil
	}
	ch, err := dx.Attach(r.ctx, r.URL, dx.Options{Wait: &r.Wait})
	if err != nil {
		return nil, err
	}
	return &goGuest{role: r, ch: ch, buffer: make([]byte, r.Payload)}, nil
}

type cGuest struct {
	guest *cload.SoakGuest
	role  *role
}

func (g *cGuest) serve() error {
	return g.guest.Serve(g.role.ledger, g.role.Life, g.role.ThroughRestart)
}
func (g *cGuest) stop()        { g.guest.Stop() }
func (g *cGuest) close() error { return g.guest.Close() }

type goGuest struct {
	role   *role
	ch     *dx.Channel
	buffer []byte
	served uint64
}

func (g *goGuest) stop()        { g.ch.Stop() }
func (g *goGuest) close() error { return g.ch.Close() }

func (g *goGuest) serve() error {
	return g.ch.ServeWith(context.Background(), dx.HandlerFunc(g.handle),
		dx.ServeOptions{ThroughRestart: g.role.ThroughRestart})
}

// handle answers a request and notes whose it was; the status of the answer says who we are.
func (g *goGuest) handle(q *dx.Request, response []byte) (int, int32) {
	// Copied first: the other side can still write there.
	n := copy(g.buffer, q.Data)
	book := g.role.ledger
	from, good := ledger.AnswerRequest(g.buffer[:n], len(g.buffer))
	switch {
	case book.IsScribbling():
	case !good || int(from.Caller) >= len(book.Callers):
		atomic.AddUint64(&book.BadRequests, 1)
	default:
		book.Callers[from.Caller].Handle(from.Life, from.Number)
	}
	g.served++
	if g.served == g.role.WrongAt {
		g.buffer[n-1] ^= 1
	}
	if g.role.hanging.Load() {
		<-g.role.ctx.Done()
	}
	return copy(response, g.buffer[:n]), int32(g.role.Life)
}
