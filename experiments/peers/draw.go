// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// charts are the names of the files, without their ends.
var charts = []string{"rate", "cpu", "latency", "payload"}

// drawing is what the charts have in common.
type drawing struct {
	l      log
	at     []result.Summary // of the distance that was met most
	of     result.Distance
	footer string
	path   func(name string) (png, svg string)
}

// draw writes the charts into a folder, as PREFIX-NAME.png and, unless it is for a page, .svg.
func draw(e env.Environment, l log, folder, prefix string, withSVG bool) error {
	all := result.Summarise(l.cells)
	d := drawing{l: l, of: most(all), footer: e.Footer()}
	d.at = slices.DeleteFunc(all, func(s result.Summary) bool { return s.Distance != d.of })
	d.path = func(name string) (png, svg string) {
		path := filepath.Join(folder, prefix+name)
		if withSVG {
			svg = path + ".svg"
		}
		return path + ".png", svg
	}
	for _, one := range []func() (string, chart.Sheet){d.rate, d.cpu, d.latency, d.payload} {
		name, sheet := one()
		sheet.Footer = d.footer
		sheet.Note = strings.TrimSpace(sheet.Note + " Between " + d.of.Title() + "." + d.missing())
		png, svg := d.path(name)
		if len(sheet.Panels) == 0 {
			continue // too few calls
		}
		if err := sheet.Save(png, svg); err != nil {
			return err
		}
	}
	return nil
}

// most is the distance with the most slices.
func most(all []result.Summary) (d result.Distance) {
	slicesOf := map[result.Distance]int{}
	for _, s := range all {
		slicesOf[s.Distance] += s.Slices
	}
	for _, one := range distances(all) {
		if slicesOf[one] > slicesOf[d] || d == "" {
			d = one
		}
	}
	return d
}

