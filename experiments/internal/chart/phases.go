// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"slices"
	"strconv"
)

// Phases is how the waits of one side ended, as shares that sum to 1.
type Phases struct {
	Spin, Yield, Park float64
}

// Waits is one bar of each panel of a chart of waits; nil where a side had none.
type Waits struct {
	Threads     int
	Host, Guest *Phases
}

var phases = []struct {
	name  string
	style int
	share func(Phases) float64
}{
	{"ended while spinning", 0, func(p Phases) float64 { return p.Spin }},
	{"ended after a yield", 5, func(p Phases) float64 { return p.Yield }},
	{"ended after a park was begun", 1, func(p Phases) float64 { return p.Park }},
}

// WaitsVsThreads draws a panel for each side: a bar for each number of callers, divided by how the
// waits ended.
func WaitsVsThreads(title string, bars []Waits, footer string, pngPath, svgPath string) error {
	bars = slices.SortedFunc(slices.Values(bars), func(a, b Waits) int { return a.Threads - b.Threads })
	if len(bars) == 0 {
		return fmt.Errorf("chart: no waits to draw")
	}
	sheet := Sheet{Title: title, Columns: 2, Footer: footer, Note: "Sums over all runs. An empty place had no waits."}
	for _, side := range []struct {
		name string
		of   func(Waits) *Phases
	}{
		{"waits of the callers (host)", func(w Waits) *Phases { return w.Host }},
		{"waits of the servers (guest)", func(w Waits) *Phases { return w.Guest }},
	} {
		panel := Panel{Title: " ", X: Axis{Label: "callers: " + side.name}, Stacked: true} // room for the sheet's title
		if panel.Y.Max = 100; len(sheet.Panels) == 0 {
			panel.Y.Label = "share of the waits, %"
		}
		for _, phase := range phases {
			panel.Bars = append(panel.Bars, Bars{Name: phase.name, Style: phase.style, Values: make([]float64, len(bars))})
		}
		for i, bar := range bars {
			panel.Categories = append(panel.Categories, strconv.Itoa(bar.Threads))
			if shares := side.of(bar); shares != nil {
				for j, phase := range phases {
					panel.Bars[j].Values[i] = 100 * phase.share(*shares)
				}
			}
		}
		sheet.Panels = append(sheet.Panels, panel)
	}
	return sheet.Save(pngPath, svgPath)
}
