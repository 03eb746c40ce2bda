// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"dx/experiments/internal/result"
	"dx/experiments/sweep/grid"
	"dx/go/dx"
)

const (
	near = 0.05 // how close to the best the default is meant to be
	fair = 0.8  // the slowest caller's share of the fastest's calls, below which nobody would choose a setting
)

// candidate is a measured cell of a file that searches for the best instead of
// testing a hypothesis against a baseline.
type candidate struct {
	cell grid.Cell
	result.Summary
}

// load is what a program cannot choose: how many call, and when.
type load struct {
	callers int
	perS    float64
}

// candidates returns the fair ones by load.
func (r *report) candidates(file *grid.File) (loads []load, by map[load][]candidate) {
	by = map[load][]candidate{}
	for _, cell := range file.Cells {
		if s, known := r.measured[cell.Key]; known && (!s.Fairness.Known || s.Fairness.Median >= fair) {
			at := load{s.Threads, s.RatePerS}
			if by[at] == nil {
				loads = append(loads, at)
			}
			by[at] = append(by[at], candidate{cell, s})
		}
	}
	slices.SortFunc(loads, func(a, b load) int { return cmp.Or(cmp.Compare(a.perS, b.perS), a.callers-b.callers) })
	return loads, by
}

// searches says whether a file looks for the best of its cells.
func (r *report) searches(file *grid.File) bool {
	return file.Compare == "" && !slices.ContainsFunc(r.files, func(f *grid.File) bool { return f.Compare == file.Name })
}

// choose tells for each load which cells were best, and how far the default is
// from them.
func (r *report) choose() {
	var rows strings.Builder
	for _, file := range r.files {
		if !r.searches(file) {
			continue
		}
		loads, by := r.candidates(file)
		for _, at := range loads {
			for _, f := range figures {
				if len(by[at]) > 1 && f.suits(by[at][0].Summary) {
					rows.WriteString(r.choice(file, f, by[at]))
				}
			}
		}
	}
	if rows.Len() == 0 {
		return
	}
	r.printf("## How to choose\n\n"+
		"For each file that searches, each load and each figure: the best cell, and the default (the preset balanced) beside it.\n"+
		"Settings under which one caller makes less than %.1f of another's calls are left out. The best of many is best by luck, too,\n"+
		"so that the distance is an upper bound; noise is the spread of the middle half of\n"+
		"the default's own runs.\n\n"+
		"| file | callers | loop | figure | best | with | default | default is off by | noise |\n|---|---|---|---|---|---|---|---|---|\n", fair)
	r.printf("%s\n", rows.String())
	r.printf("Find the row of your load and take the settings of the figure that matters to you; where the default is off by less than the\n" +
		"noise there is nothing to gain. `go run ./experiments/tune` does the same search on your machine and writes the file to load.\n\n")
}

// choice is a row of that table.
func (r *report) choice(file *grid.File, f figure, list []candidate) string {
	best := slices.MinFunc(list, func(a, b candidate) int {
		order := cmp.Compare(f.of(a.Summary).Median, f.of(b.Summary).Median)
		if f.more == "higher" {
			return -order
		}
		return order
	})
	row := fmt.Sprintf("| %s | %d | %s | %s | %s | %s |", file.Name, best.Threads, loop(best.Summary), f.name,
		withRange(f, best.Summary), cmp.Or(best.cell.Variant, best.cell.Preset))
	at := slices.IndexFunc(list, func(c candidate) bool { return isDefault(c.cell.Config.Wait) })
	if at < 0 {
		return row + " not measured | | |\n"
	}
	def := f.of(list[at].Summary)
	noise, known := spread(def)
	v := judge(f.of(best.Summary), def, noise, known)
	if !v.known {
		return row + fmt.Sprintf(" %s | not known | |\n", withRange(f, list[at].Summary))
	}
	return row + fmt.Sprintf(" %s | %s | %s |\n", withRange(f, list[at].Summary), distance(v), percent(noise))
}

// distance says how far the default is from the best, and what to think of it.
func distance(v verdict) string {
	switch {
	case v.difference == 0:
		return "0 %: it is the best"
	case v.difference <= near && v.difference >= -near:
		return percent(v.difference) + ": near"
	case !v.beyond:
		return percent(v.difference) + ": within the noise"
	default:
		return "**" + percent(v.difference) + "**"
	}
}

func isDefault(w dx.Wait) bool {
	balanced, err := dx.Preset("balanced")
	return err == nil && w == balanced
}
