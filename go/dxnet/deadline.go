// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadline bounds the waits of one direction of a connection. It is a context whose end can
// be moved while somebody waits for it.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ended bool // for good
	now   atomic.Pointer[limit]
}

// limit is a deadline until it is moved.
type limit struct {
	at     time.Time
	passed chan struct{} // closed when it has; the same as long as nobody was told so
}

func (d *deadline) init() { d.now.Store(&limit{passed: make(chan struct{})}) }

// Deadline returns when the waits end, if they do.
func (d *deadline) Deadline() (at time.Time, ok bool) {
	at = d.now.Load().at
	return at, !at.IsZero()
}

// Done is closed when the deadline has passed.
func (d *deadline) Done() <-chan struct{} { return d.now.Load().passed }

// Err returns an error if the deadline has passed.
func (d *deadline) Err() error {
	l := d.now.Load()
	if hasPassed(l) || !l.at.IsZero() && time.Until(l.at) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Value returns nil.
func (d *deadline) Value(any) any { return nil }

func hasPassed(l *limit) bool {
	select {
	case <-l.passed:
		return true
	default:
		return false
	}
}

// set moves the deadline; none if t is zero.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.move(t)
	}
}

// end ends all waits, now and ever after.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.move(time.Unix(0, 1))
		d.ended = true
	}
}

// move is called with mu held.
func (d *deadline) move(t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	next := &limit{at: t, passed: d.now.Load().passed}
	if hasPassed(next) {
		next.passed = make(chan struct{})
	}
	d.now.Store(next)
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(next.passed)
		return
	}
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.now.Load() == next {
			close(next.passed)
		}
	})
}
