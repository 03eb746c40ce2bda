// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// Progress returns how far a call has come, and ProgressNone also after Close.
func (q *Queue) Progress(tag uint64) Progress {
	if q.begin() != nil {
		return ProgressNone
	}
	defer q.end()
	if f := q.tags.find(tag); f != nil {
		return f.progress()
	}
	return ProgressNone
}

func (f *flight) progress() Progress {
	switch {
	case f.state == flightFailed, f.state == flightSent && f.ended():
		return ProgressEnded
	case f.state == flightSent && atomic.LoadUint64(f.c.serverWord) == f.c.processingWord():
		return ProgressTakenUp
	}
	return ProgressSent
}

func (c *Caller) processingWord() uint64 {
	return word(c.epoch, libdx.ServerProcessing, c.sequence)
}

// WaitProgress flushes, then waits until a call has come as far as least: ProgressTakenUp or
// ProgressEnded. It returns how far it has come, which may be further. After ProgressTakenUp a
// cancel can no longer keep the handler from running. A handler that answers at once goes to
// ProgressEnded: a server says that it has taken up a request only if it answers later, as with
// ServeOptions.Concurrency.
func (q *Queue) WaitProgress(ctx context.Context, tag uint64, least Progress) (Progress, error) {
	if least != ProgressTakenUp && least != ProgressEnded {
		return ProgressNone, newError(libdx.ErrInvalid, "wait for progress %d: ProgressTakenUp or ProgressEnded", least)
	}
	if err := q.begin(); err != nil {
		return ProgressNone, err
	}
	defer q.end()
	f := q.tags.find(tag)
	if f == nil {
		return ProgressNone, newError(libdx.ErrInvalid, "no call with tag %d is in flight", tag)
	}
	q.watched, q.least = f, least
	defer func() { q.watched = nil }()
	for {
		q.sendGreeted()
		_ = q.lookAround(time.Now())
		if p := f.progress(); p >= least {
			return p, nil
		}
		q.wanted = 1
		err := q.sleep(ctx)
		if q.closing.Load() {
			return ProgressNone, ErrStopped
		}
		if err == nil {
			err = ctx.Err()
		}
		if p := f.progress(); err != nil && p < least {
			return p, err
		}
	}
}

// watchedArrived says whether the call whose progress is waited for has come so far, or can
// be sent now.
func (q *Queue) watchedArrived() bool {
	if q.watched.state == flightWaiting {
		return q.watched.ended()
	}
	return q.watched.progress() >= q.least
}
