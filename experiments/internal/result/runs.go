// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"

	"dx/experiments/internal/stat"
)

// Runs are the runs of one line of a table, where every round trip was timed.
type Runs []Cell

// Together marks a percentile in a table that is one of all runs together.
const Together = "~"

// Percentile returns that of a round trip, in ns, over the runs: 0.5, 0.9 or 0.99; in an open loop
// from when a call was to start. If single runs have too few samples, together is true and all of
// Range's figures are that of all samples; if those are too few, it is not known.
func (r Runs) Percentile(q float64) (p Range, together bool) {
	if p := rangeOf(r, func(c Cell) *int64 { return c.percentile(q) }); p.Known {
		return p, false
	}
	all := stat.NewLatency()
	for _, c := range r {
		text := c.RTTHistogram
		if c.RatePerS != nil {
			text = c.IntendedHistogram
		}
		if l, err := stat.DecodeLatency(text); err == nil {
			all.Merge(l)
		}
	}
	ns, ok := all.Quantile(q)
	x := float64(ns)
	return Range{x, x, x, x, x, ok}, ok
}

func (c Cell) percentile(q float64) *int64 {
	p50, p90, p99 := c.RTTP50Ns, c.RTTP90Ns, c.RTTP99Ns
	if c.RatePerS != nil {
		p50, p90, p99 = c.IntendedP50Ns, c.IntendedP90Ns, c.IntendedP99Ns
	}
	return map[float64]*int64{0.5: p50, 0.9: p90, 0.99: p99}[q]
}

// FormatPercentile writes the median of the runs' percentiles, and the smallest and the largest; of
// all runs together it is marked and stands alone; dashes: not known.
func (r Runs) FormatPercentile(q float64) (median, smallest, largest string) {
	p, together := r.Percentile(q)
	switch {
	case !p.Known:
		return "-", "-", "-"
	case together:
		return Together + FormatNs(p.Median), "-", "-"
	}
	return FormatNs(p.Median), FormatNs(p.Min), FormatNs(p.Max)
}

// Samples counts the round trips of all runs that were timed.
func (r Runs) Samples() (n uint64) {
	for _, c := range r {
		n += c.RTTSamples
	}
	return n
}

// CPUSPerMop is what both sides use: CPU seconds a million round trips, which is µs for one.
func (r Runs) CPUSPerMop() Range {
	return rangeOf(r, func(c Cell) *float64 { return c.CPUSPerMop })
}

// PaceCPUSPerMop is what of that the host needs to wait for the starts of an open loop.
func (r Runs) PaceCPUSPerMop() Range {
	return rangeOf(r, func(c Cell) *float64 { return c.PaceCPUSPerMop })
}

// BareRatio is the rate over that of the bare loop.
func (r Runs) BareRatio() Range {
	return rangeOf(r, func(c Cell) *float64 { return c.BareRatio })
}

// PerS is the rate that was reached.
func (r Runs) PerS() Range {
	return rangeOf(r, func(c Cell) *float64 { return c.OpsPerS })
}

// FormatSlept proves that waits really ended in sleeps: the share of them in percent, of calling and
// of answering side; dashes where nobody counts.
func (r Runs) FormatSlept() string {
	share := func(of func(Cell) *WaitCounts) string {
		sum := sumOf(r, of)
		if sum == nil {
			return "-"
		}
		if _, _, park, ok := sum.Shares(); ok {
			return formatPercent(park)
		}
		return "-"
	}
	return fmt.Sprintf("%s/%s", share(func(c Cell) *WaitCounts { return c.Waits.Host }),
		share(func(c Cell) *WaitCounts { return c.Waits.Guest }))
}

// Group keeps what belongs together, in the order in which it came first.
func Group[T any](all []T, key func(T) string) (out [][]T) {
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
