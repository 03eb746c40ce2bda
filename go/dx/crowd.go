// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// probeEvery is the number of calls of a caller of which one finds out how
	// long answers take.
	probeEvery = 64
	// switchTime is about what it takes to switch to another goroutine and back.
	switchTime = 250 * time.Nanosecond
	// crowdSlice is the looks between yields when switching is the better use of
	// the time.
	crowdSlice = 2
	// heldTurns is how many turns each caller has before the crowd changes its mind
	// again. A turn has one call when callers yield and a burst of calls when they
	// spin: a crowd that changed its mind at the same place of each round would
	// give the callers behind that place the longer turns for ever.
	heldTurns = 8
	// burstMost bounds a burst, in calls; far more than are made in 10 ms.
	burstMost = 1 << 20
	// scale keeps fractions of a look.
	scale = 256
)

// crowd decides for all callers of a channel alike (else those who spin would
// starve those who yield) what to do until an answer comes. Alone, or if answers
// come faster than another goroutine could be switched to: spin. Otherwise the
// others have time for their calls: yield at once.
type crowd struct {
	callers atomic.Int32  // open ones
	average atomic.Uint32 // looks that an answer took lately, times scale
	once    sync.Once     // guards most and burst
	most    uint32        // more looks than this take longer than switching
	on      atomic.Bool
	held    atomic.Uint32 // probes since on was changed
	burst   uint32        // calls of a turn
}

// init is told how long so many looks take, and the calls of a burst.
func (c *crowd) init(looks uint32, time time.Duration, burst uint32) {
	c.once.Do(func() {
		c.burst = min(burst, burstMost)
		if time > 0 {
			c.most = uint32(uint64(looks) * uint64(switchTime) / uint64(time))
		}
	})
}

func (c *crowd) yields() bool { return c.on.Load() }

// probe takes note of how many looks an answer took, 0 meaning more than limit.
// Callers that probe at once may lose one note of the two.
func (c *crowd) probe(looks, limit uint32) {
	if looks == 0 {
		looks = limit
	}
	average := (7*c.average.Load() + scale*looks) / 8
	c.average.Store(average)
	callers := uint32(c.callers.Load())
	if callers < 2 {
		c.on.Store(false)
		return
	}
	if held := c.held.Add(1); uint64(held)*probeEvery < heldTurns*uint64(callers)*uint64(max(1, c.burst)) {
		return
	}
	// Some way apart, so that it does not change its mind all the time.
	switch {
	case average > scale*(c.most+c.most/4):
		c.change(true)
	case average < scale*(c.most-c.most/4):
		c.change(false)
	}
}

func (c *crowd) change(on bool) {
	if c.on.Swap(on) != on {
		c.held.Store(0)
	}
}

// firstLooks is how many looks to take at first in the call with this sequence number.
func (c *crowd) firstLooks(sequence, alone uint32) uint32 {
	if sequence%probeEvery == 0 || !c.on.Load() {
		return alone
	}
	return min(crowdSlice, alone)
}
