// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"dx/experiments/internal/across"
	"dx/experiments/internal/chart"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
)

// report prints what was measured and leaves it in -out.
func report(c config, e env.Environment, l across.Log) error {
	e.Accelerator = l.Cells[0].Accelerator
	text := across.Text(l)
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(c.out, "table.txt"), []byte(text), 0o644); err != nil {
		return err
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	fmt.Printf("\n%s\nresults: %s (result.jsonl, idle.jsonl, left_out.jsonl, table.txt, boundary.png, boundary.svg, environment.json)\n", across.Footer(e), c.out)
	return draw(c, e, l)
}

// draw puts each way at its cost and its latency, one panel a load.
func draw(c config, e env.Environment, l across.Log) error {
	sheet := chart.Sheet{Columns: 1, Footer: across.Footer(e), Note: fmt.Sprintf("Lower left is better. A dot is the median of the runs' p50, "+
		"its bar reaches from the fastest to the slowest run, a dashed line up to the p99 where there are samples enough. "+
		"CPU time is that of the host's process and of all of QEMU. %s each way, one caller, in one boot of one machine.",
		result.FormatBytes(c.payload))}
	for _, rate := range l.Rates() {
		time := "p50 of a round trip, µs"
		if rate > 0 {
			time = "p50 from the intended start, µs"
		}
		p := chart.Panel{Title: across.Title(rate), Lines: lines(l, rate),
			X: chart.Axis{Label: "CPU seconds of both sides per million calls", Logarithmic: true, Format: result.FormatSig3},
			Y: chart.Axis{Label: time, Logarithmic: true, Format: result.FormatSig3}}
		if len(p.Lines) > 0 {
			sheet.Panels = append(sheet.Panels, p)
		}
	}
	if len(sheet.Panels) == 0 {
		return nil // too few samples for a single p50
	}
	return sheet.Save(filepath.Join(c.out, "boundary.png"), filepath.Join(c.out, "boundary.svg"))
}

// lines are those of a panel: a named dot for each way, and one up to its p99.
func lines(l across.Log, rate float64) (all []chart.Line) {
	for i, name := range across.Names() {
		runs := l.Of(name, rate)
		p50, _ := runs.Percentile(0.5)
		cpu := runs.CPUSPerMop()
		if name == across.PollingAgain || !p50.Known || !cpu.Known {
			continue
		}
		x, y := cpu.Median, p50.Median/1e3
		if p99, _ := runs.Percentile(0.99); p99.Known {
			all = append(all, chart.Line{Style: i, Look: chart.Dashed, Dots: []chart.Dot{{X: x, Y: y}, {X: x, Y: p99.Median / 1e3}}})
		}
		all = append(all, chart.Line{Name: name, Named: true, Style: i,
			Dots: []chart.Dot{{X: x, Y: y, Low: p50.Min / 1e3, High: p50.Max / 1e3}}})
	}
	return all
}
