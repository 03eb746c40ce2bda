// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/membw"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// bandwidth draws distribution, scaling with size, phases and success.
func (d *data) bandwidth() (chart.Sheet, error) {
	frame, largest := d.largest()
	if len(largest) == 0 {
		return chart.Sheet{}, errNoFrame
	}
	phases, isOverlapped := d.phases(largest)
	note := "GB is 10^9 bytes. Distribution: rate of each frame. Scaling: medians of the runs, bars from the slowest to the fastest run; memcpy is " +
		"one of the same bytes in the same run. Rest: what the total has beside write and read or copy, such as the announcement and the acknowledgement."
	if isOverlapped {
		note += " Overlapped: write and copy take place at the same time, so that they cannot be told apart in the total."
	}
	return chart.Sheet{Columns: 2, Note: note,
		Panels: []chart.Panel{d.distribution(frame, largest), d.scaling(), phases, d.success()}}, nil
}

func (d *data) distribution(frame string, cells []*Cell) chart.Panel {
	panel := chart.Panel{Title: frame + ": distribution", X: chart.Axis{Label: "total, GB/s"}, Y: chart.Axis{Label: "frames", FromZero: true}}
	rates := map[*Cell][]float64{}
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range cells {
		for _, ns := range c.Times("total") {
			rate := stat.Rate(uint64(c.SizeBytes), int64(max(ns, 1))) * giga
			rates[c] = append(rates[c], rate)
			low, high = min(low, rate), max(high, rate)
		}
	}
	for _, c := range cells {
		scaled := make([]float64, len(rates[c]))
		for i, rate := range rates[c] {
			scaled[i] = rate / milli // outline takes its values for ns
		}
		panel.Lines = append(panel.Lines, chart.Line{Name: d.lineOf(c), Style: d.styleOf(c), Look: chart.Steps,
			Dots: outline(scaled, edges(low, high, false), 0)})
	}
	return panel
}

// scaling draws rates over sizes, memcpy beside them.
func (d *data) scaling() chart.Panel {
	panel := chart.Panel{Title: "Scaling with size",
		X: chart.Axis{Label: "bytes of a frame (logarithmic)", Logarithmic: true, Ticks: []chart.Tick{}},
		Y: chart.Axis{Label: "total, GB/s", FromZero: true}}
	memcpy := map[int][]float64{}
	lines := map[string]*chart.Line{}
	for _, name := range d.lines {
		lines[name] = &chart.Line{Name: name, Style: slices.Index(d.lines, name), Look: chart.Solid}
	}
	for _, c := range d.sorted() {
		if rate := c.Rate("total").Times(giga); rate.Known() {
			line := lines[d.lineOf(c)]
			line.Dots = append(line.Dots, chart.Dot{X: float64(c.SizeBytes), Y: rate.Median, Low: rate.Low, High: rate.High})
			panel.X.Ticks = append(panel.X.Ticks, chart.Tick{Value: float64(c.SizeBytes), Label: c.Frame})
		}
		if rate := c.Rate("memcpy").Times(giga); rate.Known() {
			memcpy[c.SizeBytes] = append(memcpy[c.SizeBytes], rate.Median)
		}
	}
	for _, name := range d.lines {
		panel.Lines = append(panel.Lines, *lines[name])
	}
	reference := chart.Line{Name: "memcpy of the same bytes, same run", Style: -1, Look: chart.Dashed}
	for bytes, rates := range memcpy {
		reference.Dots = append(reference.Dots, chart.Dot{X: float64(bytes), Y: stat.Median(rates)})
	}
	slices.SortFunc(reference.Dots, func(a, b chart.Dot) int { return cmp.Compare(a.X, b.X) })
	panel.Lines = append(panel.Lines, reference)
	return panel
}

// sorted returns the cells by size.
func (d *data) sorted() []*Cell {
	return slices.SortedStableFunc(slices.Values(d.main), func(a, b *Cell) int { return a.SizeBytes - b.SizeBytes })
}

// phases stacks what a transfer consists of.
func (d *data) phases(cells []*Cell) (panel chart.Panel, isOverlapped bool) {
	panel = chart.Panel{Title: cells[0].Frame + ": phases of the total", Y: chart.Axis{Label: "mean of a frame, ms"}, Stacked: true}
	list := []chart.Bars{
		{Name: "write", Style: 4}, {Name: "copy, or read in place", Style: 5},
		{Name: "rest", Style: 3}, {Name: "write and copy, overlapped", Style: 2},
	}
	for _, c := range cells {
		write, read, rest, all, overlapped := split(c)
		isOverlapped = isOverlapped || overlapped
		for i, ns := range []float64{write, read, rest, all} {
			list[i].Values = append(list[i].Values, ns*milli)
		}
		panel.Categories = append(panel.Categories, d.lineOf(c))
	}
	if !isOverlapped {
		list = list[:3]
	}
	panel.Bars = list
	return panel, isOverlapped
}

// split divides the mean total of a cell, in ns.
func split(c *Cell) (write, read, rest, all float64, overlapped bool) {
	mean := func(phase string) float64 {
		if span := c.MeanNs(phase); span.Known() {
			return span.Median
		}
		return 0
	}
	total := mean("total")
	write, read = mean(c.WritePhase()), mean("copy")
	if read == 0 {
		read = mean("read")
	}
	if c.RingBytes > 0 || write+read > total*1.02 {
		return 0, 0, 0, total, true
	}
	return write, read, max(total-write-read, 0), 0, false
}

