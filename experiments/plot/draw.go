// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/report"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// linesMax is how many lines a reader can tell apart.
const linesMax = 14

// drawing draws what the data allow, and says what it leaves out.
type drawing struct {
	config
	data
	say   io.Writer
	drawn []report.Picture
}

// line is one summary with the name that tells it from the others.
type line struct {
	result.Summary
	name  string
	set   string
	cells []result.Cell
}

func (d *drawing) all() {
	lines := d.lines()
	for i, draw := range []func([]line){d.ops, d.percentiles, d.pareto, d.waits, d.heat} {
		if slices.Contains(d.charts, chartNames[i]) {
			draw(lines)
		}
	}
}

// lines summarises every file and names what differs, the file included if there
// are several.
func (d *drawing) lines() (lines []line) {
	var summaries []result.Summary
	for _, set := range d.sets {
		for _, s := range result.Summarise(set.cells) {
			l := line{Summary: s, set: set.label}
			for _, cell := range set.cells {
				if result.KeyOf(cell) == s.Key {
					l.cells = append(l.cells, cell)
				}
			}
			if len(d.sets) > 1 {
				l.name = set.label + ": "
			}
			lines = append(lines, l)
			summaries = append(summaries, s)
		}
	}
	for i, label := range result.Labels(summaries) {
		lines[i].name += label
	}
	return lines
}

// save counts and tells what was drawn.
func (d *drawing) save(name string, draw func(png, svg string) error) {
	base := filepath.Join(d.out, slug(name))
	if err := draw(base+".png", base+".svg"); err != nil {
		d.skip(name, err.Error())
		return
	}
	d.drawn = append(d.drawn, report.Picture{Name: slug(name), Title: name})
	fmt.Fprintf(d.say, "%s.png, .svg\n", base)
}

// report has the figures of every file as a table, and what was drawn.
func (d *drawing) report() report.Document {
	doc := report.Document{Title: "Calls through shared memory", Subtitle: d.footer}
	for _, set := range d.sets {
		s := report.Section{Title: "Figures of " + set.label}
		for _, b := range result.Blocks(set.cells) {
			s.Tables = append(s.Tables, report.Table{Caption: b.Title, Head: b.Head, Rows: b.Rows})
			s.Text = append(s.Text, b.Notes...)
		}
		doc.Sections = append(doc.Sections, s)
	}
	meaning := report.Section{Title: "What the columns mean"}
	for _, column := range strings.Split(strings.ReplaceAll(result.Legend, "\n   ", " "), "\n") {
		if column != "" {
			meaning.Text = append(meaning.Text, strings.Join(strings.Fields(column), " "))
		}
	}
	doc.Sections = append(doc.Sections, meaning, report.Section{Title: "Charts", Charts: d.drawn})
	return doc
}

func (d *drawing) skip(name, why string) { fmt.Fprintf(d.say, "%s: left out: %s\n", name, why) }

// slug makes a name of a file.
func slug(name string) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}
	parts := strings.FieldsFunc(strings.Map(keep, name), func(r rune) bool { return r == '-' })
	return strings.Join(parts, "-")
}

// rest keeps the lines that a chart has room for: those with the highest rate.
func (d *drawing) rest(chart string, lines []line, most int) []line {
	var names []string
	rate := map[string]float64{}
	for _, l := range lines {
		if _, known := rate[l.name]; !known {
			names = append(names, l.name)
		}
		rate[l.name] = max(rate[l.name], l.OpsPerS.Median)
	}
	if len(names) <= most {
		return lines
	}
	slices.SortStableFunc(names, func(a, b string) int {
		if rate[a] > rate[b] {
			return -1
		}
		return map[bool]int{true: 1}[rate[a] < rate[b]]
	})
	d.skip(chart, fmt.Sprintf("%d of %d lines, the slowest; -where chooses others", len(names)-most, len(names)))
	return slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return !slices.Contains(names[:most], l.name) })
}

func (d *drawing) ops(lines []line) {
	lines = slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.RatePerS > 0 })
	lines = d.rest("ops", lines, linesMax)
	var data, references []chart.Series
	for _, set := range d.sets {
		var summaries []result.Summary
		var names []string
		for _, l := range lines {
			if l.set == set.label {
				summaries, names = append(summaries, l.Summary), append(names, l.name)
			}
		}
		for _, s := range chart.SeriesNamed(summaries, names) {
			switch {
			case !s.Reference:
				data = append(data, s)
			case len(d.sets) > 1:
				s.Name = set.label + ": " + s.Name
				fallthrough
			default:
				references = append(references, s)
			}
		}
	}
	d.save("ops", func(png, svg string) error {
		return chart.OpsVsThreads(append(data, references...), d.footer, png, svg)
	})
}

// workload is what has to be the same for a fair comparison; 0 is left out.
type workload struct {
	threads, payload int
	rate             float64
}

