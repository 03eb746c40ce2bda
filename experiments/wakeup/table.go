// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
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
	for _, group := range groups(cells, func(c result.Cell) string { return c.Variant + c.Host + c.Transport }) {
		first := group[0]
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", first.Variant, first.Host, first.Transport,
			len(group), samplesOf(group), percentile(group, 0.5, func(c result.Cell) *int64 { return c.RTTP50Ns }),
			percentile(group, 0.99, func(c result.Cell) *int64 { return c.RTTP99Ns }),
			half(group), result.FormatSig3(stat.Median(each(group, cpuOf))), sleptOf(group))
	}
	_ = t.Flush() // into memory
	return text.String() + tripLegend
}

// groups keeps what belongs together, in the order in which it came first.
func groups[T any](all []T, key func(T) string) (out [][]T) {
	at := map[string]int{}
	for _, one := range all {
		i, ok := at[key(one)]
		if !ok {
			i = len(out)
			at[key(one)] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], one)
	}
	return out
}

func each[T any](all []T, value func(T) float64) (out []float64) {
	for _, one := range all {
		out = append(out, value(one))
	}
	return out
}

func samplesOf(group []result.Cell) (n uint64) {
	for _, c := range group {
		n += c.RTTSamples
	}
	return n
}

// cpuOf is in µs a round trip, which is in seconds a million of them.
func cpuOf(c result.Cell) float64 {
	if c.CPUSPerMop == nil {
		return 0
	}
	return *c.CPUSPerMop
}

// percentile returns three columns: of single runs where all of them have it, else
// of all samples together.
func percentile(group []result.Cell, q float64, of func(result.Cell) *int64) string {
	var runs []float64
	together := stat.NewLatency()
	for _, c := range group {
		if ns := of(c); ns != nil {
			runs = append(runs, float64(*ns))
		}
		if l, err := stat.DecodeLatency(c.RTTHistogram); err == nil {
			together.Merge(l)
		}
	}
	if len(runs) == len(group) {
		return fmt.Sprintf("%s\t%s\t%s", result.FormatNs(stat.Median(runs)),
			result.FormatNs(stat.Min(runs)), result.FormatNs(stat.Max(runs)))
	}
	if ns, ok := together.Quantile(q); ok {
		return "~" + result.FormatNs(float64(ns)) + "\t-\t-"
	}
	return "-\t-\t-"
}

func half(group []result.Cell) string {
	var runs []float64
	for _, c := range group {
		if c.RTTP50Ns != nil {
			runs = append(runs, float64(*c.RTTP50Ns)/2)
		}
	}
	if len(runs) == 0 {
		return "-"
	}
	return result.FormatNs(stat.Median(runs))
}

// sleptOf proves the regime: that waits really ended in sleeps.
func sleptOf(group []result.Cell) string {
	last := group[len(group)-1]
	if last.Waits.Host == nil {
		return "100/100" // there is nothing else that these do
	}
	_, _, host, _ := last.Waits.Host.Shares()
	_, _, guest, _ := last.Waits.Guest.Shares()
	return fmt.Sprintf("%.0f/%.0f", 100*host, 100*guest)
}
