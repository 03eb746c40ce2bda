// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"time"

	"dx/libdx"
)

const (
	// The time between two attempts to attach is a part of the time waited so far: a host that
	// begins soon is found soon, and waiting long costs little.
	attachPauseMin = time.Millisecond
	attachPauseMax = 95 * time.Millisecond
	// attachThreads is how many attempts may be under way at once, in all of the process.
	// One holds an OS thread: for microseconds as a rule, for longer where the other side
	// is under another kernel or a rendezvous does not answer.
	attachThreads = 16
)

var attempts = make(chan struct{}, attachThreads)

// Attach attaches as the guest. It waits for the region to appear, for its host
// to live and for a former guest to be gone, until ctx ends, and holds no OS thread
// between its attempts. They are at most 95 ms apart. An attempt is not interrupted: where
// the other side is under another kernel or a rendezvous does not answer, the end of ctx
// is noticed up to a second or the strategy's PeerTimeoutNs later. Then the error is ctx.Err(),
// and what was missing (ErrNoPeer, ErrStale, ErrGuestExists, ErrTimeout), by errors.Is. A
// context that has ended attaches to nothing.
func Attach(ctx context.Context, url string, options Options) (*Channel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ch, err := newChannel(options)
	if err != nil {
		return nil, err
	}
	wait := libdx.WaitOf(ch.wait)
	raw, err := libdx.BeginAttach(url, &wait)
	if err != nil {
		return nil, ours(err)
	}
	defer raw.End()
	for began := time.Now(); ; {
		missing, err := ch.attachOnce(ctx, raw)
		if err != nil {
			return nil, err
		}
		if missing == nil {
			return ch.ready(nil), nil
		}
		pause := time.Since(began)
		if err := sleep(ctx, min(max(pause, attachPauseMin), attachPauseMax)); err != nil {
			return nil, &endedError{err, missing}
		}
	}
}

// attachOnce makes one attempt. missing is what it failed for and may come.
func (ch *Channel) attachOnce(ctx context.Context, raw libdx.Attaching) (missing *Error, err error) {
	select {
	case attempts <- struct{}{}:
	default:
		select {
		case attempts <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-attempts }()
	var again bool
	ch.raw, again, err = raw.Try()
	err = ours(err)
	if e, ok := err.(*Error); ok && again {
		return e, nil
	}
	return nil, err
}

// sleep sleeps for d, or until ctx ends and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
