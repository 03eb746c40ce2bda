// SPDX-License-Identifier: Apache-2.0

// Package chart draws results as PNG and SVG.
package chart

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot/plotter"
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
	return opsVs(series, "Round trips per second by number of callers", "callers", footer, pngPath, svgPath)
}

// OpsVsDepth is OpsVsThreads by the calls that each caller has in flight.
func OpsVsDepth(series []Series, footer string, pngPath, svgPath string) error {
	return opsVs(series, "Round trips per second by calls in flight", "calls in flight of each caller", footer, pngPath, svgPath)
}

func opsVs(series []Series, title, axis, footer string, pngPath, svgPath string) error {
	threads, err := check(series)
	if err != nil {
		return err
	}
	unit, label := rateUnit(highest(series))
	panel := Panel{Title: title, X: numbersAxis(axis, threads),
		Y: Axis{Label: label, FromZero: true}}
	references := 0
	for _, s := range series {
		if s.Reference {
			references++
		}
	}
	banded, reach := len(series)-references <= bandsMax, "bars"
	if banded {
		reach = "bands and bars"
	}
	data, reference := 0, 0
	for _, s := range series {
		line := Line{Name: s.Name, Style: data, Banded: banded}
		for _, p := range slices.SortedFunc(slices.Values(s.Points), func(a, b Point) int { return a.Threads - b.Threads }) {
			line.Dots = append(line.Dots, Dot{X: float64(p.Threads), Y: p.Median / unit, Low: p.Min / unit, High: p.Max / unit})
		}
		if data++; s.Reference {
			data, reference = data-1, reference+1
			line.Style, line.Look, line.Banded = -reference, Dashed, false
			line.Dots = extended(line.Dots, panel.X, threads)
		}
		panel.Lines = append(panel.Lines, line)
	}
	return Sheet{Panels: []Panel{panel}, Footer: footer,
		Note: "Points are medians; " + reach + " reach from the slowest to the fastest run or slice."}.Save(pngPath, svgPath)
}

// bandsMax is how many bands can lie over each other and be told apart.
const bandsMax = 6

// rateUnit is what one unit of the axis of rates stands for: a million round trips a second, or one
// where that would be all zeros.
func rateUnit(highest float64) (unit float64, label string) {
	if highest < 1e4 {
		return 1, "round trips per second"
	}
	return 1e6, "million round trips per second"
}

// widest is how far numbers of callers lie apart on an axis that is not logarithmic.
const widest = 8

// numbersAxis has a tick at each measured number.
func numbersAxis(label string, threads []int) Axis {
	a := Axis{Label: label, Logarithmic: threads[len(threads)-1] > widest*threads[0]}
	if a.Logarithmic {
		a.Label += " (logarithmic)"
	}
	for _, n := range threads {
		a.Ticks = append(a.Ticks, Tick{float64(n), strconv.Itoa(n)})
	}
	return a
}

// extended draws a reference to beyond all points, at the height of its outermost.
func extended(dots []Dot, a Axis, threads []int) []Dot {
	first, last := float64(threads[0]), float64(threads[len(threads)-1])
	below, above := first-max((last-first)*0.05, 0.5), last+max((last-first)*0.05, 0.5)
	if a.Logarithmic {
		room := math.Pow(last/first, 0.04)
		below, above = first/room, last*room
	}
	line := []Dot{{X: below, Y: dots[0].Y}}
	for _, dot := range dots {
		if dot.X > below && dot.X < above {
			line = append(line, Dot{X: dot.X, Y: dot.Y})
		}
	}
	return append(line, Dot{X: above, Y: dots[len(dots)-1].Y})
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

// ranges gives each median the distance to its smallest and largest run.
type ranges struct {
	plotter.XYs
	plotter.YErrors
}

// faint is a colour that lets others through.
func faint(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	return color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 40}
}
