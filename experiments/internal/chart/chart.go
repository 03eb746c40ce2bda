// SPDX-License-Identifier: Apache-2.0

// Package chart draws results as PNG and SVG.
package chart

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Point is the rate at one number of callers, in round trips a second.
type Point struct {
	Threads          int
	Median, Min, Max float64
}

// Series is one line of a chart.
type Series struct {
	// Name is what the legend calls it.
	Name string
	// Points may come in any order.
	Points []Point
	// Reference marks what the line is to be compared with, such as the bare cache line: it is
	// drawn dashed, over the whole chart, without points and ranges. Min and Max are not used.
	Reference bool
}

// OpsVsThreads draws round trips a second over the number of callers: a line through the medians,
// a bar from the smallest to the largest run at each, and between those a band unless too many would
// lie over each other, dashed lines for references, the legend below
// the chart, and under it the footer in small type. The axis of callers is logarithmic if they
// differ by more than a factor of 8. A path that is empty leaves out that format. Each file appears
// complete or not at all.
func OpsVsThreads(series []Series, footer string, pngPath, svgPath string) error {
	threads, err := check(series)
	if err != nil {
		return err
	}
	p := plot.New()
	p.Title.Text = "Round trips per second by number of callers"
	p.X.Label.Text = "callers"
	unit := setRateAxis(p, highest(series))
	setThreadsAxis(p, threads)
	p.Add(grid())
	legend := plot.NewLegend()
	reach := "bars"
	if data := len(series) - countReferences(series); data <= bandsMax {
		if err := addBands(p, series, unit); err != nil {
			return err
		}
		reach = "bands and bars"
	}
	if err := addLines(p, &legend, series, unit); err != nil {
		return err
	}
	return page{panels: []*plot.Plot{p}, legend: legend, names: names(series), footer: footer,
		note: "Points are medians; " + reach + " reach from the slowest to the fastest run.",
	}.save(pngPath, svgPath)
}

// check returns the numbers of callers that were measured, ascending.
func check(series []Series) ([]int, error) {
	var threads, reference []int
	for _, s := range series {
		if len(s.Points) == 0 {
			return nil, fmt.Errorf("chart: series %q has no points", s.Name)
		}
		for _, p := range s.Points {
			if p.Threads < 1 {
				return nil, fmt.Errorf("chart: series %q has a point at %d callers", s.Name, p.Threads)
			}
			if sum := p.Median + p.Min + p.Max; math.IsNaN(sum) || math.IsInf(sum, 0) {
				return nil, fmt.Errorf("chart: series %q has no rate at %d callers", s.Name, p.Threads)
			}
			if s.Reference {
				reference = append(reference, p.Threads)
			} else {
				threads = append(threads, p.Threads)
			}
		}
	}
	if len(threads) == 0 {
		threads = reference
	}
	if len(threads) == 0 {
		return nil, fmt.Errorf("chart: nothing to draw")
	}
	slices.Sort(threads)
	return slices.Compact(threads), nil
}

// highest returns the largest rate that is drawn.
func highest(series []Series) float64 {
	rate := 0.0
	for _, s := range series {
		for _, p := range s.Points {
			rate = max(rate, p.Median)
			if !s.Reference {
				rate = max(rate, p.Max)
			}
		}
	}
	return rate
}

func names(series []Series) []string {
	var list []string
	for _, s := range series {
		list = append(list, s.Name)
	}
	return list
}

// addLines draws references first, so that data lies above them, but lists them last.
func addLines(p *plot.Plot, legend *plot.Legend, series []Series, unit float64) error {
	var references []func()
	for _, s := range series {
		if !s.Reference {
			continue
		}
		line, err := plotter.NewLine(extended(p, ascending(s.Points), unit))
		if err != nil {
			return fmt.Errorf("chart: series %q: %w", s.Name, err)
		}
		line.LineStyle = referenceStyle(len(references))
		p.Add(line)
		references = append(references, func() { legend.Add(shorten(s.Name), line) })
	}
	data := 0
	for _, s := range series {
		if s.Reference {
			continue
		}
		if err := addData(p, legend, s, data, unit); err != nil {
			return fmt.Errorf("chart: series %q: %w", s.Name, err)
		}
		data++
	}
	for _, list := range references {
		list()
	}
	return nil
}

func ascending(points []Point) []Point {
	return slices.SortedFunc(slices.Values(points), func(a, b Point) int { return a.Threads - b.Threads })
}

// ranges gives each median the distance to its smallest and largest run.
type ranges struct {
	plotter.XYs
	plotter.YErrors
}

// bandsMax is how many bands can lie over each other and be told apart.
const bandsMax = 6

func countReferences(series []Series) (count int) {
	for _, s := range series {
		if s.Reference {
			count++
		}
	}
	return count
}

// addBands draws the bands first, so that no line is dulled by one.
func addBands(p *plot.Plot, series []Series, unit float64) error {
	number := 0
	for _, s := range series {
		if s.Reference {
			continue
		}
		var upper, lower plotter.XYs
		for _, point := range ascending(s.Points) {
			upper = append(upper, plotter.XY{X: float64(point.Threads), Y: point.Max / unit})
			lower = append(lower, plotter.XY{X: float64(point.Threads), Y: point.Min / unit})
		}
		slices.Reverse(lower)
		band, err := plotter.NewPolygon(append(upper, lower...))
		if err != nil {
			return fmt.Errorf("chart: series %q: %w", s.Name, err)
		}
		style, _ := dataStyle(number)
		band.Color, band.LineStyle.Width = faint(style.Color), 0
		p.Add(band)
		number++
	}
	return nil
}

func addData(p *plot.Plot, legend *plot.Legend, s Series, number int, unit float64) error {
	var r ranges
	for _, point := range ascending(s.Points) {
		r.XYs = append(r.XYs, plotter.XY{X: float64(point.Threads), Y: point.Median / unit})
		r.YErrors = append(r.YErrors, struct{ Low, High float64 }{
			(point.Min - point.Median) / unit, (point.Max - point.Median) / unit,
		})
	}
	line, dots, err := plotter.NewLinePoints(r.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(r)
	if err != nil {
		return err
	}
	line.LineStyle, dots.GlyphStyle = dataStyle(number)
	bars.LineStyle.Color, bars.LineStyle.Width = line.Color, vg.Points(1)
	bars.CapWidth = vg.Points(7)
	p.Add(bars, line, dots)
	legend.Add(shorten(s.Name), line, dots)
	return nil
}

// faint is a colour that lets others through.
func faint(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	return color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 40}
}

// extended draws a reference to both edges of the chart at the height of its outermost points.
func extended(p *plot.Plot, points []Point, unit float64) plotter.XYs {
	line := plotter.XYs{{X: p.X.Min, Y: points[0].Median / unit}}
	for _, point := range points {
		if x := float64(point.Threads); x > p.X.Min && x < p.X.Max {
			line = append(line, plotter.XY{X: x, Y: point.Median / unit})
		}
	}
	return append(line, plotter.XY{X: p.X.Max, Y: points[len(points)-1].Median / unit})
}
