// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// available leaves out what could not be had.
func available(all []measured) (kept []measured) {
	for _, m := range all {
		if m.Unavailable == "" {
			kept = append(kept, m)
		}
	}
	return kept
}

func loopNames(all []measured) (names []string) {
	for _, m := range all {
		for _, f := range m.Figures {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// table has a row for each loop and a column for each mapping: median nanoseconds a line.
func table(c config, all []measured) string {
	var text strings.Builder
	all = available(all)
	for _, size := range c.sizes {
		fmt.Fprintf(&text, "%d KiB, ns a line of 64 bytes (median of %d runs)\n", size>>10, c.runs)
		t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "\t")
		for _, m := range all {
			fmt.Fprintf(t, "%s\t", m.Where)
		}
		fmt.Fprint(t, "\nloop\t")
		for _, m := range all {
			_, name, _ := strings.Cut(m.String(), ", ")
			fmt.Fprintf(t, "%s\t", strings.TrimSuffix(name, " memory"))
		}
		fmt.Fprintln(t)
		for _, name := range loopNames(all) {
			fmt.Fprintf(t, "%s\t", name)
			for _, m := range all {
				fmt.Fprintf(t, "%s\t", cell(m, name, size))
			}
			fmt.Fprintln(t)
		}
		_ = t.Flush()
		fmt.Fprintln(&text)
	}
	return text.String()
}

func cell(m measured, loop string, bytes int) string {
	f, ok := m.find(loop, bytes)
	if !ok {
		return "-"
	}
	return result.FormatSig3(stat.Median(f.perLine()))
}

// longTable has everything, a row for each loop over each mapping.
func longTable(all []measured) string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mapping\tKiB\tloop\tns a line\tmin\tmax\tns an access\tns a byte\tMB/s\t")
	for _, m := range available(all) {
		for _, f := range m.Figures {
			ns, access := f.perLine(), "-"
			if f.AccessesPerLine > 0 {
				access = result.FormatSig3(f.perAccess())
			}
			rate := f.bytesPerSecond()
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", m, f.Bytes>>10, f.Name,
				result.FormatSig3(stat.Median(ns)), result.FormatSig3(stat.Min(ns)),
				result.FormatSig3(stat.Max(ns)), access, result.FormatSig3(1e9/rate), result.FormatSig3(rate/1e6))
		}
	}
	_ = t.Flush()
	return text.String()
}

// draw makes a field for each loop over each mapping, of the largest size.
func draw(c config, e env.Environment, all []measured, png, svg string) error {
	all = available(all)
	size := slices.Max(c.sizes)
	h := chart.HeatMap{
		Title:  fmt.Sprintf("What a line of 64 bytes costs, by mapping (%d KiB)", size>>10),
		XLabel: "mapping", YLabel: "loop: bytes x accesses a line", What: "ns a line", Logarithmic: true,
		Format: result.FormatSig3, Footer: e.Footer(), Y: loopNames(all),
	}
	slices.Reverse(h.Y) // the first one on top
	for _, m := range all {
		h.X = append(h.X, strings.Replace(m.String(), ", ", "\n", 1))
	}
	for _, name := range h.Y {
		var row []float64
		for _, m := range all {
			value := math.NaN()
			if f, ok := m.find(name, size); ok {
				value = stat.Median(f.perLine())
			}
			row = append(row, value)
		}
		h.Values = append(h.Values, row)
	}
	return h.Save(png, svg)
}
