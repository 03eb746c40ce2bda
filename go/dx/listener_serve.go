// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Serve serves all places, each on a goroutine, which holds no OS thread while it sleeps.
// Guests come and go meanwhile. handler returns the Handler of a place, and is called
// once for each. Serve returns ctx.Err() when ctx ends, or the error with which a place
// cannot be served any more, such as ErrStopped after Close. A handler that panics ends
// all of it: Serve panics with a *HandlerPanic. One that calls runtime.Goexit ends all of
// it with ErrLost.
func (l *Listener) Serve(ctx context.Context, handler func(place int) Handler, o ServeOptions) error {
	all, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for place, ch := range l.channels {
		h := handler(place)
		running.Go(func() {
			var err error = ErrLost // of a handler that calls runtime.Goexit
			defer func() {
				if value := recover(); value != nil {
					p, ok := value.(*HandlerPanic)
					if !ok {
						p = &HandlerPanic{Value: value, Stack: debug.Stack()}
					}
					err = p
				}
				stop(err)
			}()
			err = ch.serveGuests(all, h, o)
		})
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := context.Cause(all)
	if p, ok := err.(*HandlerPanic); ok {
		panic(p)
	}
	return err
}

// serveGuests serves one guest after the other, and returns why it cannot go on.
func (ch *Channel) serveGuests(ctx context.Context, h Handler, o ServeOptions) error {
	for {
		err := ch.ServeWith(ctx, h, o)
		if !errors.Is(err, ErrPeerClosed) && !errors.Is(err, ErrPeerDead) {
			return err
		}
		if err := ch.WaitPeer(ctx); err != nil {
			return fmt.Errorf("waiting for the next guest: %w", err)
		}
	}
}
