// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"runtime"
	"time"

	"dx/libdx"
)

// await waits for news: spins, yields, parks.
func (s *server) await() error {
	if news, err := s.spinOn(); news || err != nil {
		return err
	}
	return s.park()
}

// spinOn looks until there is news, or until it is time to park.
func (s *server) spinOn() (news bool, err error) {
	w := &s.waiter
	w.beginSpin()
	defer w.endSpin()
	var checked time.Time
	looks, yields := uint32(0), uint32(0)
	for n := 1; w.wait.Park == libdx.ParkNever || looks < w.limit; n++ {
		slice := w.slice
		crowded := w.crowded()
		if crowded {
			slice = 1
		}
		if w.wait.Park != libdx.ParkNever {
			slice = min(slice, w.limit-looks)
		}
		// First the answers, then the books.
		if seen := s.spin(slice); seen != 0 {
			s.counters.Looks += uint64(looks + seen)
			if yields != 0 {
				s.counters.Yield++
			} else {
				s.counters.Spin++
			}
			w.adapt(0)
			return true, nil
		}
		looks += slice
		if w.wait.YieldEvery != 0 || crowded {
			yields++
			s.yield(yields)
		}
		if n%sleepersEvery == 0 {
			wakeSleepers()
			if s.lends && s.steal() {
				s.counters.Looks += uint64(looks)
				return true, nil
			}
		}
		if err := s.check(&checked); err != nil {
			return false, err
		}
	}
	s.counters.Looks += uint64(looks)
	return false, nil
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
func (s *server) park() error {
	if err := s.bell.ensure(); err != nil {
		return err
	}
	var slept time.Duration
	for limit := s.ch.sleep; ; limit = max(limit, min(2*limit, libdx.IdleSleepNs)) {
		armed := s.ch.raw.Arm(s.cell)
		// S2 <-> S1: Arm has a fence, so that this look misses nothing.
		news := s.look()
		var err error
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
		if err != nil {
			return err
		}
		if news {
			s.counters.Park++
			s.waiter.adapt(slept)
			return nil
		}
	}
}

// check looks at the peer every liveness.
func (s *server) check(checked *time.Time) error {
	if s.pool.ended.Load() || s.ch.stopped.Load() {
		return ErrStopped
	}
	now := time.Now()
	if checked.IsZero() {
		*checked = now
	}
	if now.Sub(*checked) < s.ch.liveness {
		return nil
	}
	*checked = now
	return s.checkPeer()
}

func (s *server) checkPeer() error {
	if s.pool.ended.Load() || s.ch.stopped.Load() {
		return ErrStopped
	}
	return errorOf(s.ch.raw.CheckServer(s.throughRestart))
}