// missing names the peers of which nothing was measured.
func (d drawing) missing() string {
	var names []string
	for _, o := range d.l.out {
		if o.Threads == 0 {
			names = append(names, o.Peer)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " Missing here: " + strings.Join(names, ", ") + "."
}

// bar is a row of a chart: a median, and its range.
type bar struct {
	name  string
	style int
	at    result.Range
	label string
}

// rows is a panel with a row for each bar, the last one at its top.
func rows(title, label string, bars []bar, references []chart.Line, format func(float64) string) chart.Panel {
	p := chart.Panel{Title: title, X: chart.Axis{Label: label, Logarithmic: true, Format: format}}
	for i, b := range bars {
		y := float64(i)
		p.Y.Ticks = append(p.Y.Ticks, chart.Tick{Value: y, Label: b.name})
		p.Lines = append(p.Lines, chart.Line{Style: b.style, Look: chart.Plain, Dots: []chart.Dot{{X: b.at.Min, Y: y}, {X: b.at.Max, Y: y}}},
			chart.Line{Style: b.style, Dots: []chart.Dot{{X: b.at.Median, Y: y, Label: b.label}}})
	}
	top := float64(len(bars)) - 0.5
	for _, r := range references {
		r.Dots = []chart.Dot{{X: r.Dots[0].X, Y: -0.5}, {X: r.Dots[0].X, Y: top}}
		p.Lines = append(p.Lines, r)
	}
	return p
}

// The style of a group.
func styleOf(name string) int {
	return slices.Index([]string{groupDX, groupShared, groupKernel, groupRPC}, kindOf(name).group)
}

// bars are the peers of a view, the best at the end.
func (v view) bars(of func(result.Summary) result.Range, format func(float64) string, ascending bool) (list []bar) {
	for _, s := range v.rows {
		if r := of(s); r.Known && r.Min > 0 {
			list = append(list, bar{s.Variant, styleOf(s.Variant), r, format(r.Median)})
		}
	}
	slices.SortStableFunc(list, func(a, b bar) int {
		switch less := a.at.Median < b.at.Median; {
		case a.at.Median == b.at.Median:
			return 0
		case less == ascending:
			return -1
		}
		return 1
	})
	return list
}

const colours = "Blue: dx. Orange: other shared memory. Green: the kernel's own. Pink: libraries over sockets. " +
	"A dot is the median, a line reaches from the slowest to the fastest slice."

func (d drawing) rate() (string, chart.Sheet) {
	s := chart.Sheet{Columns: 1, Note: colours}
	first := 0
	for _, v := range views(d.at) {
		if v.rate > 0 || first != 0 && v.payload != first {
			continue
		}
		first = v.payload
		bars := v.bars(rateOf, rateText, true)
		references := []chart.Line{v.reference("bare cache line (floor)", -1, func(s result.Summary) result.Range { return s.FloorRTTNs }),
			v.reference("bare loop that copies the same bytes", -2, func(s result.Summary) result.Range { return s.BareRTTNs })}
		s.Panels = append(s.Panels, rows("Round trips per second, "+v.title(), "round trips per second (logarithmic)", bars, references, rateText))
		s.RowsOfPanel = max(s.RowsOfPanel, len(bars))
	}
	return "rate", s
}

// reference is the rate of what took so long.
func (v view) reference(name string, style int, of func(result.Summary) result.Range) chart.Line {
	var all []float64
	for _, s := range v.rows {
		all = append(all, of(s).Median)
	}
	return chart.Line{Name: name, Style: style, Look: chart.Dashed, Dots: []chart.Dot{{X: 1e9 / stat.Median(all)}}}
}

func rateText(perS float64) string {
	if perS >= 1e6 {
		return result.FormatSig3(perS/1e6) + " M"
	}
	if perS >= 1e3 {
		return result.FormatSig3(perS/1e3) + " k"
	}
	return result.FormatSig3(perS)
}

func (d drawing) cpu() (string, chart.Sheet) {
	s := chart.Sheet{Columns: 1, Note: colours + " By a schedule the waiting for the starts is in it."}
	first := 0
	for _, v := range views(d.at) {
		if first != 0 && v.payload != first {
			continue
		}
		first = v.payload
		bars := v.bars(cpuOf, result.FormatSig3, false)
		if len(bars) == 0 {
			continue
		}
		s.Panels = append(s.Panels, rows("CPU time, "+v.title(), "CPU seconds of both sides per million calls (logarithmic)", bars, nil, result.FormatSig3))
		s.RowsOfPanel = max(s.RowsOfPanel, len(bars))
	}
	return "cpu", s
}

// halves are the two panels of charts with a line for each peer: those that share memory, and the rest.
var halves = []struct {
	title string
	has   func(peerKind) bool
}{
	{"shared memory", func(p peerKind) bool { return p.group == groupDX || p.group == groupShared }},
	{"sockets, pipes and queues", func(p peerKind) bool { return p.group == groupKernel || p.group == groupRPC }},
}

func (d drawing) latency() (string, chart.Sheet) {
	s := chart.Sheet{Columns: 1, Note: "Of all runs together; a line ends where fewer than 100 calls lie beyond it."}
	threads, payload := fewest(d.at), smallest(d.at)
	for _, half := range halves {
		p := chart.Panel{Title: fmt.Sprintf("Time of a call, %s, %s: %s", result.Callers(threads), result.FormatBytes(payload), half.title),
			X: chart.Axis{Label: "percentile of the calls (logarithmic in nines)", Ticks: chart.Nines, FromZero: true},
			Y: chart.Axis{Label: "µs (logarithmic)", Logarithmic: true, Format: result.FormatSig3}}
		for i, kind := range all {
			if !half.has(kind) {
				continue
			}
			sum := stat.NewLatency()
			for _, c := range d.l.cells {
				if c.Variant != kind.name || c.Threads != threads || c.PayloadBytes != payload || c.Rate() > 0 || c.Distance != d.of {
					continue
				}
				if l, err := stat.DecodeLatency(c.RTTHistogram); err == nil {
					sum.Merge(l)
				}
			}
			line := chart.Line{Style: i, Look: chart.Plain} // it is named at its end
			for _, dot := range chart.Quantiles(sum) {
				line.Dots = append(line.Dots, chart.Dot{X: dot.X, Y: dot.Y / 1e3})
			}
			if len(line.Dots) > 0 {
				line.Dots[len(line.Dots)-1].Label = kind.name
				p.Lines = append(p.Lines, line)
			}
		}
		if len(p.Lines) > 0 {
			s.Panels = append(s.Panels, p)
		}
	}
	return "latency", s
}

func smallest(at []result.Summary) int {
	least := math.MaxInt
	for _, s := range at {
		least = min(least, s.PayloadBytes)
	}
	return least
}

func (d drawing) payload() (string, chart.Sheet) {
	s := chart.Sheet{Columns: 1, Note: "p50 of all runs together."}
	threads := fewest(d.at)
	of := slices.DeleteFunc(views(d.at), func(v view) bool { return v.threads != threads || v.rate > 0 })
	if len(of) < 2 {
		return "payload", s
	}
	for _, half := range halves {
		p := chart.Panel{Title: fmt.Sprintf("p50 of a round trip over the payload, %s: %s", result.Callers(threads), half.title),
			X: chart.Axis{Label: "bytes each way (logarithmic)", Logarithmic: true, Format: result.FormatSig3},
			Y: chart.Axis{Label: "µs (logarithmic)", Logarithmic: true, Format: result.FormatSig3}}
		for _, v := range of {
			p.X.Ticks = append(p.X.Ticks, chart.Tick{Value: float64(v.payload), Label: result.FormatBytes(v.payload)})
		}
		for i, kind := range all {
			line := chart.Line{Name: kind.name, Style: i}
			for _, v := range of {
				if row, ok := v.row(kind.name); ok && row.P50Ns.Known && half.has(kind) {
					line.Dots = append(line.Dots, chart.Dot{X: float64(v.payload), Y: row.P50Ns.Median / 1e3})
				}
			}
			if len(line.Dots) > 0 {
				p.Lines = append(p.Lines, line)
			}
		}
		if len(p.Lines) > 0 {
			s.Panels = append(s.Panels, p)
		}
	}
	return "payload", s
}
