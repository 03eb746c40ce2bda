// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"cmp"
	"fmt"
	"slices"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// Key tells cells apart.
type Key struct {
	Frame      string
	SizeBytes  int
	Variant    string
	Direction  result.Direction
	RingBytes  int
	ChunkBytes int
}

// WritePhase is the phase in which the sender writes into the region.
func (k Key) WritePhase() string {
	if k.Direction == result.GuestToHost {
		return "guest_write"
	}
	return "host_write"
}

// Cell is all frames of one kind.
type Cell struct {
	Key
	// Records are those of all runs, failed ones included.
	Records []Record
	runs    []int // numbers of the runs, in order
}

// CellsOf groups frames by cell, in the order in which cells first come.
func CellsOf(records []Record) (cells []*Cell) {
	found := map[Key]*Cell{}
	for _, r := range records {
		k := Key{r.Frame, r.SizeBytes, r.Variant, r.Direction, r.RingBytes, r.ChunkBytes}
		c := found[k]
		if c == nil {
			c = &Cell{Key: k}
			found[k] = c
			cells = append(cells, c)
		}
		c.Records = append(c.Records, r)
		if !slices.Contains(c.runs, r.Run) {
			c.runs = append(c.runs, r.Run)
		}
	}
	return cells
}

// Runs returns how many runs there were.
func (c *Cell) Runs() int { return len(c.runs) }

// Good returns how many frames were right.
func (c *Cell) Good() (good int) {
	for _, r := range c.Records {
		if r.OK {
			good++
		}
	}
	return good
}

// Failures returns how many frames failed, and why the first one did.
func (c *Cell) Failures() (count int, first string) {
	for _, r := range c.Records {
		if !r.OK {
			if count++; count == 1 {
				first = cmp.Or(r.Failure, "no reason given")
			}
		}
	}
	return count, first
}

// Times returns a phase of each good frame that has it, in ns, in their order.
func (c *Cell) Times(phase string) (ns []float64) {
	for _, r := range c.Records {
		if took := r.Took(phase); took.Known() {
			ns = append(ns, float64(took))
		}
	}
	return ns
}

// Latency returns the same as a histogram.
func (c *Cell) Latency(phase string) *stat.Latency {
	l := stat.NewLatency()
	for _, r := range c.Records {
		if took := r.Took(phase); took.Known() {
			l.Record(int64(took))
		}
	}
	return l
}

// sum is what one run moved in one phase.
type sum struct {
	bytes uint64
	ns    int64
	count int
}

// sums returns one sum for each run, in the order of the runs; those without the phase are empty.
func (c *Cell) sums(phase string) []sum {
	list := make([]sum, len(c.runs))
	for _, r := range c.Records {
		if took := r.Took(phase); took.Known() {
			s := &list[slices.Index(c.runs, r.Run)]
			s.bytes += uint64(r.SizeBytes)
			s.ns += int64(took)
			s.count++
		}
	}
	return list
}

// rates are the bytes a second of a phase: of each run the sum of bytes over the sum of time.
func (c *Cell) rates(phase string) (values []float64) {
	for _, s := range c.sums(phase) {
		if s.count > 0 && s.ns > 0 {
			values = append(values, stat.Rate(s.bytes, s.ns))
		}
	}
	return values
}

// Rate returns the bytes a second of a phase, run by run.
func (c *Cell) Rate(phase string) Span { return SpanOf(c.rates(phase)) }

// GBps is Rate in GB/s: 10^9 bytes a second.
func (c *Cell) GBps(phase string) Span { return c.Rate(phase).Times(1e-9) }

// Written is the rate at which the sender writes into the region, in GB/s.
func (c *Cell) Written() Span { return c.GBps(c.WritePhase()) }

// Received is the rate at which the receiver copies the frame, or reads it in place, in GB/s.
func (c *Cell) Received() Span {
	if copied := c.GBps("copy"); copied.Known() {
		return copied
	}
	return c.GBps("read")
}

// PerLoad is the time of one load of a strided read in ns, whose lines have 64 bytes if the data does
// not say how many loads there were.
func (c *Cell) PerLoad() Span {
	return c.NsPerLoad("strided", func(r Record) uint64 {
		if r.StridedLoads > 0 {
			return r.StridedLoads
		}
		return uint64(r.SizeBytes) / 64
	})
}

