// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"dx/experiments/internal/floor"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
	"dx/experiments/peers/contract"
)

// A measurement alternates short stretches of calls with the floors: a virtual machine's CPUs may move
// closer or apart at any time.
const (
	sliceTime     = 100 * time.Millisecond
	openSliceTime = 500 * time.Millisecond // few calls, but many between two floors
	paceShare     = 4                      // of a slice of a schedule: one part of so many waits for starts without calls
	floorTime     = 8 * time.Millisecond
	starvedMax    = 10 // measurements of a floor, of five seconds each, until one succeeds
)

// measuring is what all visits share.
type measuring struct {
	c      config
	w      writers
	bar    *progress.Bar
	peers  []peerKind
	made   map[*program][]string
	cpus   cpus
	commit string
	l      *log
	// together puts both sides on the client's CPUs.
	together bool
}

// writers keep what was measured as soon as it was.
type writers struct{ cells, out, idle *result.Writer }

const leftOutName = "left_out.jsonl"

func openWriters(dir string) (w writers, err error) {
	if w.cells, err = result.OpenWriter(dir); err != nil {
		return w, err
	}
	if w.out, err = result.OpenLog(filepath.Join(dir, leftOutName)); err != nil {
		return w, errors.Join(err, w.cells.Close())
	}
	if w.idle, err = result.OpenLog(filepath.Join(dir, idleName)); err != nil {
		return w, errors.Join(err, w.cells.Close(), w.out.Close())
	}
	return w, nil
}

func (w writers) close() error { return errors.Join(w.cells.Close(), w.out.Close(), w.idle.Close()) }

// visit measures one peer by one pair of processes. A peer that fails is left out of such visits from
// then on; only what is ours to fail is an error.
func (m *measuring) visit(ctx context.Context, p peerKind, v visit, run int) error {
	for _, o := range m.l.out {
		if o.Peer == p.name && o.Threads == v.threads && o.Payload == v.payload {
			return nil
		}
	}
	m.bar.Describe(fmt.Sprintf("run %d of %d, %s, %s, %s", run, m.c.runs, p.name, result.Callers(v.threads), result.FormatBytes(v.payload)))
	cells, err := m.measure(ctx, p, v, run)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		var c cannot
		return m.leaveOut(leftOut{Peer: p.name, Threads: v.threads, Payload: v.payload, Why: err.Error(), Failed: !errors.As(err, &c)})
	}
	for _, cell := range cells {
		cell.Experiment, cell.Run, cell.EnvCommit = "peers", run, m.commit
		if err := m.w.cells.Write(cell); err != nil {
			return err
		}
		m.l.cells = append(m.l.cells, cell)
	}
	return nil
}

// measure is a visit.
func (m *measuring) measure(ctx context.Context, p peerKind, v visit, run int) (cells []result.Cell, err error) {
	on := m.cpus
	if m.together {
		on.Guest = on.Host
	}
	pair, err := startPair(ctx, m.made[p.program], p.way, v, on)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pair.stop()) }()
	if _, err := pair.carryOut(ctx, contract.Order{Duration: min(p.warmup, 4*m.c.duration+warmup)}); err != nil {
		return nil, err
	}
	for _, rate := range append([]float64{0}, v.rates...) {
		s := series{m: m, pair: pair, kind: p, v: v, rate: rate, began: time.Now().UTC(), tallies: map[result.Distance]*tally{}}
		if err := s.run(ctx); err != nil {
			return nil, err
		}
		cells = append(cells, s.cells()...)
	}
	if v.idle && run <= m.c.idleRuns {
		return cells, m.idle(ctx, pair, p, run)
	}
	return cells, nil
}

// series is a closed loop, or one schedule, of a visit.
type series struct {
	m       *measuring
	pair    *pair
	kind    peerKind
	v       visit
	rate    float64
	began   time.Time
	tallies map[result.Distance]*tally
}

// tally is what was measured at one distance of the CPUs.
type tally struct {
	calls                    []uint64 // of each caller, of the slices for the rate
	elapsed, cpu, paceCPU    time.Duration
	paceStarts               uint64
	errors, wrong, missed    uint64
	roundTrips, fromIntended *stat.Latency
	line, loop               mean
	slices                   []result.Slice
}