// success draws the share of frames that were right.
func (d *data) success() chart.Panel {
	panel := chart.Panel{Title: "Success", Y: chart.Axis{Label: "frames that were right, %", Max: 112},
		Format: func(percent float64) string { return result.FormatSig3(percent) }}
	bars := map[string]*chart.Bars{}
	for _, name := range d.lines {
		bars[name] = &chart.Bars{Name: name, Style: slices.Index(d.lines, name)}
	}
	for _, c := range d.sorted() {
		if !slices.Contains(panel.Categories, c.Frame) {
			panel.Categories = append(panel.Categories, c.Frame)
			for _, name := range d.lines {
				bars[name].Values = append(bars[name].Values, math.NaN())
			}
		}
		values := bars[d.lineOf(c)].Values
		values[slices.Index(panel.Categories, c.Frame)] = 100 * float64(c.Good()) / float64(len(c.Records))
	}
	for _, name := range d.lines {
		panel.Bars = append(panel.Bars, *bars[name])
	}
	return panel
}

// ring draws the rate of an overlapped transfer over that of memcpy by the size of the ring.
func (d *data) ring() (chart.Sheet, error) {
	panel := chart.Panel{Title: "Speed of an overlapped frame / speed of one memcpy, by the size of the ring",
		X: chart.Axis{Label: "bytes of the ring (logarithmic)", Logarithmic: true, Ticks: []chart.Tick{}},
		Y: chart.Axis{Label: "memcpy's time / total"}}
	lines := map[string]*chart.Line{}
	var names []string
	rings := map[int]bool{}
	for _, c := range slices.SortedStableFunc(slices.Values(d.cells), func(a, b *Cell) int { return a.RingBytes - b.RingBytes }) {
		ratio := c.Ratio("memcpy", "total")
		if c.RingBytes == 0 || !ratio.Known() {
			continue
		}
		name := frameOf(c, d.lineOf(c))
		if c.ChunkBytes > 0 {
			name += ", chunks of " + formatBytes(float64(c.ChunkBytes))
		}
		if lines[name] == nil {
			lines[name] = &chart.Line{Name: name}
			names = append(names, name)
		}
		line := lines[name]
		line.Dots = append(line.Dots, chart.Dot{X: float64(c.RingBytes), Y: ratio.Median, Low: ratio.Low, High: ratio.High})
		if !rings[c.RingBytes] {
			panel.X.Ticks = append(panel.X.Ticks, chart.Tick{Value: float64(c.RingBytes), Label: formatBytes(float64(c.RingBytes))})
		}
		rings[c.RingBytes] = true
	}
	if len(rings) < 2 {
		return chart.Sheet{}, errNothing(fmt.Sprintf("frames with %d sizes of the ring: two are needed", len(rings)))
	}
	slices.Sort(names)
	for _, name := range names {
		if len(lines[name].Dots) > 1 { // one ring says nothing about their size
			lines[name].Style = len(panel.Lines)
			panel.Lines = append(panel.Lines, *lines[name])
		}
	}
	first, last := panel.X.Ticks[0].Value, panel.X.Ticks[len(panel.X.Ticks)-1].Value
	panel.Lines = append(panel.Lines, chart.Line{Name: "as fast as one memcpy of the same bytes", Style: -1, Look: chart.Dashed,
		Dots: []chart.Dot{{X: first, Y: 1}, {X: last, Y: 1}}})
	return chart.Sheet{Panels: []chart.Panel{panel},
		Note: "Above 1: faster than one memcpy. Ratios are taken run by run; points are medians, bars reach from the smallest to the largest run."}, nil
}

// levels draws the baseline.
func (d *data) levels() (chart.Sheet, error) {
	if len(d.Baseline) == 0 {
		return chart.Sheet{}, errNothing("the folder has no " + membw.FileName)
	}
	panel := chart.Panel{Title: "Bandwidth of one CPU at each level of the caches and in memory",
		X: chart.Axis{Label: "level, and the size of the buffers"},
		Y: chart.Axis{Label: "GB/s"}, Format: result.FormatSig3}
	note := "Medians of the runs. A copied byte counts once, although it is read and written. Read and write take 16 bytes an instruction, copy is the memcpy of the C library, which may take wider ones. GB is 10^9 bytes."
	for _, level := range d.Baseline.Levels() {
		panel.Categories = append(panel.Categories, level.Name+", "+formatBytes(float64(level.BufferBytes)))
		if level.Note != "" {
			note += " " + level.Name + ": " + level.Note + "."
		}
	}
	for i, kind := range membw.Kinds {
		bars := chart.Bars{Name: string(kind), Style: i}
		for _, level := range d.Baseline.Levels() {
			value := math.NaN()
			if f, found := d.Baseline.At(level.Name, kind); found {
				value = f.Median() * giga
			}
			bars.Values = append(bars.Values, value)
		}
		panel.Bars = append(panel.Bars, bars)
	}
	return chart.Sheet{Panels: []chart.Panel{panel}, Note: note}, nil
}
