// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"runtime"
	"time"

	"dx/libdx"
)

// A serving goroutine is a source of its waiter, and parks alone.

func (s *server) turn(n, looks uint32, crowded bool) uint32 {
	seen := s.spin(looks)
	if seen == 0 && s.waiter.yields(crowded) {
		s.yield(n)
	}
	return seen
}

// between looks at what others have given back, which spinning does not see; at what other
// workers have; and every liveness at the peer.
func (s *server) between(n uint32) (done bool, err error) {
	if s.anyReturned.Load() {
		return true, nil
	}
	if n%sleepersEvery == 0 && s.lends && s.steal() {
		return true, nil
	}
	if s.pool.ended.Load() || s.ch.stopped.Load() {
		return false, ErrStopped
	}
	if !s.waiter.due(s.ch.liveness) {
		return false, nil
	}
	return false, s.checkPeer()
}

// yield gives the CPU away: to another process mostly, as a serving goroutine
// has its P to itself in the common case.
func (s *server) yield(n uint32) {
	s.counters.Yields++
	if n%2 == 0 {
		runtime.Gosched()
		return
	}
	yieldThread()
}

// park sleeps in the server's cell until there is news.
func (s *server) park() (slept time.Duration, err error) {
	if err := s.bell.ensure(); err != nil {
		return 0, err
	}
	for limit := s.ch.sleep; ; limit = max(limit, min(2*limit, libdx.IdleSleepNs)) {
		armed := s.ch.raw.Arm(s.cell)
		// S2 <-> S1: Arm has a fence, so that this look misses nothing.
		news := s.look()
		if !news {
			// Behind the announcement, because whoever stops or closes rings those
			// who are announced.
			err = s.checkPeer()
		}
		if !news && err == nil {
			s.counters.Parks++
			began := time.Now()
			longest := min(limit, time.Duration(s.ch.wait.ParkTimeoutNs))
			rung := s.bell.wait(armed, longest)
			asleep := time.Since(began)
			slept += asleep
			s.counters.ParkNs += uint64(asleep)
			news = s.look()
			switch {
			case rung && news:
				s.bell.foundNews()
			case rung:
				s.counters.Spurious++
			}
			if !rung && news && asleep >= longest && libdx.ArmedPark(armed) != libdx.ParkPoll {
				s.counters.Rescued++
			}
		}
		s.ch.raw.Disarm(s.cell, armed)
		if news || err != nil {
			return slept, err
		}
	}
}

func (s *server) checkPeer() error {
	if s.pool.ended.Load() || s.ch.stopped.Load() {
		return ErrStopped
	}
	return errorOf(s.ch.raw.CheckServer(s.throughRestart))
}
