// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/result"
	"dx/experiments/sweep/grid"
)

// report puts files and results together.
type report struct {
	config
	measured map[string]result.Summary // by the cell's key
	used     []result.Cell
	text     bytes.Buffer
}

// printReport writes a Markdown page about the files. All that it says about
// results follows from the log.
func printReport(c config) error {
	cells, _, err := result.Read(c.log)
	if err != nil {
		return err
	}
	return writeReport(os.Stdout, c, cells)
}

func writeReport(w io.Writer, c config, cells []result.Cell) error {
	r := report{config: c, measured: map[string]result.Summary{}}
	newest, _ := result.Newest(cells)
	byKey := map[string][]result.Cell{}
	for _, cell := range newest {
		byKey[cell.CellKey] = append(byKey[cell.CellKey], cell)
	}
	for _, file := range c.files {
		for _, cell := range file.Cells {
			if runs := byKey[cell.Key]; len(runs) > 0 {
				r.measured[cell.Key] = result.Summarise(runs)[0]
				r.used = append(r.used, runs...)
			}
		}
	}
	if len(r.used) == 0 {
		return fmt.Errorf("%s has no results of these files", c.log)
	}
	r.head()
	r.noise()
	for _, file := range c.files {
		r.section(file)
	}
	r.differs()
	r.choose()
	_, err := w.Write(r.text.Bytes())
	return err
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

func (r *report) head() {
	machines := map[string][]string{}
	first, last := r.used[0].Time, r.used[0].Time
	for _, cell := range r.used {
		if cell.Env != nil {
			machine, commit, _ := strings.Cut(cell.Env.Footer(), ", commit ")
			if !slices.Contains(machines[machine], commit) {
				machines[machine] = append(machines[machine], commit)
			}
		}
		if cell.Time.Before(first) {
			first = cell.Time
		}
		if cell.Time.After(last) {
			last = cell.Time
		}
	}
	r.printf("<!-- SPDX-License-Identifier: Apache-2.0 -->\n# What the wait strategy is worth\n\n")
	r.printf("*Asked:* which settings of the wait strategy matter, and whether the presets are near the best.\n\n"+
		"*Command:* `go run ./experiments/sweep -report %s` from `%s`, which the same command without `-report` wrote.\n"+
		"What is said about results follows from them and from nothing else.\n\n", arguments(r.args), r.log)
	r.printf("*Machine:* %d runs of %d cells, %s to %s, on\n\n", len(r.used), len(r.measured), first.Format("2006-01-02"), last.Format("2006-01-02"))
	for _, machine := range slices.Sorted(maps.Keys(machines)) {
		r.printf("- %s, commit %s\n", machine, strings.Join(machines[machine], ", "))
	}
	r.printf("\n*Result:* figures are medians of the runs, [smallest-largest] beside them. Rates are million calls a second, CPU time is seconds of\n" +
		"both sides per million calls. In a closed loop each caller makes its next call when the one before is answered; in an open loop\n" +
		"calls start by a schedule and their time counts from when they were to start.\n\n")
}

// arguments writes paths as a shell takes them: all TOML files of a folder by a
// pattern.
func arguments(paths []string) string {
	byFolder := map[string][]string{}
	for _, path := range paths {
		folder := filepath.Dir(path)
		byFolder[folder] = append(byFolder[folder], path)
	}
	var list []string
	for _, folder := range slices.Sorted(maps.Keys(byFolder)) {
		pattern := filepath.Join(folder, "*.toml")
		all, err := filepath.Glob(pattern)
		given := slices.Sorted(slices.Values(byFolder[folder]))
		if err == nil && len(all) > 1 && slices.Equal(all, given) {
			list = append(list, pattern)
		} else {
			list = append(list, byFolder[folder]...)
		}
	}
	return strings.Join(list, " ")
}

// pair is a cell and the one that it is compared with.
type pair struct {
	cell, base grid.Cell
	changes    []string // what differs
}

// pairs finds for each cell of a file the one of its baseline with the same load
// and the fewest differences.
func (r *report) pairs(file *grid.File) (list []pair) {
	at := slices.IndexFunc(r.files, func(f *grid.File) bool { return f.Name == file.Compare })
	if at < 0 {
		return nil
	}
	for _, cell := range file.Cells {
		var candidates []pair
		for _, base := range r.files[at].Cells {
			a, b := cell.Config, base.Config
			if a.Threads == b.Threads && a.Payload == b.Payload && a.RatePerS == b.RatePerS {
				candidates = append(candidates, pair{cell, base, changes(cell, base)})
			}
		}
		if len(candidates) > 0 {
			list = append(list, slices.MinFunc(candidates, func(a, b pair) int { return len(a.changes) - len(b.changes) }))
		}
	}
	return list
}

// changes lists the parameters in which two cells differ.
func changes(cell, base grid.Cell) (list []string) {
	ours, theirs := cell.Parameters(), base.Parameters()
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if ours[name] != theirs[name] {
			list = append(list, fmt.Sprintf("%s = %s instead of %s", name, ours[name], theirs[name]))
		}
	}
	return list
}