// MeanNs returns the mean time of a phase of each run.
func (c *Cell) MeanNs(phase string) Span {
	var values []float64
	for _, s := range c.sums(phase) {
		if s.count > 0 {
			values = append(values, float64(s.ns)/float64(s.count))
		}
	}
	return SpanOf(values)
}

// Ratio returns how many times as long one phase takes as another, run by run, so that a drift of
// the machine meets both.
func (c *Cell) Ratio(phase, to string) Span {
	var values []float64
	above, below := c.sums(phase), c.sums(to)
	for i := range above {
		if a, b := above[i], below[i]; a.count > 0 && b.count > 0 && b.ns > 0 {
			values = append(values, float64(a.ns)/float64(a.count)/(float64(b.ns)/float64(b.count)))
		}
	}
	return SpanOf(values)
}

// RatioTo returns how many times as long a phase takes as the same one of another cell, run by run.
func (c *Cell) RatioTo(other *Cell, phase string) Span {
	var values []float64
	above, below := c.sums(phase), other.sums(phase)
	for i, run := range c.runs {
		j := slices.Index(other.runs, run)
		if j < 0 || above[i].count == 0 || below[j].count == 0 || below[j].ns == 0 {
			continue
		}
		values = append(values, float64(above[i].ns)/float64(above[i].count)/(float64(below[j].ns)/float64(below[j].count)))
	}
	return SpanOf(values)
}

// Spread returns how far the runs of a phase lie apart: (fastest - slowest) / median.
func (c *Cell) Spread(phase string) float64 { return stat.Spread(c.rates(phase)) }

// NsPerLoad returns the time of one load of a read of which the loads are known.
func (c *Cell) NsPerLoad(phase string, loads func(Record) uint64) Span {
	ns, count := make([]int64, len(c.runs)), make([]uint64, len(c.runs))
	for _, r := range c.Records {
		if took := r.Took(phase); took.Known() {
			i := slices.Index(c.runs, r.Run)
			ns[i] += int64(took)
			count[i] += loads(r)
		}
	}
	var values []float64
	for i := range ns {
		if count[i] > 0 {
			values = append(values, float64(ns[i])/float64(count[i]))
		}
	}
	return SpanOf(values)
}

// Counters returns the sum of what one side counted over all frames, and over how many; none if a
// frame has no counters of that side.
func (c *Cell) Counters(of func(Record) *counters.Values) (all counters.Values, frames int) {
	for _, r := range c.Records {
		v := of(r)
		if !r.OK || v == nil {
			continue
		}
		if frames == 0 {
			all = *v
		} else {
			all = all.Plus(*v)
		}
		frames++
	}
	return all, frames
}

// Host and Guest choose the side of Counters.
func Host(r Record) *counters.Values { return r.HostCounters }

// Guest is the other one.
func Guest(r Record) *counters.Values { return r.GuestCounters }

// Main leaves out the rings of a sweep over their size: of each kind of frame it keeps the ring with
// the most frames, the first one if that is not alone.
func Main(cells []*Cell) (kept []*Cell) {
	type kind struct {
		frame, variant string
		direction      result.Direction
		bytes          int
	}
	best := map[kind]*Cell{}
	of := func(c *Cell) kind { return kind{c.Frame, c.Variant, c.Direction, c.SizeBytes} }
	for _, c := range cells {
		if b := best[of(c)]; b == nil || len(c.Records) > len(b.Records) {
			best[of(c)] = c
		}
	}
	for _, c := range cells {
		if best[of(c)] == c {
			kept = append(kept, c)
		}
	}
	return kept
}

// Lines returns what differs beside the frame: the names of lines in charts, in their order.
func Lines(cells []*Cell) (names []string) {
	for _, c := range cells {
		if name := LineOf(cells, c); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// LineOf names the line of a cell: its variant, and its direction if there are several.
func LineOf(cells []*Cell, c *Cell) string {
	for _, other := range cells {
		if other.Direction != c.Direction {
			return fmt.Sprintf("%s, %s", c.Variant, c.Direction)
		}
	}
	return c.Variant
}
