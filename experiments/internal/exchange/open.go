// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"math"
	"time"
)

// An open loop starts calls by a schedule, whether or not the ones before have
// been answered, and counts a call's time from when it was to start: a system
// that stalls cannot hide that by being asked less often meanwhile.
//
// Call number n of a measurement is to start n/rate after its begin, and is made
// by caller n modulo the number of callers. A caller that is late starts its next
// call at once.

// schedule is the part of it that lies in one slice.
type schedule struct {
	ratePerS   float64
	begin      time.Duration // of the slice, since the measurement's
	first, end uint64        // the calls that start in it: first up to but without end
	spin       time.Duration // a wait for a start ends with so much spinning
	// A slice ends so long after its begin, even if calls are left: they are missed.
	longest time.Duration
	// Starts are waited for and counted as calls, but none is made: what the waiting costs.
	noCalls bool
}

// Waiting for the starts costs CPU time as well, by the kernel's timers and by
// spinning, which says nothing about a call. Each slice is therefore followed by a
// shorter one with the same schedule and no calls.

// Ways to wait for the start of a call.
const (
	PaceSleep = "sleep" // costs next to nothing; the kernel wakes us some 10 us late
	PaceSpin  = "spin"  // on time, at the cost of a part of a CPU
)

// What remains is spun away, since no sleep is so short.
const (
	spinOfSleep = 20 * time.Microsecond
	spinOfSpin  = 200 * time.Microsecond
)

// newSchedule returns the slice of length d that begins at begin.
func newSchedule(c Config, begin, d time.Duration) *schedule {
	number := func(at time.Duration) uint64 { return uint64(math.Ceil(at.Seconds() * c.RatePerS)) }
	s := &schedule{ratePerS: c.RatePerS, begin: begin, first: number(begin), end: number(begin + d),
		spin: spinOfSleep, longest: 2 * d}
	if c.Pace == PaceSpin {
		s.spin = spinOfSpin
	}
	return s
}

// start returns when call n is to start, since the begin of the slice.
func (s *schedule) start(n uint64) time.Duration {
	return time.Duration(float64(n)/s.ratePerS*1e9) - s.begin
}

// of returns the first call of a caller in this slice, and how many it has.
func (s *schedule) of(caller, callers uint64) (first, count uint64) {
	first = s.first + (caller+callers-s.first%callers)%callers
	if first >= s.end {
		return first, 0
	}
	return first, (s.end - first + callers - 1) / callers
}

// runOpen makes this caller's calls of a slice.
func (c *goCaller) runOpen(s *schedule, began time.Time) {
	callers := uint64(len(c.load.callers))
	n, count := s.of(uint64(c.index), callers)
	for ; count > 0; count, n = count-1, n+callers {
		intended := began.Add(s.start(n))
		c.alarm.Wait(intended, s.spin, &c.load.ended)
		if c.load.ended.Load() {
			c.Missed += count
			return
		}
		if s.noCalls {
			c.Calls++
			continue
		}
		started := time.Now()
		if !c.call() {
			continue
		}
		now := time.Now()
		c.RTTNs = append(c.RTTNs, sample(now.Sub(started)))
		c.IntendedNs = append(c.IntendedNs, sample(now.Sub(intended)))
	}
}

// sample is a time as it is kept.
func sample(d time.Duration) uint32 { return uint32(min(max(d, 0), math.MaxUint32)) }
