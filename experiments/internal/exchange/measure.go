// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/floor"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// The measurement alternates short stretches of dx with short stretches of the
// floor, since a virtual machine's CPUs may move closer or apart at any time.
const (
	sliceTime     = 100 * time.Millisecond
	openSliceTime = 500 * time.Millisecond // few calls, but many between two floors
	paceShare     = 4                      // of a slice: one part of so many waits for starts without calls
	floorTime     = 8 * time.Millisecond
	warmupTime    = 100 * time.Millisecond
)

// measurement is one run of one configuration.
type measurement struct {
	c     Config
	host  load
	guest peer.Process
	cpus  placement
	vm    *vmRun // nil: host and guest are processes of one kernel
	warm  bool   // calls were made before, of another kind

	began time.Time     // of the run
	begun time.Duration // of the schedule of an open loop
	paced time.Duration // the same, of its slices without calls
	// What was measured, by the distance of the two CPUs meanwhile.
	tallies map[result.Distance]*tally
}

// run warms up, measures throughput without a clock in the loop, then the
// latency of every call; or, in an open loop, all of it at once.
func (m *measurement) run(ctx context.Context) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs(m.c, m.cpus.Host)))
	if err := m.begin(); err != nil {
		return err
	}
	var err error
	if m.open() {
		err = m.part(ctx, m.c.Duration, openSliceTime, m.scheduled)
	} else {
		err = m.part(ctx, m.c.Duration, sliceTime, m.throughput)
	}
	if err != nil {
		return err
	}
	// A short part may pass without a call, where others have the CPUs.
	for again := !m.open(); again; {
		if err := m.part(ctx, m.c.Duration/2, sliceTime, m.latencies); err != nil {
			return err
		}
		all := m.all()
		again = all.timed() == 0 && all.errors == 0
	}
	return m.all().complete()
}

// whole is a run in one cell, wherever the CPUs were.
func (m *measurement) whole(ctx context.Context) (result.Cell, error) {
	if err := m.run(ctx); err != nil {
		return result.Cell{}, err
	}
	return m.cell(m.all()), nil
}

// byDistance is a run in a cell for each distance of the two CPUs that it met.
func (m *measurement) byDistance(ctx context.Context) (cells []result.Cell, err error) {
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	for _, d := range result.Distances {
		if t := m.tallies[d]; t != nil {
			cell := m.cell(t)
			cell.Distance, cell.Slices = d, t.slices
			cell.Derive()
			cells = append(cells, cell)
		}
	}
	return cells, nil
}

// all is what was measured at any distance.
func (m *measurement) all() *tally {
	sum := newTally(m.c.Threads)
	for _, t := range m.tallies {
		sum.merge(t)
	}
	return sum
}

// begin warms up.
func (m *measurement) begin() error {
	m.began = time.Now().UTC()
	m.tallies = map[result.Distance]*tally{}
	_, err := m.host.slice(m.warmup())
	return err
}

// open says that calls start by a schedule.
func (m *measurement) open() bool { return m.c.RatePerS > 0 }

// warmup lets both sides touch their memory, and the wait strategy learn: from
// calls as the ones to come, some 200 of them; half if there were others before.
func (m *measurement) warmup() stretch {
	if !m.open() {
		return stretch{d: warmupTime}
	}
	calls := 200.0
	if m.warm {
		calls /= 2
	}
	d := time.Duration(calls / m.c.RatePerS * 1e9)
	d = min(max(d, warmupTime), time.Second)
	return stretch{d: d, open: newSchedule(m.c, 0, d)}
}

// part runs measure in slices of `each` that add up to d, between floors.
func (m *measurement) part(ctx context.Context, d, each time.Duration,
	measure func(time.Duration) (*tally, error)) error {
	before, err := m.floors()
	if err != nil {
		return err
	}
	for left := d; left > 0; left -= each {
		t, err := measure(min(left, each))
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		after, err := m.floors()
		if err != nil {
			return err
		}
		m.keep(t, before, after)
		before = after
	}
	return nil
}

// keep adds a slice to those of its distance.
func (m *measurement) keep(t *tally, before, after floors) {
	distance := result.DistanceOf(before.apartNs, after.apartNs)
	t.between(before, after)
	if m.tallies[distance] == nil {
		m.tallies[distance] = newTally(m.c.Threads)
	}
	m.tallies[distance].merge(t)
}

