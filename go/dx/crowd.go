// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// probeEvery is the number of calls of a caller of which one finds out how
	// long answers take.
	probeEvery = 64
	// switchTime is about what it takes to switch to another goroutine and back.
	switchTime = 160 * time.Nanosecond
	// crowdSlice is the looks between yields when switching is the better use of
	// the time.
	crowdSlice = 2
	// crowdTurns is how often all others have their turn before a caller waits as if it
	// were alone.
	crowdTurns = 4
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

// letOthersCall has the other callers make their calls, and looks for the answer when it is our turn
// again. False: it was not there yet each time.
func (c *Caller) letOthersCall(awaited uint64) bool {
	c.refill()
	for n := uint32(1); n <= crowdTurns; n++ {
		if c.turns++; c.turns%sleepersEvery == 0 {
			wakeSleepers()
		}
		runtime.Gosched()
		// A3 <- R3: the response is there when the word is.
		if atomic.LoadUint64(c.serverWord) == awaited {
			c.counters.Yield++
			c.counters.Yields += uint64(n)
			c.counters.Looks += uint64(n)
			return true
		}
	}
	c.counters.Yields += crowdTurns
	c.counters.Looks += crowdTurns
	return false
}

// endTurn lets others call. Goroutines are not preempted for 10 ms: without this
// one of them would have the CPU to itself for thousands of calls. The only
// caller of a channel does not do it as often.
func (c *Caller) endTurn() {
	if c.refill(); c.ch.crowd.callers.Load() == 1 {
		c.burst = burstsKept * c.fullBurst
	}
	c.counters.Yields++
	runtime.Gosched()
	if c.turns++; c.turns%sleepersEvery == 0 {
		wakeSleepers()
	}
}

// refill gives the calls of another turn. One that had to end early leaves its
// rest to the next (deficit round robin): else a slot whose answers take a little
// longer, so that its caller yields where others just do not, would get a
// fraction of the calls. Where all yield in each call, no rest is kept.
func (c *Caller) refill() {
	if c.ch.crowd.yields() {
		c.burst = c.fullBurst
		return
	}
	c.burst = min(c.burst+c.fullBurst, burstsKept*c.fullBurst)
}
