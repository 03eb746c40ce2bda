// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"time"

	"dx/experiments/internal/content"
	"dx/go/dx"
)

// queueLoad keeps calls in flight for one goroutine; a tag is an index of these.
type queueLoad struct {
	*dx.Queue
	sequences []uint64
	began     []time.Time
	done      []dx.Completion
}

func openQueueLoad(ch *dx.Channel, depth int) (*queueLoad, error) {
	q, err := ch.OpenQueue(depth)
	return &queueLoad{Queue: q, sequences: make([]uint64, depth), began: make([]time.Time, depth),
		done: make([]dx.Completion, depth)}, err
}

// runQueue follows each answer with the next submission, and ends with nothing in flight.
func (c *goCaller) runQueue(timed bool) {
	q := c.queue
	for tag := range q.sequences {
		c.submit(uint64(tag), timed)
	}
	for n := 1; n != 0; {
		var err error
		if n, err = q.Wait(context.Background(), 1, q.done); err != nil {
			c.failed(err)
		}
		for i := range n {
			done := &q.done[i]
			c.finish(done, timed)
			_ = q.Seen(done)
			if !c.load.ended.Load() {
				c.submit(done.Tag, timed)
			}
		}
	}
}

func (c *goCaller) submit(tag uint64, timed bool) {
	q := c.queue
	kind := uint32(typeEcho)
	if c.verify {
		kind = typeVerify
		c.sequence++
		q.sequences[tag] = c.sequence
		content.Fill(c.request, c.index, c.sequence)
	}
	if timed {
		q.began[tag] = time.Now()
	}
	if err := q.Submit(tag, kind, c.request, -1); err != nil {
		c.failed(err)
	}
}

// finish copies the answer out, as a blocking call does.
func (c *goCaller) finish(done *dx.Completion, timed bool) {
	if done.Err != nil {
		c.failed(done.Err)
		return
	}
	n := copy(c.response, done.Data)
	if timed {
		c.keep(time.Since(c.queue.began[done.Tag]))
	}
	c.Calls++
	if c.verify && (n != len(done.Data) ||
		!content.IsAnswer(c.response[:n], len(c.request), c.index, c.queue.sequences[done.Tag])) {
		c.VerifyFailures++
	}
}