func (w workload) String() string {
	var parts []string
	if w.threads > 0 {
		parts = append(parts, result.Callers(w.threads))
	}
	if w.payload >= 0 {
		parts = append(parts, result.FormatBytes(w.payload))
	}
	if w.rate > 0 {
		parts = append(parts, "open loop at "+result.FormatRate(w.rate))
	}
	return strings.Join(parts, ", ")
}

// byLoad groups lines by load, in their order.
func byLoad(lines []line, of func(line) workload) (loads []workload, groups map[workload][]line) {
	groups = map[workload][]line{}
	for _, l := range lines {
		if groups[of(l)] == nil {
			loads = append(loads, of(l))
		}
		groups[of(l)] = append(groups[of(l)], l)
	}
	return loads, groups
}

func loadOf(l line) workload { return workload{l.Threads, l.PayloadBytes, l.RatePerS} }

func (d *drawing) pareto(lines []line) {
	loads, groups := byLoad(lines, loadOf)
	for _, load := range loads {
		name := "pareto, " + load.String()
		var summaries []result.Summary
		for _, l := range groups[load] {
			summaries = append(summaries, l.Summary)
		}
		var candidates []chart.Candidate
		for i, front := range result.Front(summaries) {
			s := summaries[i]
			_, _, p99, _, _ := s.Latency()
			if p99.Known && s.CPUSPerMop.Known && s.OpsPerS.Known && s.VerifyFailures == 0 {
				candidates = append(candidates, chart.Candidate{Name: groups[load][i].name,
					CPUSPerMop: s.CPUSPerMop.Median, P99Ns: p99.Median, OpsPerS: s.OpsPerS.Median, Front: front})
			}
		}
		if len(candidates) < 2 {
			d.skip(name, "fewer than two have a p99 and a CPU time")
			continue
		}
		d.save(name, func(png, svg string) error {
			return chart.Pareto("Latency, cost and rate: "+load.String(), candidates, d.footer, png, svg)
		})
	}
}

func (d *drawing) waits(lines []line) {
	bars := map[string][]chart.Waits{}
	var names []string
	for _, l := range lines {
		name := l.name
		if l.RatePerS > 0 {
			name += ", open loop at " + result.FormatRate(l.RatePerS)
		}
		bar := chart.Waits{Threads: l.Threads, Host: shares(l.Waits.Host), Guest: shares(l.Waits.Guest)}
		if bar.Host == nil && bar.Guest == nil {
			continue
		}
		if bars[name] == nil {
			names = append(names, name)
		}
		bars[name] = append(bars[name], bar)
	}
	const chartsMax = 40
	if len(names) > chartsMax {
		d.skip("waits", fmt.Sprintf("%d charts; -where chooses some", len(names)))
		return
	}
	for _, name := range names {
		d.save("waits, "+name, func(png, svg string) error {
			return chart.WaitsVsThreads("How waits ended: "+name, bars[name], d.footer, png, svg)
		})
	}
}

func shares(w *result.WaitCounts) *chart.Phases {
	if w == nil {
		return nil
	}
	spin, yield, park, ok := w.Shares()
	if !ok {
		return nil
	}
	return &chart.Phases{Spin: spin, Yield: yield, Park: park}
}

func (d *drawing) percentiles(lines []line) {
	loads, groups := byLoad(lines, func(l line) workload { return workload{l.Threads, l.PayloadBytes, 0} })
	for _, load := range loads {
		name := "percentiles, " + load.String()
		var list []chart.Distribution
		for _, l := range d.rest(name, groups[load], linesMax/2) {
			if l.RatePerS == 0 {
				add(&list, l.name+", closed loop", false, merged(l.cells, func(c result.Cell) string { return c.RTTHistogram }))
				continue
			}
			rate := ", " + result.FormatRate(l.RatePerS)
			add(&list, l.name+rate+", from the intended start", false, merged(l.cells, func(c result.Cell) string { return c.IntendedHistogram }))
			add(&list, l.name+rate+", from the real start", true, merged(l.cells, func(c result.Cell) string { return c.RTTHistogram }))
		}
		if len(list) == 0 {
			d.skip(name, "no results with histograms of enough calls")
			continue
		}
		d.save(name, func(png, svg string) error {
			return chart.Percentiles("Time of a call: "+load.String(), list, d.footer, png, svg)
		})
	}
}

func add(list *[]chart.Distribution, name string, twin bool, l *stat.Latency) {
	if l != nil {
		if _, enough := l.Quantile(0); enough {
			*list = append(*list, chart.Distribution{Name: name, Latency: l, Twin: twin})
		}
	}
}

// merged puts the histograms of all runs together; nil unless every run has one.
func merged(cells []result.Cell, of func(result.Cell) string) *stat.Latency {
	all := stat.NewLatency()
	for _, cell := range cells {
		one, err := stat.DecodeLatency(of(cell))
		if err != nil {
			return nil
		}
		all.Merge(one)
	}
	return all
}
