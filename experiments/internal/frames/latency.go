// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// bins is how many bars a histogram has.
const bins = 48

// histogram draws times on a linear axis and, all of them, on logarithmic ones.
func (d *data) histogram() (chart.Sheet, error) {
	frame, cells := d.largest()
	if len(cells) == 0 {
		return chart.Sheet{}, errNoFrame
	}
	var times []float64
	for _, c := range cells {
		times = append(times, c.Times("total")...)
	}
	slices.Sort(times)
	low, high := max(times[0], 1)*milli, max(times[len(times)-1], 1)*milli
	usual := high
	if len(times) >= 100 { // a few frames that waited for the CPU would squeeze all others
		usual = max(times[(len(times)-1)*98/100], 1) * milli
	}
	beyond := 0
	linear := chart.Panel{Title: frame + ", linear", X: chart.Axis{Label: "total, ms"}, Y: chart.Axis{Label: "frames", FromZero: true}}
	logarithmic := chart.Panel{Title: frame + ", logarithmic",
		X: chart.Axis{Label: "total, ms (logarithmic)", Logarithmic: true},
		Y: chart.Axis{Label: "frames (logarithmic)", Logarithmic: true}}
	for _, c := range cells {
		line := chart.Line{Name: d.lineOf(c), Style: d.styleOf(c), Look: chart.Steps}
		line.Dots = outline(c.Times("total"), edges(low, usual, false), 0)
		linear.Lines = append(linear.Lines, line)
		line.Dots = outline(c.Times("total"), edges(low, high, true), 0.5)
		logarithmic.Lines = append(logarithmic.Lines, line)
	}
	for _, ns := range times {
		if ns*milli > usual {
			beyond++
		}
	}
	note := fmt.Sprintf("Total: from the first byte written to the acknowledgement; verification is not in it. Frames: %d. "+
		"In the logarithmic panel a line at the foot is a count of 0.", len(times))
	if beyond > 0 {
		note += fmt.Sprintf(" The linear axis ends at %s ms; frames beyond, in the other panel only: %d.", result.FormatSig3(usual), beyond)
	}
	return chart.Sheet{Panels: []chart.Panel{linear, logarithmic}, Note: note}, nil
}

// edges are those of bins of the same width, or of the same ratio.
func edges(low, high float64, logarithmic bool) []float64 {
	if high <= low {
		low, high = low*0.9, low*1.1
	}
	list := make([]float64, bins+1)
	for i := range list {
		share := float64(i) / bins
		if logarithmic {
			list[i] = low * math.Pow(high/low, share)
		} else {
			list[i] = low + (high-low)*share
		}
	}
	return list
}

// outline counts times in ns within edges in ms; none stands for no time in a bin.
func outline(ns []float64, edges []float64, none float64) []chart.Dot {
	counts := make([]float64, len(edges)-1)
	last := len(counts) - 1
	for _, t := range ns {
		ms := t * milli
		i, found := slices.BinarySearch(edges, ms)
		if !found {
			i--
		}
		switch {
		case i >= 0 && i <= last:
			counts[i]++
		case ms <= edges[last+1]*(1+1e-12) && i > last: // the last edge belongs to the last bin
			counts[last]++
		}
	}
	dots := []chart.Dot{{X: edges[0], Y: none}}
	for i, count := range counts {
		dots = append(dots, chart.Dot{X: edges[i], Y: max(count, none)})
	}
	return append(dots, chart.Dot{X: edges[last+1], Y: none})
}

