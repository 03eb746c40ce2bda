// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"image/color"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
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
	share func(Phases) float64
	color color.Color
}{
	{"ended while spinning", func(p Phases) float64 { return p.Spin }, colours[0]},
	{"ended after a yield", func(p Phases) float64 { return p.Yield }, colours[5]},
	{"ended after a park was begun", func(p Phases) float64 { return p.Park }, colours[1]},
}

// WaitsVsThreads draws a panel for each side: a bar for each number of callers, divided by how the
// waits ended.
func WaitsVsThreads(title string, bars []Waits, footer string, pngPath, svgPath string) error {
	bars = slices.SortedFunc(slices.Values(bars), func(a, b Waits) int { return a.Threads - b.Threads })
	if len(bars) == 0 {
		return fmt.Errorf("chart: no waits to draw")
	}
	legend := plot.NewLegend()
	var names []string
	for _, phase := range phases {
		legend.Add(phase.name, swatch{phase.color})
		names = append(names, phase.name)
	}
	var panels []*plot.Plot
	for i, side := range []struct {
		name string
		of   func(Waits) *Phases
	}{
		{"waits of the callers (host)", func(w Waits) *Phases { return w.Host }},
		{"waits of the servers (guest)", func(w Waits) *Phases { return w.Guest }},
	} {
		p, err := waitsPanel(bars, side.of)
		if err != nil {
			return fmt.Errorf("chart: %s: %w", side.name, err)
		}
		p.Title.Text = " " // room for that of the page
		p.X.Label.Text = "callers: " + side.name
		if i == 0 {
			p.Y.Label.Text = "share of the waits, %"
		}
		panels = append(panels, p)
	}
	return page{title: title, panels: panels, legend: legend, names: names, footer: footer,
		note: "Sums over all runs. An empty place had no waits.",
	}.save(pngPath, svgPath)
}

func waitsPanel(bars []Waits, of func(Waits) *Phases) (*plot.Plot, error) {
	p := plot.New()
	p.Add(grid())
	var below *plotter.BarChart
	width := vg.Length(pageWidth/2-80) / vg.Length(len(bars)) * 0.7
	for _, phase := range phases {
		values := make(plotter.Values, len(bars))
		for i, bar := range bars {
			if shares := of(bar); shares != nil {
				values[i] = 100 * phase.share(*shares)
			}
		}
		chart, err := plotter.NewBarChart(values, min(width, 50))
		if err != nil {
			return nil, err
		}
		chart.Color, chart.LineStyle.Width = phase.color, 0
		if below != nil {
			chart.StackOn(below)
		}
		p.Add(chart)
		below = chart
	}
	labels := make([]string, len(bars))
	for i, bar := range bars {
		labels[i] = strconv.Itoa(bar.Threads)
	}
	p.X.Tick.Marker = nominal(labels)
	p.X.Tick.Length = 0
	p.X.Min, p.X.Max = -0.6, float64(len(bars))-0.4
	p.Y.Min, p.Y.Max = 0, 100
	p.Y.Tick.Marker = plot.TickerFunc(func(_, _ float64) (ticks []plot.Tick) {
		for percent := 0; percent <= 100; percent += 20 {
			ticks = append(ticks, plot.Tick{Value: float64(percent), Label: strconv.Itoa(percent)})
		}
		return ticks
	})
	return p, nil
}
