// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"fmt"
	"math"
	"strconv"

	"dx/experiments/internal/membw"
	"dx/experiments/internal/report"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

const units = "GB is 10^9 bytes. A figure is the median of the runs, [slowest-fastest] beside it; of each run the sum of bytes over the sum of time."

func (b *builder) transfers() report.Section {
	s := report.Section{Title: "Handing a frame over", Charts: b.pictures("bandwidth_analysis")}
	s.Say("Total: from the first byte written to the acknowledgement. Making frames, flushing caches and verifying lie outside.", units)
	t := report.Table{Caption: "Rates in GB/s", Head: []string{"frame", "bytes", "right", "failed", "runs", "write", "receiver", "total", "memcpy", "of memcpy", "spread of memcpy"}}
	for _, c := range b.main {
		failed, _ := c.Failures()
		t.Rows = append(t.Rows, []string{b.name(c), strconv.Itoa(c.SizeBytes), strconv.Itoa(c.Good()), strconv.Itoa(failed), strconv.Itoa(c.Runs()),
			c.Written().String(), c.Received().String(), c.GBps("total").String(), c.GBps("memcpy").String(), c.Ratio("memcpy", "total").String(), percent(c.Spread("memcpy"))})
	}
	s.Add(t)
	return s
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", share*100)
}

var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}

func (b *builder) latency() report.Section {
	s := report.Section{Title: "How long a frame takes", Charts: b.pictures("latency_histogram", "latency_over_time", "latency_percentiles")}
	for _, phase := range []struct{ key, caption string }{
		{"total", "Total of a frame"}, {"notify", "Notify: an exchange that carries nothing, by itself, there and back"},
		{"acknowledge", "Acknowledge: an exchange after all that, in which the guest repeats the number"},
		{"taken_up", "Taken up: the first phase of an acknowledgement in two, seen before the guest answers"},
	} {
		t := report.Table{Caption: phase.caption, Head: []string{"frame", "frames", "shortest"}}
		for _, q := range quantiles {
			t.Head = append(t.Head, q.name)
		}
		t.Head = append(t.Head, "longest")
		for _, c := range b.main {
			if times := c.Times(phase.key); len(times) > 0 {
				t.Rows = append(t.Rows, percentiles(c, b.name(c), phase.key, times))
			}
		}
		s.Add(t)
	}
	if len(s.Tables) > 0 {
		s.Say("A percentile p stands there only where there are at least 100/(1-p) frames: 200 for p50, 1,000 for p90, 10,000 for p99.")
	}
	return s
}

func percentiles(c *Cell, name, phase string, times []float64) []string {
	row := []string{name, strconv.Itoa(len(times)), result.FormatNs(stat.Min(times))}
	l := c.Latency(phase)
	for _, q := range quantiles {
		text := "-"
		if ns, ok := l.Quantile(q.q); ok {
			text = result.FormatNs(float64(ns))
		}
		row = append(row, text)
	}
	return append(row, result.FormatNs(stat.Max(times)))
}

// passes are what the guest does with a frame that lies there, one by one.
func (b *builder) passes() report.Section {
	s := report.Section{Title: "Reads, copies and writes by themselves"}
	t := report.Table{Caption: "Rates in GB/s", Head: []string{"frame", "read hot", "read cold", "strided cold", "ns a load", "copy cold", "write cold", "SHA-256"}}
	caches := report.Table{Caption: "Time of reading every byte cold / hot", Head: verdictHead("times as long")}
	for _, c := range b.main {
		if !c.Rate("read_cold").Known() {
			continue
		}
		t.Rows = append(t.Rows, []string{b.name(c), c.GBps("read_hot").String(), c.GBps("read_cold").String(), c.GBps("strided").String(), c.PerLoad().String(),
			c.GBps("copy_cold").String(), c.GBps("write_cold").String(), c.GBps("verify").String()})
		ratio := c.Ratio("read_cold", "read_hot")
		caches.Rows = append(caches.Rows, verdictRow(b.name(c), ratio, verdict(ratio, 1, 0, "cold is slower", "cold is faster")))
	}
	if len(t.Rows) > 0 {
		s.Say("Passes of the receiver over a frame that lies in the region. Hot: right after a pass that is not timed; cold: flushed from all caches before. " +
			"A read loads every byte; strided loads 8 bytes of each line of 64, and its rate counts the whole line. Verification is by OpenSSL.")
	}
	s.Add(t)
	s.Add(caches)
	return s
}

// An earlier experiment found that a guest copies 4.2 times as slowly as it reads, and concluded that
// its writes to its own memory are what is slow. A load from uncached memory takes 100 ns and more,
// one from cached memory that was flushed a few, as many are under way at once: 50 lies between.
const (
	factorSaid     = 4.2
	uncachedLoadNs = 50
)

