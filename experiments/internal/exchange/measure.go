// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/floor"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
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

	began          time.Time     // of the run
	begun          time.Duration // of the schedule of an open loop
	paced          time.Duration // the same, of its slices without calls
	calls          []uint64
	elapsed        time.Duration
	cpu            time.Duration
	paceCPU        time.Duration // of the host, for so many starts without a call
	paceStarts     uint64
	errors         uint64
	timeouts       uint64
	verifyFailures uint64
	dropped        uint64
	missed         uint64
	latency        *stat.Latency
	intended, late *stat.Latency // of an open loop
	floorNs        meanRTT
	bareNs         meanRTT
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

// run warms up, measures throughput without a clock in the loop, then the
// latency of every call; or, in an open loop, all of it at once.
func (m *measurement) run(ctx context.Context) (result.Cell, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs(m.c, m.cpus.Host)))
	if err := m.begin(); err != nil {
		return result.Cell{}, err
	}
	before := m.waits()
	var err error
	if m.open() {
		err = m.part(ctx, m.c.Duration, openSliceTime, m.scheduled)
	} else {
		err = m.part(ctx, m.c.Duration, sliceTime, m.throughput)
	}
	if err != nil {
		return result.Cell{}, err
	}
	waits := m.waits().since(before)
	// A short part may pass without a call, where others have the CPUs.
	for again := !m.open(); again; again = m.latency.Count() == 0 && m.errors == 0 {
		if err := m.part(ctx, m.c.Duration/2, sliceTime, m.latencies); err != nil {
			return result.Cell{}, err
		}
	}
	if m.dropped > 0 {
		return result.Cell{}, fmt.Errorf("%d round trips could not be kept: take a shorter -duration", m.dropped)
	}
	return m.cell(waits), nil
}

// begin warms up.
func (m *measurement) begin() error {
	m.began = time.Now().UTC()
	m.calls = make([]uint64, m.c.Threads)
	m.latency, m.intended, m.late = stat.NewLatency(), stat.NewLatency(), stat.NewLatency()
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
	measure func(time.Duration) error) error {
	if err := m.floors(); err != nil {
		return err
	}
	for left := d; left > 0; left -= each {
		if err := measure(min(left, each)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.floors(); err != nil {
			return err
		}
	}
	return nil
}

// floors measures the bare line and the bare loop while the guest is stopped.
func (m *measurement) floors() error {
	if err := m.guest.Pause(); err != nil {
		return err
	}
	line, err := m.bareLoop(0)
	if err != nil {
		return err
	}
	m.floorNs.add(line)
	if m.vm == nil || m.c.InFlight <= 1 { // the bare loop of a virtual machine has one slot
		loop, err := m.bareLoop(m.c.Payload)
		if err != nil {
			return err
		}
		m.bareNs.add(loop)
	}
	return m.guest.Resume()
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

func (m *measurement) throughput(d time.Duration) error { return m.costed(stretch{d: d}) }

// scheduled is the next slice of an open loop.
func (m *measurement) scheduled(d time.Duration) error {
	of := stretch{d: d, open: newSchedule(m.c, m.begun, d)}
	m.begun += d
	if err := m.costed(of); err != nil {
		return err
	}
	return m.pacing(d / paceShare)
}

// pacing measures what the host's waiting for starts costs, with the guest as it is
// between calls. The guest's own time does not belong to it: it waits for calls.
func (m *measurement) pacing(d time.Duration) error {
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
	m.paceCPU += after - before
	for _, n := range s.calls {
		m.paceStarts += n
	}
	return nil
}

// costed measures a slice and the CPU time that it takes.
func (m *measurement) costed(of stretch) error {
	before, err := m.cpuTime()
	if err != nil {
		return err
	}
	s, err := m.host.slice(of)
	if err != nil {
		return err
	}
	after, err := m.cpuTime()
	if err != nil {
		return err
	}
	m.cpu += after - before
	m.elapsed += s.elapsed
	for i, n := range s.calls {
		m.calls[i] += n
	}
	m.count(s)
	return nil
}

func (m *measurement) latencies(d time.Duration) error {
	s, err := m.host.slice(stretch{d: d, timed: true})
	if err != nil {
		return err
	}
	m.count(s)
	return nil
}

// count adds up the times, and what went wrong, in all parts.
func (m *measurement) count(s slice) {
	m.errors += s.errors
	m.timeouts += s.timeouts
	m.verifyFailures += s.verifyFailures
	m.dropped += s.dropped
	m.missed += s.missed
	if s.latency != nil {
		m.latency.Merge(s.latency)
	}
	if s.intended != nil {
		m.intended.Merge(s.intended)
		m.late.Merge(s.late)
	}
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

func (m *measurement) cell(waits result.Waits) result.Cell {
	cell := result.Cell{
		Time: m.began, Threads: m.c.Threads, InFlight: m.c.InFlight, PayloadBytes: m.c.Payload,
		HandlerNs: int64(m.c.HandlerTime), Concurrency: m.c.Concurrency,
		Direction: result.Direction(m.c.Direction), Host: m.c.Host, Guest: m.c.Guest, Path: m.c.Path, Transport: m.c.Transport,
		ElapsedNs: int64(m.elapsed), FloorRTTNs: m.floorNs.value(), BareRTTNs: m.bareNs.value(),
		Errors: m.errors, Timeouts: m.timeouts, Verified: m.c.Verify,
		VerifyFailures: m.verifyFailures, Waits: waits, Wait: m.c.Wait,
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
	slowest, fastest := m.calls[0], m.calls[0]
	for _, n := range m.calls {
		cell.Ops += n
		slowest, fastest = min(slowest, n), max(fastest, n)
	}
	if fastest > 0 {
		cell.CPUSPerMop = new(m.cpu.Seconds() / float64(cell.Ops) * 1e6)
	}
	if m.open() {
		cell.RatePerS, cell.Pace, cell.Missed = &m.c.RatePerS, m.c.Pace, m.missed
		cell.SetIntended(m.intended, m.late)
		if m.paceStarts > 0 {
			cell.PaceCPUSPerMop = new(m.paceCPU.Seconds() / float64(m.paceStarts) * 1e6)
		}
	} else if fastest > 0 { // in an open loop the schedule says who makes how many calls
		cell.Fairness = new(float64(slowest) / float64(fastest))
	}
	cell.Derive()
	cell.SetLatency(m.latency)
	return cell
}
