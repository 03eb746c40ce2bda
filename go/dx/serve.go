// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync"

	"dx/libdx"
)

// Request is one request as a handler sees it. Data is valid until the handler
// returns. It lies in the region, where a hostile host can change it meanwhile,
// unless ServeOptions.CopyRequests is set.
type Request struct {
	Data []byte
	Type uint32 // TypeUser to TypeMax
	Slot int

	handled *handled // with ServeOptions.Concurrency
}

// Context ends when nobody waits for the answer any more: when the caller gives up
// (context.Cause is ErrCancelled) or dies (ErrPeerDead), and when serving ends. It
// needs ServeOptions.Concurrency. Without that it never ends, as the serving goroutine is
// in the handler and sees nothing else.
func (q *Request) Context() context.Context {
	if q.handled == nil {
		return context.Background()
	}
	return q.handled.context()
}

// Handler answers requests. ServeCall fills response and returns how many bytes
// it used, and a status that the caller sees as Reply.Status. More bytes than
// len(response) are reported to the caller as ErrResponseTooLarge, never cut.
// Serving goroutines call it one request at a time each.
type Handler interface {
	ServeCall(q *Request, response []byte) (n int, status int32)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(q *Request, response []byte) (n int, status int32)

// ServeCall calls f.
func (f HandlerFunc) ServeCall(q *Request, response []byte) (int, int32) { return f(q, response) }

// ServeOptions are the choices of ServeWith.
type ServeOptions struct {
	Workers      int  // 0 or 1: the calling goroutine answers all slots; at most 16
	CopyRequests bool // hand each handler a private copy of the request
	// ThroughRestart goes on when the other side dies, so that a new one that
	// takes the region over is served, too.
	ThroughRestart bool
	// Concurrency lets handlers block: up to so many run at once, each on a goroutine of
	// its own, and the requests are not copied for that. A request that finds all of them
	// busy waits for one. 0 or 1: handlers run on the workers' goroutines, which is fastest
	// for handlers that are short. Not with PathCgo.
	//
	// A handler that panics ends Serve, as one of several workers. One that calls
	// runtime.Goexit loses its request (ErrLost), and serving goes on.
	Concurrency int
	// Streams serves streams, each on a goroutine of its own; nil: they are refused
	// (ErrType). ServeWith returns when all these goroutines have.
	Streams StreamHandler
}

// Serve answers calls with h, on the calling goroutine, until ctx ends
// (ctx.Err()), the channel is stopped (ErrStopped), or the other side closes
// (ErrPeerClosed) or dies (ErrPeerDead).
//
// A handler that does not return ends Serve, too. Its caller gets ErrLost at once,
// all other handlers return first, and the channel can be served again or closed:
//
//   - A panic reaches whoever called Serve. With one worker it passes through Serve as
//     it is; with several, in a stream's handler and with PathCgo, Serve panics with a
//     *HandlerPanic.
//   - runtime.Goexit, which testing's FailNow calls, ends the goroutine that called
//     Serve. In a stream's handler it ends that stream and nothing else. With PathCgo it
//     is forbidden: the process ends with a word about it.
func (ch *Channel) Serve(ctx context.Context, h Handler) error {
	return ch.ServeWith(ctx, h, ServeOptions{})
}

// ServeWith is Serve with options. Worker k of n answers the slots whose number is k
// modulo n. While it is in a handler, idle workers answer them, so that a call waits
// only if all workers are in handlers; workers that sleep notice within some 2 ms. With
// PathCgo a call waits for its own worker.
func (ch *Channel) ServeWith(ctx context.Context, h Handler, o ServeOptions) error {
	if o.Workers < 0 || o.Workers > libdx.ServeThreads {
		return newError(libdx.ErrInvalid, "%d workers: 1 to %d are possible", o.Workers, libdx.ServeThreads)
	}
	if o.Concurrency < 0 {
		return newError(libdx.ErrInvalid, "concurrency %d: 0 or more is possible", o.Concurrency)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := ch.enter(); err != nil {
		return err
	}
	defer func() { _ = ch.leave() }()
	if ch.path == PathCgo {
		if o.Streams != nil {
			return errStreamsByCgo
		}
		if o.Concurrency > 1 {
			return newError(libdx.ErrInvalid, "concurrency %d: PathCgo runs one handler on each worker", o.Concurrency)
		}
		return ch.serveCgo(ctx, h, o)
	}
	if err := ch.raw.ServeBegin(); err != nil {
		return ours(err)
	}
	workers := uint32(max(1, o.Workers))
	defer ch.raw.ServeEnd(workers)
	return ch.runWorkers(ctx, h, o, workers)
}

func (ch *Channel) runWorkers(ctx context.Context, h Handler, o ServeOptions, n uint32) error {
	p := &pool{ch: ch, concurrent: newConcurrency(o.Concurrency)}
	defer p.close()
	for i := range n {
		s, err := newServer(p, h, o, i, n)
		if err != nil {
			return err
		}
		p.servers = append(p.servers, s)
	}
	// The channel stays mapped until we return: stop it first, then wait for a
	// ring that may be under way.
	var ringing sync.WaitGroup
	ringing.Add(1)
	stop := context.AfterFunc(ctx, func() { defer ringing.Done(); p.end() })
	defer func() {
		if stop() {
			ringing.Done()
		}
		ringing.Wait()
	}()
	err := p.serve()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// serveCgo runs the C library's loop, which calls the handler through cgo.
func (ch *Channel) serveCgo(ctx context.Context, h Handler, o ServeOptions) error {
	stop := context.AfterFunc(ctx, ch.Stop)
	defer stop()
	var flags uint32
	if o.CopyRequests {
		flags |= libdx.ServeCopy
	}
	if o.ThroughRestart {
		flags |= libdx.ServeThroughRestart
	}
	p := &pool{ch: ch}
	err := ch.raw.ServeC(func(kind, slot uint32, request, response []byte) (n int, status int32) {
		q := Request{Data: request, Type: kind, Slot: int(slot)}
		returned := false
		defer func() {
			if !returned {
				n = p.handlerLeftToC(recover())
			}
		}()
		n, status = h.ServeCall(&q, response)
		returned = true
		if n < 0 {
			n = math.MaxInt // too much, as by PathNative
		}
		return n, status
	}, uint32(o.Workers), flags)
	p.raise()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ours(err)
}

// handlerLeftToC is handlerLeft between frames of C, which nothing may unwind.
func (p *pool) handlerLeftToC(value any) int {
	if value == nil {
		fmt.Fprintf(os.Stderr, "dx: a handler that PathCgo serves called runtime.Goexit, as testing's "+
			"FailNow does: use PathNative for such handlers\n\n%s", debug.Stack())
		os.Exit(2)
	}
	p.handlerLeft(value, false)
	return libdx.HandlerLeft
}