func (b *builder) localWrites() report.Section {
	s := report.Section{Title: "Are the guest's own writes what is slow?"}
	copies := report.Table{Caption: "Time of a copy / time of a read of every byte", Head: verdictHead("times as long")}
	stores := report.Table{Caption: "Time of writing the guest's own memory / of reading the region", Head: verdictHead("times as long")}
	loads := report.Table{Caption: "One load in each line, ns", Head: verdictHead("ns a load")}
	for _, c := range b.main {
		factor, writes, load := c.Ratio("copy_cold", "read_cold"), c.Ratio("write_cold", "read_cold"), c.PerLoad()
		if c.Direction == result.GuestToHost { // it received nothing
			continue
		}
		if !factor.Known() || !writes.Known() || !load.Known() {
			continue
		}
		copies.Rows = append(copies.Rows, verdictRow(b.name(c), factor, verdict(factor, factorSaid, 0, "more than 4.2", "less than 4.2")))
		stores.Rows = append(stores.Rows, verdictRow(b.name(c), writes, verdict(writes, 1, 0, "writes are slower", "writes are faster")))
		loads.Rows = append(loads.Rows, verdictRow(b.name(c), load, verdict(load, uncachedLoadNs, 0, "above 50 ns: not cached", "below 50 ns: cached")))
	}
	s.Add(copies)
	s.Add(stores)
	s.Add(loads)
	if len(s.Tables) > 0 {
		s.Say("An earlier experiment found that copying takes 4.2 times as long as reading, and called local writes the bottleneck. If loads are not cached, each takes 100 ns and more whatever its width, and their number decides. All of this is flushed before.")
	}
	return s
}

func (b *builder) rings() report.Section {
	s := report.Section{Title: "Size of the ring", Charts: b.pictures("ring_size")}
	t := report.Table{Caption: "Speed of an overlapped frame / speed of one memcpy", Head: []string{"frame", "ring", "chunk", "total, GB/s", "of memcpy"}}
	sizes := map[int]bool{}
	for _, c := range b.cells {
		if ratio := c.Ratio("memcpy", "total"); c.RingBytes > 0 && ratio.Known() {
			sizes[c.RingBytes] = true
			t.Rows = append(t.Rows, []string{b.name(c), strconv.Itoa(c.RingBytes), strconv.Itoa(c.ChunkBytes), c.GBps("total").String(), ratio.String()})
		}
	}
	if len(sizes) > 1 {
		s.Add(t)
		s.Say(b.bestRing())
	}
	return s
}

// bestRing compares the extremes of the frame with the most rings.
func (b *builder) bestRing() string {
	groups := map[Key][]*Cell{}
	var most Key
	for _, c := range b.cells {
		k := c.Key
		k.RingBytes = 0
		if c.RingBytes > 0 && c.Ratio("memcpy", "total").Known() {
			if groups[k] = append(groups[k], c); len(groups[k]) > len(groups[most]) {
				most = k
			}
		}
	}
	var fast, slow *Cell
	for _, c := range groups[most] {
		ratio := c.Ratio("memcpy", "total").Median
		if fast == nil || ratio > fast.Ratio("memcpy", "total").Median {
			fast = c
		}
		if slow == nil || ratio < slow.Ratio("memcpy", "total").Median {
			slow = c
		}
	}
	if fast == slow {
		return ""
	}
	a, z := fast.Ratio("memcpy", "total"), slow.Ratio("memcpy", "total")
	noise, margin := max(a.High-a.Low, z.High-z.Low), a.Median-z.Median
	what := "The margin between them is larger than the runs of either differ"
	if margin <= noise || min(a.Runs, z.Runs) < RunsMin {
		what = fmt.Sprintf("That is no verdict: the margin of %s must be larger than the runs of either differ (%s), of which there must be %d",
			result.FormatSig3(margin), result.FormatSig3(noise), RunsMin)
	}
	return fmt.Sprintf("%s: the highest median is that of a ring of %d bytes, %s times the speed of memcpy; the lowest that of %d bytes, %s. %s.",
		b.name(fast), fast.RingBytes, a, slow.RingBytes, z, what)
}

func (b *builder) baseline() report.Section {
	s := report.Section{Title: "What the caches and the memory give", Charts: b.pictures("memory_levels")}
	t := report.Table{Caption: "One CPU, GB/s; a copied byte counts once", Head: []string{"level", "cache bytes", "buffer bytes", "read", "write", "copy"}}
	for _, level := range b.Baseline.Levels() {
		row := []string{level.Name, strconv.Itoa(level.CacheBytes), strconv.Itoa(level.BufferBytes)}
		if level.CacheBytes == 0 {
			row[1] = "-"
		}
		for _, kind := range membw.Kinds {
			f, _ := b.Baseline.At(level.Name, kind)
			row = append(row, SpanOf(f.Rates()).Times(giga).String())
		}
		t.Rows = append(t.Rows, row)
		if level.Note != "" {
			s.Say(fmt.Sprintf("%s: %s.", level.Name, level.Note))
		}
	}
	s.Add(t)
	if len(b.Baseline) == 0 {
		s.Say("The bandwidth of this machine was not measured with these frames.")
		return s
	}
	s.Say("Read and write take 16 bytes an instruction, copy is the memcpy of the C library, which may take wider ones.")
	seen := map[string]bool{}
	for _, c := range b.main {
		if f, found := b.Baseline.For(c.SizeBytes, membw.Copy); found && !seen[c.Frame] {
			seen[c.Frame] = true
			s.Say(fmt.Sprintf("A %s frame (%d bytes) lies at the level %s, where a copy runs at %s GB/s.", c.Frame, c.SizeBytes, f.Name,
				SpanOf(f.Rates()).Times(giga)))
		}
	}
	return s
}

func (b *builder) firstTouch() report.Section {
	s := report.Section{Title: "The first frame in new memory"}
	t := report.Table{Caption: "Page faults included; not part of any other figure; GB/s", Head: []string{"frame", "write", "receiver", "total"}}
	for _, c := range Main(CellsOf(b.FirstTouch)) {
		if c.Good() > 0 {
			t.Rows = append(t.Rows, []string{b.name(c), c.Written().String(), c.Received().String(), c.GBps("total").String()})
		}
	}
	s.Add(t)
	return s
}