// sameAs returns all measurements of what the cell is: its own and, where a file
// measured the same again, the other.
func (r *report) sameAs(base grid.Cell) (list []result.Summary) {
	if s, known := r.measured[base.Key]; known {
		list = append(list, s)
	}
	for _, file := range r.files {
		for _, p := range r.pairs(file) {
			if s, known := r.measured[p.cell.Key]; known && p.base.Key == base.Key && len(p.changes) == 0 {
				list = append(list, s)
			}
		}
	}
	return list
}

// noiseOf is the spread of all that measured the same as the baseline; again says
// that it was measured twice.
func (r *report) noiseOf(base grid.Cell, f figure) (share float64, known, again bool) {
	same := r.sameAs(base)
	var ranges []result.Range
	for _, s := range same {
		ranges = append(ranges, f.of(s))
	}
	share, known = spread(ranges...)
	return share, known, len(same) > 1
}

// noise tells how far the same thing measured twice lies apart.
func (r *report) noise() {
	var rows []string
	for _, file := range r.files {
		for _, p := range r.pairs(file) {
			a, known := r.measured[p.base.Key]
			b, knownAgain := r.measured[p.cell.Key]
			if len(p.changes) > 0 || !known || !knownAgain {
				continue
			}
			for _, f := range figures {
				if share, known, _ := r.noiseOf(p.base, f); known && f.suits(a) {
					v := judge(f.of(b), f.of(a), share, true)
					rows = append(rows, fmt.Sprintf("| %d | %s | %s | %s | %s | %s | %s |\n", a.Threads, loop(a), f.name,
						f.text(f.of(a)), f.text(f.of(b)), percent(v.difference), percent(share)))
				}
			}
		}
	}
	r.printf("## The noise\n\n")
	if len(rows) == 0 {
		r.printf("Nothing was measured twice under two names. What follows takes the spread of the baseline's own runs for the noise.\n\n")
		return
	}
	r.printf("The same settings measured twice under two names, all runs interleaved. The spread, from the lowest to the\n" +
		"highest of the middle halves of the runs of both, divided by the median, is the noise: nothing below is called a difference that\n" +
		"is smaller.\n\n" +
		"| callers | loop | figure | once | again | medians differ by | spread |\n|---|---|---|---|---|---|---|\n")
	r.printf("%s\n", strings.Join(rows, ""))
}

func loop(s result.Summary) string {
	if s.RatePerS > 0 {
		return "open loop at " + result.FormatRate(s.RatePerS)
	}
	return "closed loop"
}

// section is one file.
func (r *report) section(file *grid.File) {
	r.printf("## %s\n\n", file.Title)
	pairs := r.pairs(file)
	var changed []string
	for _, p := range pairs {
		if text := strings.Join(p.changes, ", "); text != "" && !slices.Contains(changed, text) {
			changed = append(changed, text)
		}
	}
	r.printf("`%s`", file.Path)
	if len(changed) == 1 {
		r.printf(", with %s", changed[0])
	}
	r.printf("\n\n")
	if file.Hypothesis != "" {
		r.printf("*Hypothesis.* %s\n\n", file.Hypothesis)
	}
	if file.Expect != "" {
		r.printf("*Expected.* %s\n\n", file.Expect)
	}
	if len(pairs) == 0 {
		r.alone(file)
	} else {
		r.compared(pairs)
	}
	r.earlier(file, pairs)
}

// alone is the table of a file that is compared with nothing.
func (r *report) alone(file *grid.File) {
	var list []candidate
	for _, cell := range file.Cells {
		if s, known := r.measured[cell.Key]; known {
			list = append(list, candidate{cell, s})
		}
	}
	if len(list) == 0 {
		r.printf("Not measured.\n\n")
		return
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.RatePerS, b.RatePerS), a.Threads-b.Threads)
	})
	summaries := make([]result.Summary, len(list))
	for i, c := range list {
		summaries[i] = c.Summary
	}
	few := nearDefault(list)
	if few != nil {
		r.printf("Of %d cells, those that are marked, the default, and what differs from it in one parameter; `%s` has all.\n\n", len(list), r.log)
	}
	r.printf("```\n")
	writeFile(&r.text, summaries, few)
	r.printf("```\n\n")
}

