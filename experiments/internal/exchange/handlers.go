// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"sync"
	"time"

	"dx/experiments/internal/cload"
	"dx/experiments/internal/content"
	"dx/go/dx"
)

// handlers is how a guest answers.
type handlers struct {
	Time        time.Duration // of each, beside the copies
	Concurrency int           // in Go; 0: on the serving goroutine
}

// take takes the handler's time.
func (h handlers) take() {
	switch {
	case h.Time == 0:
	case h.Time >= cload.Sleeps:
		<-time.After(h.Time)
	default:
		for began := time.Now(); time.Since(began) < h.Time; {
		}
	}
}

// serveCalls answers calls until ctx ends or the other side goes. It copies in and out, as the bare
// loop does, so that the two can be compared.
func (h handlers) serveCalls(ctx context.Context, ch *dx.Channel, payload int) error {
	answer := func(q *dx.Request, response, buffer []byte) (int, int32) {
		n := copy(buffer, q.Data)
		if q.Type == typeVerify {
			content.Answer(buffer[:n])
		}
		h.take()
		return copy(response, buffer[:n]), 0
	}
	if h.Concurrency <= 1 {
		buffer := make([]byte, payload)
		return ch.Serve(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
			return answer(q, response, buffer)
		}))
	}
	buffers := sync.Pool{New: func() any { b := make([]byte, payload); return &b }}
	return ch.ServeWith(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		buffer := buffers.Get().(*[]byte)
		defer buffers.Put(buffer)
		return answer(q, response, *buffer)
	}), dx.ServeOptions{Concurrency: h.Concurrency})
}
