// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"dx/experiments/internal/result"
)

const summaryLegend = `M/s      million calls a second: median, smallest and largest of the runs
p50, p99 in an open loop from when the call was to start; - for lack of samples
CPU s/M  CPU seconds of both sides per million calls
s/y/p    % of the waits that ended while spinning, after a yield, after a park was begun
*        no other cell with as many callers, payload and rate is at least as good in rate, p99 and CPU time
best     highest median rate with so many callers in a closed loop
`

// writeSummary prints a table for each file: a line for each cell.
func writeSummary(w io.Writer, cells []result.Cell) error {
	groups := result.Group(result.Summarise(cells), func(s result.Summary) string { return s.Experiment })
	if len(groups) == 0 {
		return nil
	}
	var text bytes.Buffer
	for _, group := range groups {
		writeFile(&text, group, nil)
	}
	text.WriteString(summaryLegend)
	_, err := w.Write(text.Bytes())
	return err
}

// writeFile is the table of a group: of all its cells, or of those that are marked and of few.
func writeFile(text *bytes.Buffer, group []result.Summary, few []bool) {
	fewest := slices.MinFunc(group, func(a, b result.Summary) int { return a.Runs - b.Runs }).Runs
	fmt.Fprintf(text, "%s; at least %d runs of each cell\n", group[0].Experiment, fewest)
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "callers\trate\tM/s\tmin\tmax\tp50\tp99\tfair\tCPU s/M\tof bare\thost s/y/p\tguest s/y/p\t\t\n")
	labels, front, best := result.Labels(group), result.Front(group), bestOf(group)
	for i, s := range group {
		if few != nil && !few[i] && !front[i] && !best[i] {
			continue
		}
		rate := "closed"
		if s.RatePerS > 0 {
			rate = result.FormatSig3(s.RatePerS)
		}
		mega := func(x float64) string { return result.FormatSig3(x / 1e6) }
		p50, _, p99, _, _ := s.Latency()
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", s.Threads, rate,
			mega(s.OpsPerS.Median), mega(s.OpsPerS.Min), mega(s.OpsPerS.Max),
			p50.Format(result.FormatNs), p99.Format(result.FormatNs), s.Fairness.Format(result.FormatSig3),
			s.CPUSPerMop.Format(result.FormatSig3), s.BareRatio.Format(result.FormatSig3),
			result.FormatShares(s.Waits.Host), result.FormatShares(s.Waits.Guest), mark(front[i], best[i]), labels[i])
	}
	table.Flush() // a bytes.Buffer takes everything
	for i, s := range group {
		for _, note := range s.Notes() {
			fmt.Fprintf(text, "  %s, %s: %s\n", result.Callers(s.Threads), labels[i], note)
		}
	}
	text.WriteByte('\n')
}

func mark(front, best bool) string {
	switch {
	case best && front:
		return "* best"
	case best:
		return "best"
	case front:
		return "*"
	}
	return ""
}

// bestOf finds the highest rate for each number of callers and payload.
func bestOf(group []result.Summary) []bool {
	type load struct{ threads, payload int }
	first := map[load]int{}
	best := make([]bool, len(group))
	for i, s := range group {
		if s.RatePerS > 0 || !s.OpsPerS.Known || s.VerifyFailures > 0 {
			continue
		}
		at, known := first[load{s.Threads, s.PayloadBytes}]
		if known && group[at].OpsPerS.Median >= s.OpsPerS.Median {
			continue
		}
		if known {
			best[at] = false
		}
		first[load{s.Threads, s.PayloadBytes}], best[i] = i, true
	}
	return best
}
