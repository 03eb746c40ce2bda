// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// phaseKey names a phase as result.jsonl does.
type phaseKey string

// phaseOf lists all phases, in the order of the report.
var phaseOf = []struct {
	key phaseKey
	of  func(*phases) ns
}{
	{"generate_ns", func(p *phases) ns { return p.GenerateNs }},
	{"host_write_ns", func(p *phases) ns { return p.HostWriteNs }},
	{"guest_write_ns", func(p *phases) ns { return p.GuestWriteNs }},
	{"notify_ns", func(p *phases) ns { return p.NotifyNs }},
	{"copy_ns", func(p *phases) ns { return p.CopyNs }},
	{"read_ns", func(p *phases) ns { return p.ReadNs }},
	{"exchange_ns", func(p *phases) ns { return p.ExchangeNs }},
	{"total_ns", func(p *phases) ns { return p.TotalNs }},
	{"acknowledge_ns", func(p *phases) ns { return p.AcknowledgeNs }},
	{"verify_ns", func(p *phases) ns { return p.VerifyNs }},
	{"memcpy_ns", func(p *phases) ns { return p.MemcpyNs }},
	{"read_hot_ns", func(p *phases) ns { return p.ReadHotNs }},
	{"read_cold_ns", func(p *phases) ns { return p.ReadColdNs }},
	{"strided_ns", func(p *phases) ns { return p.StridedNs }},
	{"copy_cold_ns", func(p *phases) ns { return p.CopyColdNs }},
	{"write_cold_ns", func(p *phases) ns { return p.WriteColdNs }},
}

// summary is all runs of one cell.
type summary struct {
	frame, variant, setting string
	direction               result.Direction
	level                   string // that holds the frame
	bytes, ring             int
	good, failed            int
	firstFailure            string
	runs                    []map[phaseKey]moved // by run, in order
	latency                 map[phaseKey]*stat.Latency
}

// summarise groups records by cell, in the order in which cells first come.
func summarise(records []Record) (all []*summary) {
	type key struct {
		frame, variant, setting string
		direction               result.Direction
	}
	found := map[key]*summary{}
	lastRun := map[key]int{}
	for i := range records {
		r := &records[i]
		k := key{r.Frame, r.Variant, setting(r.RingBytes, r.ChunkBytes), r.Direction}
		s := found[k]
		if s == nil {
			s = &summary{frame: r.Frame, variant: r.Variant, setting: k.setting, direction: r.Direction, level: r.CacheLevel, ring: r.RingBytes, bytes: r.SizeBytes, latency: map[phaseKey]*stat.Latency{}}
			found[k] = s
			all = append(all, s)
		}
		if lastRun[k] != r.Run {
			lastRun[k] = r.Run
			s.runs = append(s.runs, map[phaseKey]moved{})
		}
		s.add(r)
	}
	return all
}

func (s *summary) add(r *Record) {
	if !r.OK {
		s.failed++
		if s.firstFailure == "" {
			s.firstFailure = r.Failure
		}
		return
	}
	s.good++
	run := s.runs[len(s.runs)-1]
	for _, phase := range phaseOf {
		took := phase.of(&r.phases)
		if !took.known() {
			continue
		}
		m := run[phase.key]
		m.add(r.SizeBytes, took)
		run[phase.key] = m
		if s.latency[phase.key] == nil {
			s.latency[phase.key] = stat.NewLatency()
		}
		s.latency[phase.key].Record(int64(took))
	}
}

// span is the median, the smallest and the largest of the runs.
type span struct{ median, low, high float64 }

func spanOf(values []float64) span {
	return span{stat.Median(values), stat.Min(values), stat.Max(values)}
}

func (s span) known() bool { return !math.IsNaN(s.median) }

// each returns what f makes of each run that has both phases.
func (s *summary) each(a, b phaseKey, f func(a, b moved) float64) span {
	var values []float64
	for _, run := range s.runs {
		first, second := run[a], run[b]
		if first.count > 0 && second.count > 0 {
			values = append(values, f(first, second))
		}
	}
	return spanOf(values)
}

// gbps is the rate of a phase, run by run.
func (s *summary) gbps(of phaseKey) span {
	return s.each(of, of, func(m, _ moved) float64 { return m.gbps() })
}

// meanNs is the mean time of a phase, run by run.
func (s *summary) meanNs(of phaseKey) span {
	return s.each(of, of, func(m, _ moved) float64 { return float64(m.ns) / float64(m.count) })
}

// times says how many times as long a takes as b, run by run.
func (s *summary) times(a, b phaseKey) span {
	return s.each(a, b, func(a, b moved) float64 {
		return float64(a.ns) / float64(a.count) / (float64(b.ns) / float64(b.count))
	})
}

// quantile is of all frames of all runs; not ok with too few of them.
func (s *summary) quantile(of phaseKey, q float64) (ns int64, ok bool) {
	if s.latency[of] == nil {
		return 0, false
	}
	return s.latency[of].Quantile(q)
}

// spread is how far runs of the same memcpy lie apart: what is less than that says
// nothing.
func (s *summary) spread() float64 {
	var values []float64
	for _, run := range s.runs {
		values = append(values, run["memcpy_ns"].gbps())
	}
	return stat.Spread(values)
}
