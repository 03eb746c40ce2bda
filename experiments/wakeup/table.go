// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/result"
)

const tripLegend = `Both sides sleep at once; a round trip is two wake-ups. p50, p99: of a round trip, median of the runs with their
smallest and largest; ~ marks a percentile of all runs together, where single runs have too few samples for it, and - one for
which even those are too few. half: half of that p50, as an idea of one wake-up; one way was not measured. CPU us: of both
sides for a round trip. slept: % of the waits of calling and of answering side that ended in a sleep.
`

// tripTable has a line for each kind, sides and transport, in the order of the first run.
func tripTable(cells []result.Cell) string {
	if len(cells) == 0 {
		return ""
	}
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "sleep\tsides\ttransport\truns\tsamples\tp50\tmin\tmax\tp99\tmin\tmax\thalf\tCPU us\tslept\t")
	for _, group := range result.Group(cells, func(c result.Cell) string { return c.Variant + c.Host + c.Transport }) {
		first := group[0]
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", first.Variant, first.Host, first.Transport,
			len(group), result.Runs(group).Samples(), percentile(group, 0.5), percentile(group, 0.99),
			half(group), result.Runs(group).CPUSPerMop().Format(result.FormatSig3), sleptOf(group))
	}
	_ = t.Flush() // into memory
	return text.String() + tripLegend
}

// percentile returns three columns.
func percentile(group result.Runs, q float64) string {
	median, smallest, largest := group.FormatPercentile(q)
	return median + "\t" + smallest + "\t" + largest
}

func half(group result.Runs) string {
	p50, together := group.Percentile(0.5)
	if !p50.Known || together {
		return "-"
	}
	return result.FormatNs(p50.Median / 2)
}

// sleptOf knows of the bare ones that there is nothing else that they do.
func sleptOf(group result.Runs) string {
	if group[0].Waits.Host == nil {
		return "100/100"
	}
	return group.FormatSlept()
}