// floors are the bare line and the bare loop at one moment; the loop has no round trips if it was not
// measured.
type floors struct {
	line, loop floor.Result
	apartNs    float64 // of a line between the two CPUs, under one kernel
}

// floors measures while the guest is stopped.
func (m *measurement) floors() (f floors, err error) {
	if err = m.guest.Pause(); err != nil {
		return f, err
	}
	if f.line, err = m.bareLoop(0); err != nil {
		return f, err
	}
	f.apartNs = f.line.RTTNs
	if m.vm != nil { // where that one crosses the boundary, and holds translated code
		here, err := floor.Measure(m.cpus.Host[0], m.cpus.Guest[0], 0, floorTime)
		if err != nil {
			return f, err
		}
		f.apartNs = here.RTTNs
	}
	if m.vm == nil || m.c.InFlight <= 1 { // the bare loop of a virtual machine has one slot
		if f.loop, err = m.bareLoop(m.c.Payload); err != nil {
			return f, err
		}
	}
	return f, m.guest.Resume()
}

// bareLoop is one floor: between the same two CPUs, and across the boundary if dx crosses it.
func (m *measurement) bareLoop(bytes int) (floor.Result, error) {
	if m.vm != nil {
		return m.vm.machine.Measure(bytes, m.vm.relax == dx.RelaxPause, floorTime)
	}
	slots := 1
	if bytes > 0 {
		slots = max(m.c.InFlight, 1)
	}
	return floor.MeasureSlots(m.cpus.Host[0], m.cpus.Guest[0], bytes, slots, floorTime)
}

func (m *measurement) throughput(d time.Duration) (*tally, error) { return m.costed(stretch{d: d}) }

// scheduled is the next slice of an open loop.
func (m *measurement) scheduled(d time.Duration) (*tally, error) {
	of := stretch{d: d, open: newSchedule(m.c, m.begun, d)}
	m.begun += d
	t, err := m.costed(of)
	if err != nil {
		return nil, err
	}
	return t, m.pacing(t, d/paceShare)
}

// pacing measures what the host's waiting for starts costs, with the guest as it is
// between calls. The guest's own time does not belong to it: it waits for calls.
func (m *measurement) pacing(t *tally, d time.Duration) error {
	of := stretch{d: d, open: newSchedule(m.c, m.paced, d)}
	of.open.noCalls = true
	m.paced += d
	before, err := ownCPUTime()
	if err != nil {
		return err
	}
	s, err := m.host.slice(of)
	if err != nil {
		return err
	}
	after, err := ownCPUTime()
	if err != nil {
		return err
	}
	t.paceCPU += after - before
	for _, n := range s.calls {
		t.paceStarts += n
	}
	return nil
}

// costed measures a slice, the CPU time that it takes, and how its waits ended.
func (m *measurement) costed(of stretch) (*tally, error) {
	t := newTally(m.c.Threads)
	waits := m.waits()
	before, err := m.cpuTime()
	if err != nil {
		return nil, err
	}
	s, err := m.host.slice(of)
	if err != nil {
		return nil, err
	}
	after, err := m.cpuTime()
	if err != nil {
		return nil, err
	}
	t.cpu, t.elapsed, t.waits = after-before, s.elapsed, m.waits().since(waits)
	copy(t.calls, s.calls)
	t.count(s)
	return t, nil
}

func (m *measurement) latencies(d time.Duration) (*tally, error) {
	t := newTally(m.c.Threads)
	s, err := m.host.slice(stretch{d: d, timed: true})
	t.count(s)
	return t, err
}

// cpuTime is what both sides have used.
func (m *measurement) cpuTime() (time.Duration, error) {
	host, guest, err := m.cpuTimes()
	return host + guest, err
}

func (m *measurement) cpuTimes() (host, guest time.Duration, err error) {
	if host, err = ownCPUTime(); err != nil {
		return 0, 0, err
	}
	guest, err = m.guest.CPUTime()
	return host, guest, err
}

func ownCPUTime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

// sides are the counters of both.
type sides struct{ host, guest dx.Stats }

func (m *measurement) waits() sides {
	if m.c.Direction == result.GuestToHost {
		return sides{m.host.stats(dx.HostServers), m.host.stats(dx.GuestCallers)}
	}
	return sides{m.host.stats(dx.HostCallers), m.host.stats(dx.GuestServers)}
}