const rowsMax = 24 // of a table that shows all of its cells

// nearDefault says which of many cells are the default or differ from it in one parameter; nil if
// they are few enough to show all.
func nearDefault(list []candidate) []bool {
	if len(list) <= rowsMax {
		return nil
	}
	few := make([]bool, len(list))
	for i, c := range list {
		few[i] = slices.ContainsFunc(list, func(d candidate) bool {
			return isDefault(d.cell.Config.Wait) && len(changes(c.cell, d.cell)) <= 1
		})
	}
	return few
}

// compared has a row for each cell, and a conclusion from the verdicts.
func (r *report) compared(pairs []pair) {
	r.printf("| callers | loop | rate | p99 | CPU time |\n|---|---|---|---|---|\n")
	var conclusion strings.Builder
	for _, p := range pairs {
		s, known := r.measured[p.cell.Key]
		base, knownBase := r.measured[p.base.Key]
		if !known || !knownBase {
			fmt.Fprintf(&conclusion, "- %s: not measured.\n", result.Callers(p.cell.Config.Threads))
			continue
		}
		row := fmt.Sprintf("| %d | %s |", s.Threads, loop(s))
		var said, within []string
		for _, f := range figures {
			if f.name != "p50" {
				row += fmt.Sprintf(" %s |", withRange(f, s))
			}
			if !f.suits(s) {
				continue
			}
			share, known, _ := r.noiseOf(p.base, f)
			if v := judge(f.of(s), f.of(base), share, known); v.within() {
				within = append(within, v.text(f))
			} else {
				said = append(said, v.text(f))
			}
		}
		r.printf("%s\n", row)
		fmt.Fprintf(&conclusion, "- %s, %s: %s.\n", result.Callers(s.Threads), loop(s), sentence(append(said, s.Notes()...), within))
	}
	r.printf("\n*What the data say*, against the baseline:\n\n%s\n", conclusion.String())
}

func withRange(f figure, s result.Summary) string {
	x := f.of(s)
	if !x.Known {
		return "-"
	}
	edge := func(y float64) string { return f.text(result.Range{Median: y, Known: true}) }
	return fmt.Sprintf("%s [%s-%s]", edge(x.Median), edge(x.Min), edge(x.Max))
}

// earlier tells what another program reached, and compares the effect with the
// one that it had there.
func (r *report) earlier(file *grid.File, pairs []pair) {
	if len(file.Earlier) == 0 {
		return
	}
	baseline := map[string]float64{}
	if at := slices.IndexFunc(r.files, func(f *grid.File) bool { return f.Name == file.Compare }); at >= 0 {
		baseline = r.files[at].Earlier
	}
	var said []string
	for _, callers := range slices.SortedFunc(maps.Keys(file.Earlier), byNumber) {
		n, _ := strconv.Atoi(callers)
		text := fmt.Sprintf("%s with %s", result.FormatSig3(file.Earlier[callers]/1e6), result.Callers(n))
		if base, known := baseline[callers]; known {
			effect := file.Earlier[callers]/base - 1
			text += fmt.Sprintf(" (%+.0f %% from its baseline; ours: %s)", effect*100, r.ours(pairs, n, effect))
		}
		said = append(said, text)
	}
	r.printf("An earlier program of another machine reached, in million calls a second: %s.\n\n", strings.Join(said, ", "))
}

// ours is our own effect in the closed loop with so many callers, and whether it
// is the one that was seen elsewhere.
func (r *report) ours(pairs []pair, callers int, effect float64) string {
	for _, p := range pairs {
		ours, known := r.measured[p.cell.Key]
		theirs, knownBase := r.measured[p.base.Key]
		if !known || !knownBase || ours.RatePerS > 0 || ours.Threads != callers {
			continue
		}
		share, noiseKnown, _ := r.noiseOf(p.base, figures[0])
		if v := judge(ours.OpsPerS, theirs.OpsPerS, share, noiseKnown); v.known {
			return fmt.Sprintf("%+.0f %%, %s", v.difference*100, agreement(v, effect))
		}
	}
	return "not known"
}

// agreement says whether we see what the earlier program saw.
func agreement(v verdict, effect float64) string {
	switch {
	case !v.beyond:
		return "within the noise"
	case v.difference*effect > 0:
		return "the same direction"
	default:
		return "the other direction"
	}
}

func byNumber(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return x - y
}
