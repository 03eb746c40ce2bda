// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

const legend = `p50, p99: of a round trip, median of the runs' percentiles, min and max those of the fastest and the slowest run; - where a run
has too few samples. In the second part the time counts from when a call was to start. calls/s: median. CPU us: of both sides, QEMU
included, for a round trip, with what it takes to begin and end each stretch of 100 ms: too high where calls are few. slept: % of the waits of calling and of answering side that ended in a sleep.
`

// of selects the runs of a way at a rate.
func (l log) of(name string, rate float64) (cells []result.Cell) {
	for _, c := range l.cells {
		if c.Variant == name && c.Rate() == rate {
			cells = append(cells, c)
		}
	}
	return cells
}

// values are those of a quantity in all runs; empty if one has none.
func values(cells []result.Cell, of func(result.Cell) *int64) (all []float64) {
	for _, c := range cells {
		v := of(c)
		if v == nil {
			return nil
		}
		all = append(all, float64(*v))
	}
	return all
}

func p50(c result.Cell) *int64 {
	if c.RatePerS != nil {
		return c.IntendedP50Ns
	}
	return c.RTTP50Ns
}

func p99(c result.Cell) *int64 {
	if c.RatePerS != nil {
		return c.IntendedP99Ns
	}
	return c.RTTP99Ns
}

// cpuUs is in µs a round trip, which is in seconds a million of them.
func cpuUs(c result.Cell) float64 {
	if c.CPUSPerMop == nil {
		return 0
	}
	return *c.CPUSPerMop
}

func median(cells []result.Cell, of func(result.Cell) float64) float64 {
	var all []float64
	for _, c := range cells {
		all = append(all, of(c))
	}
	return stat.Median(all)
}

func perSecond(c result.Cell) float64 { return stat.Rate(c.Ops, c.ElapsedNs) }

func table(c config, l log) string {
	var text strings.Builder
	for _, rate := range c.rates() {
		fmt.Fprintln(&text, title(rate))
		t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "way\truns\tp50\tmin\tmax\tp99\tcalls/s\tCPU us\tslept\t")
		for _, w := range c.ways() {
			cells := l.of(w.name, rate)
			if len(cells) == 0 {
				continue
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%.1f\t%s\t\n", w.name, len(cells), spread(values(cells, p50)),
				middle(values(cells, p99)), result.FormatSig3(median(cells, perSecond)), median(cells, cpuUs), slept(cells))
		}
		_ = t.Flush() // into memory
		fmt.Fprintln(&text)
	}
	if len(l.idle) > 0 {
		fmt.Fprintf(&text, "nobody calls, %v: CPU of one CPU\n", c.idle)
		t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "way\tboth\thost\tQEMU\t")
		for _, w := range c.ways() {
			if i, ok := l.idle[w.name]; ok {
				host, guest := float64(i.HostCPUNs)/float64(i.ElapsedNs), float64(i.GuestCPUNs)/float64(i.ElapsedNs)
				fmt.Fprintf(t, "%s\t%.2f%%\t%.2f%%\t%.2f%%\t\n", w.name, 100*(host+guest), 100*host, 100*guest)
			}
		}
		_ = t.Flush()
		fmt.Fprintln(&text)
	}
	return text.String() + legend + verdicts(c, l)
}

func title(rate float64) string {
	if rate == 0 {
		return "each call when the one before is answered"
	}
	return result.FormatRate(rate) + " by a schedule"
}

func spread(all []float64) string {
	if len(all) == 0 {
		return "-\t-\t-"
	}
	return result.FormatNs(stat.Median(all)) + "\t" + result.FormatNs(stat.Min(all)) + "\t" + result.FormatNs(stat.Max(all))
}

func middle(all []float64) string {
	if len(all) == 0 {
		return "-"
	}
	return result.FormatNs(stat.Median(all))
}

func slept(cells []result.Cell) string {
	share := func(of func(result.Cell) *result.WaitCounts) string {
		var all []float64
		for _, c := range cells {
			if w := of(c); w != nil {
				if _, _, park, ok := w.Shares(); ok {
					all = append(all, 100*park)
				}
			}
		}
		if len(all) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", stat.Median(all))
	}
	return share(func(c result.Cell) *result.WaitCounts { return c.Waits.Host }) + "/" +
		share(func(c result.Cell) *result.WaitCounts { return c.Waits.Guest })
}

// verdicts compares dx with its rivals, one sentence each: faster only if the ranges of the runs do
// not meet.
func verdicts(c config, l log) string {
	var text strings.Builder
	for _, name := range []string{atOnce, "spin, then doorbell"} {
		own := values(l.of(name, 0), p50)
		for _, w := range c.ways() {
			theirs := values(l.of(w.name, 0), p50)
			if !w.rival || len(own) == 0 || len(theirs) == 0 {
				continue
			}
			ratio := stat.Median(theirs) / stat.Median(own)
			switch {
			case stat.Max(own) < stat.Min(theirs):
				fmt.Fprintf(&text, "A round trip by %s took %s times as long as by %s (p50).\n", w.name,
					result.FormatSig3(ratio), name)
			case stat.Max(theirs) < stat.Min(own):
				fmt.Fprintf(&text, "A round trip by %s was faster than by %s: %s of its time (p50).\n", w.name, name,
					result.FormatSig3(ratio))
			default:
				fmt.Fprintf(&text, "%s and %s do not differ: the ranges of their runs meet (p50).\n", w.name, name)
			}
		}
	}
	return text.String()
}

// draw puts each way at its cost and its latency, one panel a load.
func draw(c config, e env.Environment, l log) error {
	sheet := chart.Sheet{Columns: 2, Footer: e.Footer(),
		Note: "Lower left is better. Dots are medians of the runs' p50, bars reach from the fastest to the slowest run."}
	for _, rate := range c.rates() {
		p := chart.Panel{Title: title(rate), X: chart.Axis{Label: "CPU time of both sides per round trip, us", Logarithmic: true, Format: result.FormatSig3},
			Y: chart.Axis{Label: "p50 of a round trip, us", Logarithmic: true, Format: result.FormatSig3}}
		for i, w := range c.ways() {
			cells := l.of(w.name, rate)
			times := values(cells, p50)
			if len(times) == 0 {
				continue
			}
			p.Lines = append(p.Lines, chart.Line{Name: w.name, Style: i, Dots: []chart.Dot{{X: median(cells, cpuUs),
				Y: stat.Median(times) / 1e3, Low: stat.Min(times) / 1e3, High: stat.Max(times) / 1e3}}})
		}
		if slices.ContainsFunc(p.Lines, func(l chart.Line) bool { return len(l.Dots) > 0 }) {
			sheet.Panels = append(sheet.Panels, p)
		}
	}
	return sheet.Save(filepath.Join(c.out, "across.png"), filepath.Join(c.out, "across.svg"))
}

func report(c config, e env.Environment, l log) error {
	e.Accelerator = l.cells[0].Accelerator
	text := table(c, l)
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(c.out, "table.txt"), []byte(text), 0o644); err != nil {
		return err
	}
	environment, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.out, "environment.json"), append(environment, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Printf("\n%s\nresults: %s (result.jsonl, idle.jsonl, table.txt, across.png, across.svg, environment.json)\n", e.Footer(), c.out)
	return draw(c, e, l)
}