// mean is a time over many round trips.
type mean struct {
	elapsed time.Duration
	loops   uint64
}

func (m *mean) add(r floor.Result) { m.elapsed, m.loops = m.elapsed+r.Elapsed, m.loops+r.Loops }

func (m mean) value() *float64 {
	if m.loops == 0 {
		return nil
	}
	return new(float64(m.elapsed) / float64(m.loops))
}

// run measures the rate without a clock in the loop, and then the time of each call; or both by a
// schedule.
func (s *series) run(ctx context.Context) error {
	d := s.m.c.duration
	if s.rate > 0 {
		return s.part(ctx, d, openSliceTime, contract.Order{Timed: true, RatePerS: s.rate})
	}
	if err := s.part(ctx, d, sliceTime, contract.Order{}); err != nil {
		return err
	}
	return s.part(ctx, d/2, sliceTime, contract.Order{Timed: true})
}

// part gives orders that add up to d. Short ones may pass without a call, where others have the CPUs: then
// it gives them again.
func (s *series) part(ctx context.Context, d, each time.Duration, o contract.Order) error {
	for {
		made, err := s.once(ctx, d, each, o)
		if made > 0 || err != nil {
			return err
		}
	}
}

// once gives orders that add up to d, between floors, and returns how many calls ended.
func (s *series) once(ctx context.Context, d, each time.Duration, o contract.Order) (made uint64, err error) {
	before, err := s.floors()
	if err != nil {
		return made, err
	}
	for left := d; left > 0; left -= each {
		o.Duration = min(left, each)
		t, err := s.slice(ctx, o)
		if err != nil {
			return made, err
		}
		after, err := s.floors()
		if err != nil {
			return made, err
		}
		made += t.errors
		for _, n := range t.calls {
			made += n
		}
		s.keep(t, o, before, after)
		before = after
	}
	return made, nil
}

// floors are the bare line and the bare loop at one moment.
type floors struct{ line, loop floor.Result }

// floors are measured while both sides are stopped.
func (s *series) floors() (f floors, err error) {
	if err := s.pair.pause(); err != nil {
		return f, err
	}
	if f.line, err = s.bareLoop(0); err != nil {
		return f, err
	}
	if f.loop, err = s.bareLoop(s.v.payload); err != nil {
		return f, err
	}
	return f, s.pair.resume()
}

// bareLoop tries again where other programs kept a CPU busy all the time: that is no failure of a peer.
func (s *series) bareLoop(bytes int) (r floor.Result, err error) {
	for range starvedMax {
		if r, err = floor.Measure(s.m.cpus.Host[0], s.m.cpus.Guest[0], bytes, floorTime); err == nil {
			return r, nil
		}
	}
	return r, err
}

// slice is one order, and what it costs.
func (s *series) slice(ctx context.Context, o contract.Order) (*tally, error) {
	r, cpu, err := s.costed(ctx, o)
	if err != nil {
		return nil, err
	}
	t := &tally{calls: r.Calls, elapsed: time.Duration(r.ElapsedNs), cpu: cpu, errors: r.Errors, wrong: r.Wrong, missed: r.Missed,
		roundTrips: latency(r.RoundTrips), fromIntended: latency(r.FromIntended)}
	if o.RatePerS == 0 {
		return t, nil
	}
	// The time of waiting for the starts says nothing of a call: another slice has them and no calls.
	o.NoCalls, o.Duration = true, o.Duration/paceShare
	before, err := s.pair.client.CPUTime()
	if err != nil {
		return nil, err
	}
	paced, err := s.pair.carryOut(ctx, o)
	if err != nil {
		return nil, err
	}
	after, err := s.pair.client.CPUTime()
	t.paceCPU = after - before
	for _, n := range paced.Calls {
		t.paceStarts += n
	}
	return t, err
}

func (s *series) costed(ctx context.Context, o contract.Order) (contract.Report, time.Duration, error) {
	before, err := s.pair.cpuTime()
	if err != nil {
		return contract.Report{}, 0, err
	}
	r, err := s.pair.carryOut(ctx, o)
	if err != nil {
		return r, 0, err
	}
	if len(r.Calls) != s.v.threads {
		return r, 0, fmt.Errorf("the client's report has %d callers", len(r.Calls))
	}
	after, err := s.pair.cpuTime()
	return r, after - before, err
}

