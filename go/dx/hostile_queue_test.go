// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"
)

const hostileDepth = 2 // calls in flight of one goroutine

// hostileQueue is a queue that is attacked, and what it waits for: the start of each call, by its tag.
type hostileQueue struct {
	*Queue
	y      *hostileTally
	p      *hostilePeer
	sent   map[uint64]time.Time
	number uint64
}

// queueOn has calls in flight on a queue that it renews now and then, until told otherwise.
func (y *hostileTally) queueOn(ch *Channel, p *hostilePeer, number uint64, enough <-chan struct{}) {
	for {
		queue, err := ch.OpenQueue(hostileDepth)
		if err != nil {
			y.cannotBe("no queue: %v", err)
			return
		}
		q := &hostileQueue{Queue: queue, y: y, p: p, sent: map[uint64]time.Time{}, number: number}
		for range 64 {
			select {
			case <-enough:
				_ = q.Close()
				return
			default:
				q.round()
			}
		}
		number = q.number
		if err := q.Close(); err != nil {
			y.cannotBe("a queue is closed with %v", err)
		}
	}
}

// fill submits what there is a slot for. Some calls are watched, some are given up.
func (q *hostileQueue) fill(ctx context.Context) {
	for len(q.sent) < hostileDepth {
		q.number++
		err := q.Submit(q.number, TypeUser, hostileRequest(q.number), q.y.timeout)
		if errors.Is(err, ErrNoSlot) {
			return
		}
		if err != nil {
			q.y.cannotBe("a call is submitted with %v", err)
			return
		}
		q.sent[q.number] = time.Now()
		if q.y.attacked() && q.number%5 == 1 {
			if _, err := q.WaitProgress(ctx, q.number, ProgressTakenUp); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				q.y.cannotBe("a call is watched with %v", err)
			}
		}
		if q.y.attacked() && q.number%7 == 1 {
			if err := q.Cancel(q.number); err != nil {
				q.y.cannotBe("a call is given up with %v", err)
			}
		}
	}
}

func (q *hostileQueue) round() {
	ctx, cancel := context.WithTimeout(context.Background(), q.y.timeout)
	defer cancel()
	q.fill(ctx)
	if q.InFlight() == 0 {
		if err := q.WaitSlot(ctx); !hostileMayEndWith(err) {
			q.y.cannotBe("a slot is waited for with %v", err)
		}
		q.awaitHeld()
	}
	var done [hostileDepth]Completion
	n, err := q.Wait(ctx, 1, done[:])
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		q.y.cannotBe("completions are waited for with %v", err)
	}
	for i := range n {
		q.judge(&done[i])
	}
}

// judge says what came of a call, each of which ends once.
func (q *hostileQueue) judge(done *Completion) {
	began, ok := q.sent[done.Tag]
	if !ok {
		q.y.cannotBe("call %d ended, which was not in flight", done.Tag)
	}
	delete(q.sent, done.Tag)
	if time.Since(began) > q.y.timeout+hostileMargin {
		q.y.late.Add(1)
	}
	if !hostileMayEndWith(done.Err) {
		q.y.cannotBe("a call of a queue ended with %v", done.Err)
	}
	request := hostileRequest(done.Tag)
	expected := make([]byte, len(request))
	switch status := hostileAnswer(request, expected); {
	case done.Err != nil:
		q.y.fail("a call of a queue", done.Err, began)
	case len(done.Reply.Data) > hostileCapacity:
		q.y.cannotBe("an answer of %d bytes", len(done.Reply.Data))
	case bytes.Equal(bytes.Clone(done.Reply.Data), expected) && done.Reply.Status == status:
		q.y.queued.Add(1)
	default:
		q.y.wrong.Add(1)
	}
	q.p.await(done.flight.c, done.Err)
	if err := q.Seen(done); err != nil {
		q.y.cannotBe("a completion is given back with %v", err)
	}
}

// awaitHeld says which words would let go of slots whose calls were given up.
func (q *hostileQueue) awaitHeld() {
	for _, f := range q.held {
		q.p.await(f.c, ErrCancelled)
	}
}

func hostileRequest(number uint64) []byte {
	request := make([]byte, 8+number*31%(hostileCapacity-8))
	binary.LittleEndian.PutUint64(request, number)
	return request
}
