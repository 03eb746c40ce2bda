// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// table writes a block for each distance at which something was measured.
func table(w io.Writer, all []sample) error {
	for _, d := range result.Distances {
		if d == result.Moved {
			continue
		}
		here := slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return s.Distance != d })
		if len(here) == 0 {
			continue
		}
		if err := block(w, d, here); err != nil {
			return err
		}
	}
	moved := 0
	for _, s := range all {
		if s.Distance == result.Moved {
			moved++
		}
	}
	_, err := fmt.Fprintf(w, "added: to the median of the row above; of calls, to that of all steps. %d of %d samples did not\n"+
		"count, as the CPUs moved meanwhile.\n\n", moved, len(all))
	return err
}

func block(w io.Writer, d result.Distance, here []sample) error {
	var floors []float64
	for _, s := range here {
		floors = append(floors, s.FloorNs)
	}
	fmt.Fprintf(w, "%s; a line: %.0f ns [%.0f-%.0f]\n", d.Title(), stat.Median(floors), stat.Min(floors), stat.Max(floors))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ns\tmin\tmax\tadded\tsamples\t \t")
	before := 0.0
	for i, what := range rows() {
		var ns []float64
		for _, s := range here {
			if s.What == what {
				ns = append(ns, s.RTTNs)
			}
		}
		if len(ns) == 0 {
			continue
		}
		median := stat.Median(ns)
		added := ""
		if i > 0 && before > 0 {
			added = fmt.Sprintf("%+.1f", median-before)
		}
		fmt.Fprintf(t, "%.1f\t%.1f\t%.1f\t%s\t%d\t\t%s\n", median, stat.Min(ns), stat.Max(ns), added, len(ns), what)
		if what != callInC {
			before = median
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
