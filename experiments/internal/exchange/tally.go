// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"fmt"
	"time"

	"dx/experiments/internal/floor"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
	"dx/go/dx"
)

// tally adds up what slices measured.
type tally struct {
	slice      // the sum; of timed calls only what went wrong and the times
	cpu        time.Duration
	paceCPU    time.Duration // of the host, for so many starts without a call
	paceStarts uint64
	waits      result.Waits
	line, loop meanRTT // of the floors before and after
	slices     []result.Slice
}

func newTally(callers int) *tally { return &tally{slice: slice{calls: make([]uint64, callers)}} }

// addTimes adds times to those that there are.
func addTimes(to **stat.Latency, more *stat.Latency) {
	switch {
	case more == nil:
	case *to == nil:
		*to = stat.NewLatency()
		fallthrough
	default:
		(*to).Merge(more)
	}
}

// timed is how many calls were timed.
func (t *tally) timed() uint64 {
	if t.latency == nil {
		return 0
	}
	return t.latency.Count()
}

// meanRTT adds up floors, each weighing its time.
type meanRTT struct {
	elapsed time.Duration
	loops   uint64
}

func (m *meanRTT) add(r floor.Result) {
	m.elapsed += r.Elapsed
	m.loops += r.Loops
}

func (m *meanRTT) value() *float64 {
	if m.loops == 0 {
		return nil
	}
	return new(float64(m.elapsed) / float64(m.loops))
}

// count adds up the times, and what went wrong, in all parts.
func (t *tally) count(s slice) {
	t.errors += s.errors
	t.timeouts += s.timeouts
	t.verifyFailures += s.verifyFailures
	t.dropped += s.dropped
	t.missed += s.missed
	addTimes(&t.latency, s.latency)
	addTimes(&t.intended, s.intended)
	addTimes(&t.late, s.late)
}

// between says of one slice which floors were measured before and after it.
func (t *tally) between(before, after floors) {
	for _, f := range []floors{before, after} {
		t.line.add(f.line)
		t.loop.add(f.loop)
	}
	if t.elapsed == 0 {
		return // it timed calls, which are no rate
	}
	s := result.Slice{ElapsedNs: int64(t.elapsed), FloorBeforeNs: before.line.RTTNs, FloorAfterNs: after.line.RTTNs,
		BareBeforeNs: before.loop.RTTNs, BareAfterNs: after.loop.RTTNs}
	for _, n := range t.calls {
		s.Ops += n
	}
	t.slices = append(t.slices, s)
}

// merge adds another tally.
func (t *tally) merge(o *tally) {
	for i, n := range o.calls {
		t.calls[i] += n
	}
	t.elapsed += o.elapsed
	t.cpu += o.cpu
	t.paceCPU += o.paceCPU
	t.paceStarts += o.paceStarts
	t.count(o.slice)
	t.waits.Add(o.waits)
	t.line.elapsed += o.line.elapsed
	t.line.loops += o.line.loops
	t.loop.elapsed += o.loop.elapsed
	t.loop.loops += o.loop.loops
	t.slices = append(t.slices, o.slices...)
}

// complete is an error if times of round trips are missing.
func (t *tally) complete() error {
	if t.dropped > 0 {
		return fmt.Errorf("%d round trips could not be kept: take a shorter -duration", t.dropped)
	}
	return nil
}

func (s sides) since(before sides) result.Waits {
	return result.Waits{Host: counted(before.host, s.host), Guest: counted(before.guest, s.guest)}
}

func counted(before, after dx.Stats) *result.WaitCounts {
	return &result.WaitCounts{
		Spin:      after.Spin - before.Spin,
		Yield:     after.Yield - before.Yield,
		Park:      after.Park - before.Park,
		Looks:     after.Looks - before.Looks,
		Parks:     after.Parks - before.Parks,
		Spurious:  after.Spurious - before.Spurious,
		Rings:     after.Rings - before.Rings,
		Rescued:   after.Rescued - before.Rescued,
		Yields:    after.Yields - before.Yields,
		SpinLimit: after.SpinLimit,
	}
}

// cell is what a line of the results says of a tally.
func (m *measurement) cell(t *tally) result.Cell {
	cell := result.Cell{
		Time: m.began, Threads: m.c.Threads, InFlight: m.c.InFlight, PayloadBytes: m.c.Payload,
		HandlerNs: int64(m.c.HandlerTime), Concurrency: m.c.Concurrency,
		Direction: result.Direction(m.c.Direction), Host: m.c.Host, Guest: m.c.Guest, Path: m.c.Path, Transport: m.c.Transport,
		ElapsedNs: int64(t.elapsed), FloorRTTNs: t.line.value(), BareRTTNs: t.loop.value(),
		Errors: t.errors, Timeouts: t.timeouts, Verified: m.c.Verify,
		VerifyFailures: t.verifyFailures, Waits: t.waits, Wait: m.c.Wait,
		Park: m.host.park().String(), Pinning: m.cpus.String(), LockOSThread: m.c.LockOSThread, DurationNs: int64(m.c.Duration),
	}
	if m.c.Host == "c" && m.c.Guest == "c" {
		cell.Path = "c"
	} else {
		cell.Procs = procs(m.c, m.cpus.Host)
	}
	if m.vm != nil {
		cell.Accelerator, cell.GuestRelax = m.vm.machine.Accelerator(), m.vm.relax.String()
	}
	slowest, fastest := t.calls[0], t.calls[0]
	for _, n := range t.calls {
		cell.Ops += n
		slowest, fastest = min(slowest, n), max(fastest, n)
	}
	if fastest > 0 {
		cell.CPUSPerMop = new(t.cpu.Seconds() / float64(cell.Ops) * 1e6)
	}
	if m.open() {
		cell.RatePerS, cell.Pace, cell.Missed = &m.c.RatePerS, m.c.Pace, t.missed
		if t.intended != nil {
			cell.SetIntended(t.intended, t.late)
		}
		if t.paceStarts > 0 {
			cell.PaceCPUSPerMop = new(t.paceCPU.Seconds() / float64(t.paceStarts) * 1e6)
		}
	} else if fastest > 0 { // in an open loop the schedule says who makes how many calls
		cell.Fairness = new(float64(slowest) / float64(fastest))
	}
	cell.Derive()
	if t.latency != nil {
		cell.SetLatency(t.latency)
	}
	return cell
}