// overTime draws every frame in the order in which they were sent.
func (d *data) overTime() (chart.Sheet, error) {
	frame, cells := d.largest()
	if len(cells) == 0 {
		return chart.Sheet{}, errNoFrame
	}
	panel := chart.Panel{Title: "Total of each " + frame + " frame, in the order in which they were sent",
		X: chart.Axis{Label: "number of the frame"},
		Y: chart.Axis{Label: "total, ms (logarithmic)", Logarithmic: true}}
	var notes []string
	for _, c := range cells {
		line := chart.Line{Style: d.styleOf(c), Look: chart.Dots}
		first, last := math.Inf(1), math.Inf(-1)
		for _, r := range c.Records {
			if ns := r.Took("total"); ns.Known() {
				line.Dots = append(line.Dots, chart.Dot{X: float64(r.Iteration), Y: float64(ns) * milli})
				first, last = min(first, float64(r.Iteration)), max(last, float64(r.Iteration))
			}
		}
		level := func(ns float64, look chart.Look, name string) chart.Line {
			return chart.Line{Name: name, Style: line.Style, Look: look,
				Dots: []chart.Dot{{X: first, Y: ns * milli}, {X: last, Y: ns * milli}}}
		}
		median := stat.Median(c.Times("total"))
		panel.Lines = append(panel.Lines, line,
			level(median, chart.Plain, fmt.Sprintf("%s: median %s", d.lineOf(c), result.FormatNs(median))))
		if name, high, ok := highest(c); ok {
			panel.Lines = append(panel.Lines, level(high, chart.Dashed, fmt.Sprintf("%s: %s %s", d.lineOf(c), name, result.FormatNs(high))))
		}
		if c.Good() < 10_000 {
			notes = append(notes, fmt.Sprintf("%s has %d frames", d.lineOf(c), c.Good()))
		}
	}
	note := "Each dot is one frame; failed ones have no time."
	if len(notes) > 0 {
		note += " No p99 where there are fewer than 10,000 frames (p90 from 1,000 on): " + strings.Join(notes, ", ") + "."
	}
	return chart.Sheet{Panels: []chart.Panel{panel}, Note: note}, nil
}

// highest returns p99, or p90 where there are too few frames for it.
func highest(c *Cell) (name string, ns float64, ok bool) {
	l := c.Latency("total")
	for _, one := range []struct {
		name string
		q    float64
	}{{"p99", 0.99}, {"p90", 0.9}} {
		if ns, ok := l.Quantile(one.q); ok {
			return one.name, float64(ns), true
		}
	}
	return "", 0, false
}

// percentiles draws which time a share of the frames did not exceed.
func (d *data) percentiles() (chart.Sheet, error) {
	frame, cells := d.largest()
	panel := chart.Panel{Title: "Total of " + frame + " frames: percentiles",
		X: chart.Axis{Label: "percentile of the frames (logarithmic in nines)", Ticks: chart.Nines},
		Y: chart.Axis{Label: "total, ms (logarithmic)", Logarithmic: true}}
	for _, c := range cells {
		l := c.Latency("total")
		line := chart.Line{Name: d.lineOf(c), Style: d.styleOf(c), Look: chart.Plain}
		marks := chart.Line{Style: d.styleOf(c), Look: chart.Dots}
		for _, dot := range chart.Quantiles(l) {
			line.Dots = append(line.Dots, chart.Dot{X: dot.X, Y: dot.Y * milli})
		}
		for _, mark := range chart.Nines[1:] {
			if ns, ok := l.Quantile(1 - math.Pow(10, -mark.Value)); ok {
				marks.Dots = append(marks.Dots, chart.Dot{X: mark.Value, Y: float64(ns) * milli, Label: result.FormatNs(float64(ns))})
			}
		}
		if len(line.Dots) > 1 {
			panel.Lines = append(panel.Lines, line, marks)
		}
	}
	if len(panel.Lines) == 0 {
		return chart.Sheet{}, errNothing("a percentile p takes 100/(1-p) frames of one kind, 200 for the median: there are fewer")
	}
	return chart.Sheet{Panels: []chart.Panel{panel}, Note: "A line ends where fewer than 100 frames lie beyond it."}, nil
}

// frameOf names a frame and its variant.
func frameOf(c *Cell, line string) string { return c.Frame + " " + line }
