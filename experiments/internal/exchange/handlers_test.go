// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A handler is never faster than it is told to be, so that the rate has a limit on any machine.
func TestHandlersTakeTheirTime(t *testing.T) {
	for _, of := range []struct {
		guest                string
		time                 time.Duration
		threads, concurrency int
	}{
		{"go", time.Millisecond, 1, 0},
		{"c", time.Millisecond, 1, 0},
		{"go", 50 * time.Microsecond, 2, 0},
		{"c", 50 * time.Microsecond, 2, 0},
		{"go", time.Millisecond, 4, 4},
	} {
		cell := mustMeasure(t, testConfig(t, func(c *Config) {
			c.Guest, c.HandlerTime, c.Threads, c.Concurrency = of.guest, of.time, of.threads, of.concurrency
			c.Duration = 50 * time.Millisecond
		}))
		atOnce := uint64(max(of.concurrency, 1))
		limit := atOnce * (uint64(cell.ElapsedNs/int64(of.time)) + 2) // what was begun before, and what ends afterwards
		if cell.Ops == 0 || cell.Ops > limit || cell.Errors != 0 || cell.VerifyFailures != 0 {
			t.Errorf("%+v: %d calls in %v, %d errors: at most %d are possible", of, cell.Ops, time.Duration(cell.ElapsedNs), cell.Errors, limit)
		}
	}
}

func TestOnlyGoHasHandlersAtOnce(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Guest, c.Concurrency = "c", 4 })
	if _, err := Measure(context.Background(), c); err == nil || !strings.Contains(err.Error(), "concurrency") {
		t.Error(err)
	}
}
