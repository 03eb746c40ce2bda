// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"dx/experiments/internal/stat"
)

// Distribution is one line of a percentile chart.
type Distribution struct {
	Name    string
	Latency *stat.Latency
	// Twin draws it dashed in the colour of the one before, of which it is another view.
	Twin bool
}

// Percentiles draws which time a share of the calls did not exceed. The horizontal axis counts
// nines, so that 99 % and 99.9 % lie as far apart as 90 % and 99 %; each line ends where fewer than
// a hundred calls lie beyond.
func Percentiles(title string, lines []Distribution, footer string, pngPath, svgPath string) error {
	panel := Panel{Title: title, X: Axis{Label: "percentile of the calls (logarithmic in nines)", Ticks: Nines, FromZero: true},
		Y: Axis{Label: "time of a call (logarithmic)", Logarithmic: true, Format: formatTime}}
	style := -1
	for _, d := range lines {
		line := Line{Name: d.Name, Look: Plain, Dots: Quantiles(d.Latency)}
		if len(line.Dots) == 0 {
			return fmt.Errorf("chart: %q has too few calls for a percentile", d.Name)
		}
		if d.Twin {
			line.Look = Dashed
		}
		if !d.Twin || style < 0 {
			style++
		}
		line.Style = style
		panel.Lines = append(panel.Lines, line)
	}
	return Sheet{Panels: []Panel{panel}, Footer: footer, Note: "A line ends where fewer than 100 calls lie beyond it."}.Save(pngPath, svgPath)
}

// Quantiles are the dots of a line: x in nines, y in ns.
func Quantiles(l *stat.Latency) (dots []Dot) {
	const step = 0.02
	for i := 0; ; i++ {
		x := step * float64(i)
		ns, ok := l.Quantile(1 - math.Pow(10, -x))
		if !ok {
			return dots
		}
		dots = append(dots, Dot{X: x, Y: float64(max(ns, 1))})
	}
}

// Nines are the ticks of an axis of percentiles.
var Nines = []Tick{{0, "0 %"}, {-math.Log10(0.5), "50 %"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}, {4, "99.99 %"},
	{5, "99.999 %"}, {6, "99.9999 %"}, {7, "99.99999 %"}}

// setLogAxis makes an axis logarithmic, from low to high. What is drawn are logarithms on a linear
// axis: the library leaves an empty space beside the axes that it takes logarithms for.
func setLogAxis(axis *plot.Axis, low, high float64, format func(float64) string) {
	axis.Min, axis.Max = math.Log10(low), math.Log10(high)
	axis.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return decades(low, high, format) })
}

// decades ticks at every digit and labels powers of ten; where those are few, halves and fifths, too;
// within a decade all. Less than half a decade has ticks as a linear axis. It works with logarithms.
func decades(low, high float64, format func(float64) string) (ticks []plot.Tick) {
	if high-low < 0.5 {
		return within(math.Pow(10, low), math.Pow(10, high), format)
	}
	for power := math.Floor(low); power <= high; power++ {
		for digit := 1.0; digit < 10; digit++ {
			tick := plot.Tick{Value: power + math.Log10(digit)}
			if tick.Value < low || tick.Value > high {
				continue
			}
			if digit == 1 || high-low < 3 && (digit == 2 || digit == 5) || high-low < 1 {
				tick.Label = format(digit * math.Pow(10, power))
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// within ticks at round numbers at even distances.
func within(low, high float64, format func(float64) string) (ticks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10(high-low)))
	for _, part := range []float64{0.2, 0.5} {
		if (high-low)/step < 4 {
			step *= part
			break
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: math.Log10(i * step), Label: format(i * step)})
	}
	return ticks
}

// formatTime writes a round time with the unit that suits it.
func formatTime(ns float64) string {
	for _, unit := range []struct {
		ns   float64
		name string
	}{{1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}} {
		if ns >= unit.ns*0.999 {
			return formatRound(ns/unit.ns) + unit.name
		}
	}
	return formatRound(ns) + " ns"
}

// formatRound hides the error of a power of ten.
func formatRound(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

// crosses is a grid in both directions.
func crosses() *plotter.Grid {
	g := grid()
	g.Vertical = g.Horizontal
	return g
}

// swatch is a legend's filled square.
type swatch struct{ color.Color }

func (s swatch) Thumbnail(c *draw.Canvas) {
	middle := c.Center()
	const half = 5
	c.FillPolygon(s.Color, []vg.Point{
		{X: middle.X - half, Y: middle.Y - half}, {X: middle.X + half, Y: middle.Y - half},
		{X: middle.X + half, Y: middle.Y + half}, {X: middle.X - half, Y: middle.Y + half},
	})
}