// latency makes a histogram of a report's times.
func latency(pairs [][2]uint64) *stat.Latency {
	l := stat.NewLatency()
	for _, p := range pairs {
		l.RecordMany(int64(p[0]), p[1])
	}
	return l
}

// keep adds a slice to those of its distance.
func (s *series) keep(t *tally, o contract.Order, before, after floors) {
	if o.Timed && o.RatePerS == 0 { // of a closed loop it tells times and no rate
		t.calls, t.elapsed, t.cpu = make([]uint64, len(t.calls)), 0, 0
	} else {
		slice := result.Slice{ElapsedNs: int64(t.elapsed), FloorBeforeNs: before.line.RTTNs, FloorAfterNs: after.line.RTTNs,
			BareBeforeNs: before.loop.RTTNs, BareAfterNs: after.loop.RTTNs}
		for _, n := range t.calls {
			slice.Ops += n
		}
		t.slices = append(t.slices, slice)
	}
	for _, f := range []floors{before, after} {
		t.line.add(f.line)
		t.loop.add(f.loop)
	}
	distance := result.DistanceOf(before.line.RTTNs, after.line.RTTNs)
	if sum := s.tallies[distance]; sum != nil {
		sum.merge(t)
		return
	}
	s.tallies[distance] = t
}

func (t *tally) merge(o *tally) {
	for i, n := range o.calls {
		t.calls[i] += n
	}
	t.elapsed, t.cpu, t.paceCPU, t.paceStarts = t.elapsed+o.elapsed, t.cpu+o.cpu, t.paceCPU+o.paceCPU, t.paceStarts+o.paceStarts
	t.errors, t.wrong, t.missed = t.errors+o.errors, t.wrong+o.wrong, t.missed+o.missed
	t.roundTrips.Merge(o.roundTrips)
	t.fromIntended.Merge(o.fromIntended)
	t.line.elapsed, t.line.loops = t.line.elapsed+o.line.elapsed, t.line.loops+o.line.loops
	t.loop.elapsed, t.loop.loops = t.loop.elapsed+o.loop.elapsed, t.loop.loops+o.loop.loops
	t.slices = append(t.slices, o.slices...)
}

// cells are the lines of the results, one for each distance that was met.
func (s *series) cells() (cells []result.Cell) {
	for _, d := range result.Distances {
		if t := s.tallies[d]; t != nil {
			cells = append(cells, s.cell(d, t))
		}
	}
	return cells
}

func (s *series) cell(d result.Distance, t *tally) result.Cell {
	cell := result.Cell{Time: s.began, Threads: s.v.threads, PayloadBytes: s.v.payload, Direction: result.HostToGuest,
		Host: s.kind.language, Guest: s.kind.language, Path: s.kind.program.folder, Transport: s.kind.way, Variant: s.kind.name,
		Distance: d, Slices: t.slices, ElapsedNs: int64(t.elapsed), FloorRTTNs: t.line.value(), BareRTTNs: t.loop.value(),
		Errors: t.errors, Verified: true, VerifyFailures: t.wrong, Pinning: s.m.cpus.String(), DurationNs: int64(s.m.c.duration)}
	slowest, fastest := t.calls[0], t.calls[0]
	for _, n := range t.calls {
		cell.Ops += n
		slowest, fastest = min(slowest, n), max(fastest, n)
	}
	if cell.Ops > 0 {
		cell.CPUSPerMop = new(t.cpu.Seconds() / float64(cell.Ops) * 1e6)
	}
	if s.rate > 0 {
		cell.RatePerS, cell.Pace, cell.Missed = &s.rate, "sleep", t.missed
		cell.SetIntended(t.fromIntended, stat.NewLatency())
		if t.paceStarts > 0 {
			cell.PaceCPUSPerMop = new(t.paceCPU.Seconds() / float64(t.paceStarts) * 1e6)
		}
	} else if fastest > 0 { // by a schedule it says who makes how many calls
		cell.Fairness = new(float64(slowest) / float64(fastest))
	}
	cell.Derive()
	cell.SetLatency(t.roundTrips)
	return cell
}
