// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"math"
	"slices"
	"strings"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/counters"
	"dx/experiments/internal/result"
)

// derived are the figures of the chart of counters.
var derived = []struct {
	title, unit string
	events      []counters.Event
	of          func(v counters.Values, frames, bytes int) (float64, bool)
}{
	{"Context switches", "in one frame", []counters.Event{counters.ContextSwitches}, perFrame(counters.ContextSwitches)},
	{"Page faults", "in one frame", []counters.Event{counters.PageFaults}, perFrame(counters.PageFaults)},
	{"L1D misses", "% of the loads", []counters.Event{counters.L1DMisses, counters.L1DReferences}, share(counters.Values.L1DMissRate)},
	{"Last-level cache misses", "% of its loads", []counters.Event{counters.LLCMisses, counters.LLCReferences}, share(counters.Values.LLCMissRate)},
	{"dTLB misses", "% of the loads", []counters.Event{counters.DTLBMisses, counters.DTLBReferences}, share(counters.Values.DTLBMissRate)},
	{"Instructions per cycle", "IPC", []counters.Event{counters.Instructions, counters.Cycles}, func(v counters.Values, _, _ int) (float64, bool) { return v.IPC() }},
	{"Cycles per byte", "cycles", []counters.Event{counters.Cycles}, func(v counters.Values, frames, bytes int) (float64, bool) {
		return v.CyclesPerByte(uint64(frames) * uint64(bytes))
	}},
}

func perFrame(e counters.Event) func(counters.Values, int, int) (float64, bool) {
	return func(v counters.Values, frames, _ int) (float64, bool) {
		count, known := v.Count(e)
		return float64(count) / float64(max(frames, 1)), known
	}
}

func share(rate func(counters.Values) (float64, bool)) func(counters.Values, int, int) (float64, bool) {
	return func(v counters.Values, _, _ int) (float64, bool) {
		share, known := rate(v)
		return share * 100, known
	}
}

// counters draws a panel for each figure that is known of any side, and says of the others why not.
func (d *data) counters() (chart.Sheet, error) {
	_, cells := d.largest()
	cells = slices.DeleteFunc(slices.Clone(cells), func(c *Cell) bool {
		_, host := c.Counters(Host)
		_, guest := c.Counters(Guest)
		return host == 0 && guest == 0
	})
	if len(cells) == 0 {
		return chart.Sheet{}, errNothing("no frame has counters")
	}
	sheet := chart.Sheet{Columns: 2}
	why := map[string][]string{}
	var reasons []string
	for _, figure := range derived {
		panel := chart.Panel{Title: figure.title + ", " + cells[0].Frame, Y: chart.Axis{Label: figure.unit}, Format: result.FormatSig3}
		bars := []chart.Bars{{Name: "host", Style: 0}, {Name: "guest", Style: 1}}
		known := false
		reason := ""
		for _, c := range cells {
			panel.Categories = append(panel.Categories, d.lineOf(c))
			for side, of := range []func(Record) *counters.Values{Host, Guest} {
				sum, frames := c.Counters(of)
				value, ok := figure.of(sum, frames, c.SizeBytes)
				if !ok {
					value = math.NaN()
					for _, e := range figure.events {
						if reason == "" {
							reason = sum.Why(e)
						}
					}
				}
				known = known || ok
				bars[side].Values = append(bars[side].Values, value)
			}
		}
		if panel.Bars = bars; known {
			sheet.Panels = append(sheet.Panels, panel)
			continue
		}
		if why[reason] == nil {
			reasons = append(reasons, reason)
		}
		why[reason] = append(why[reason], figure.title)
	}
	sheet.Note = "Counted in passes of their own over the same frame, without a clock; sums over all frames."
	for _, reason := range reasons {
		sheet.Note += " NA: " + strings.Join(why[reason], ", ") + ": " + reason + "."
	}
	if len(sheet.Panels) == 0 {
		return chart.Sheet{}, errNothing(strings.TrimPrefix(sheet.Note, "Counted in passes of their own over the same frame, without a clock; sums over all frames. "))
	}
	return sheet, nil
}
