// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sheet is a page of panels that share a legend: what has the same name has the same look.
type Sheet struct {
	// Title stands above all panels; their own leave room for it.
	Title  string
	Panels []Panel
	// Columns is how many of them lie side by side; 0: all.
	Columns int
	// RowsOfPanel makes panels high enough for so many named places of their vertical axis.
	RowsOfPanel int
	// Note says how to read it, Footer on what it was measured.
	Note, Footer string
}

// Panel is one plot: lines over two axes of numbers, or bars over categories.
type Panel struct {
	Title string
	X, Y  Axis
	Lines []Line
	// Categories are the places of bars.
	Categories []string
	Bars       []Bars
	// Stacked puts bars on top of each other, not side by side.
	Stacked bool
	// Format, if set, writes the figure of each bar above it.
	Format func(float64) string
}

// Axis says what an axis shows.
type Axis struct {
	Label string
	// Logarithmic axes show nothing below or at 0.
	Logarithmic bool
	// Format writes the numbers of a logarithmic axis.
	Format func(float64) string
	// Ticks, if set, stand instead of round numbers.
	Ticks []Tick
	// FromZero begins the axis at 0; Max, if set, is its end.
	FromZero bool
	Max      float64
}

// Tick is a named place of an axis.
type Tick struct {
	Value float64
	Label string
}

// Look is how a line is drawn.
type Look int

// The looks.
const (
	Solid  Look = iota // with a mark at each dot
	Plain              // without marks
	Dashed             // a reference
	Dots               // dots alone
	Steps              // a histogram's outline: each dot is the left edge of its bar
)

// Line is a series of dots.
type Line struct {
	// Name stands in the legend; empty for none.
	Name string
	// Style is a number for colour and mark; below 0 are those of references, which are grey.
	Style int
	Look  Look
	Dots  []Dot
	// Banded fills what lies between the ranges of a solid line's dots.
	Banded bool
	// Named writes the name beside the first dot, and not in the legend.
	Named bool
}

// Dot is one place of a line; Low and High, if they differ, are drawn as its range, and Label, if
// set, beside it.
type Dot struct {
	X, Y, Low, High float64
	Label           string
}

// Bars are one value for each category; NaN where nothing was measured, which is written as NA.
type Bars struct {
	Name   string
	Style  int
	Values []float64
}

// Save draws the sheet; a path that is empty leaves out that format.
func (s Sheet) Save(pngPath, svgPath string) error {
	if len(s.Panels) == 0 {
		return errors.New("chart: nothing to draw")
	}
	g := page{title: s.Title, columns: s.Columns, height: s.height(), legend: plot.NewLegend(), note: s.Note, footer: s.Footer}
	known := map[string]bool{}
	list := func(name string, thumbs ...plot.Thumbnailer) {
		if name != "" && !known[name] {
			known[name] = true
			g.legend.Add(shorten(name), thumbs...)
			g.names = append(g.names, name)
		}
	}
	width := vg.Length(plotWidth)
	if s.Columns > 0 {
		width = pageWidth/vg.Length(s.Columns) - 70
	}
	for _, panel := range s.Panels {
		p, err := panel.plot(width, s.height(), list)
		if err != nil {
			return fmt.Errorf("chart: %q: %w", panel.Title, err)
		}
		g.panels = append(g.panels, p)
	}
	return g.save(pngPath, svgPath)
}

// height is that of one of several rows of panels, and of what their named places need.
func (s Sheet) height() vg.Length {
	const each, around = 15, 90
	return max(rowHeight, vg.Length(s.RowsOfPanel)*each+around)
}

func (panel Panel) plot(width, height vg.Length, list func(string, ...plot.Thumbnailer)) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = panel.Title, panel.X.Label, panel.Y.Label
	p.Add(grid())
	if len(panel.Categories) > 0 {
		return p, panel.addBars(p, width, list)
	}
	for _, line := range panel.Lines { // bands first, so that no line is dulled by one
		if line.Banded {
			if err := panel.addBand(p, line); err != nil {
				return nil, fmt.Errorf("%q: %w", line.Name, err)
			}
		}
	}
	dots := 0
	for _, line := range panel.Lines {
		listed := list
		if line.Named {
			listed = func(string, ...plot.Thumbnailer) {}
		}
		drawn, err := panel.addLine(p, line, listed)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line.Name, err)
		}
		dots += drawn
	}
	if dots == 0 {
		return nil, errors.New("nothing to draw")
	}
	p.Add(panel.nameplates())
	if err := panel.X.set(&p.X, width, legendStyle().Width); err != nil {
		return nil, err
	}
	return p, panel.Y.set(&p.Y, height, legendStyle().Height)
}

// set gives the axis of the library, which knows its data by now, its ends and ticks; size is what a
// label takes of its length.
func (a Axis) set(axis *plot.Axis, length vg.Length, size func(string) vg.Length) error {
	if a.FromZero && !a.Logarithmic {
		axis.Min = min(axis.Min, 0)
	}
	if room := (axis.Max - axis.Min) * 0.06; room > 0 {
		axis.Max += room
		if !a.FromZero {
			axis.Min -= room
		}
	} else if a.FromZero && axis.Max <= 0 && !a.Logarithmic { // all are 0
		axis.Min, axis.Max = 0, 1
	} else { // all alike
		axis.Min, axis.Max = axis.Min-0.5, axis.Max+0.5
	}
	if a.Max != 0 {
		axis.Max = a.Max
	}
	if math.IsInf(axis.Max-axis.Min, 0) || math.IsNaN(axis.Max-axis.Min) {
		return fmt.Errorf("axis %q goes from %v to %v", a.Label, axis.Min, axis.Max)
	}
	format := a.Format
	if format == nil {
		format = formatRound
	}
	switch {
	case a.Ticks != nil:
		axis.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return thin(a.named(), low, high, length, size) })
	case a.Logarithmic:
		axis.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
			return thin(decades(low, high, format), low, high, length, size)
		})
	case axis.Min >= 0 && a.FromZero:
		axis.Tick.Marker = plot.TickerFunc(round)
	default:
		axis.Tick.Marker = plot.TickerFunc(between)
	}
	return nil
}

// place is where a value lies on the axis: see setLogAxis for why logarithms are taken here.
func (a Axis) place(value float64) (float64, bool) {
	if !a.Logarithmic {
		return value, !math.IsNaN(value) && !math.IsInf(value, 0)
	}
	return math.Log10(value), value > 0 && !math.IsInf(value, 0)
}

// named are the places that the axis can show.
func (a Axis) named() (ticks []plot.Tick) {
	for _, t := range a.Ticks {
		if at, ok := a.place(t.Value); ok {
			ticks = append(ticks, plot.Tick{Value: at, Label: t.Label})
		}
	}
	return ticks
}

// thin leaves out labels that would touch the one behind them on an axis of that length: the largest
// is always named.
func thin(ticks []plot.Tick, low, high float64, length vg.Length, size func(string) vg.Length) []plot.Tick {
	const gap = 4
	left := vg.Length(math.Inf(1)) // from here on the axis is taken
	for i, t := range slices.Backward(ticks) {
		middle := vg.Length((t.Value-low)/(high-low)) * length
		half := size(t.Label) / 2
		if t.Label == "" || middle+half >= left-gap {
			ticks[i].Label = ""
			continue
		}
		left = middle - half
	}
	return ticks
}

// between ticks at round numbers, zero or not.
func between(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/2)))
	for _, digit := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*digit) <= 6 {
			step *= digit
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(low / step); i*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: formatRound(i*step + 0)}) // +0: no -0
	}
	return ticks
}

func styleOf(number int) (draw.LineStyle, draw.GlyphStyle) {
	if number >= 0 {
		return dataStyle(number)
	}
	style := referenceStyle(-1 - number)
	return style, draw.GlyphStyle{Color: style.Color, Radius: vg.Points(2.5), Shape: draw.CircleGlyph{}}
}

// addBand fills what lies between the ranges of the dots.
func (panel Panel) addBand(p *plot.Plot, line Line) error {
	_, points, errors := panel.placed(line)
	var upper, lower plotter.XYs
	for i, at := range points {
		upper = append(upper, plotter.XY{X: at.X, Y: at.Y + errors[i].High})
		lower = append(lower, plotter.XY{X: at.X, Y: at.Y + errors[i].Low})
	}
	slices.Reverse(lower)
	band, err := plotter.NewPolygon(append(upper, lower...))
	if err != nil {
		return err
	}
	style, _ := dataStyle(line.Style)
	band.Color, band.LineStyle.Width = faint(style.Color), 0
	p.Add(band)
	return nil
}

// addLine returns how many dots the axes can show.
func (panel Panel) addLine(p *plot.Plot, line Line, list func(string, ...plot.Thumbnailer)) (int, error) {
	shown, points, errors := panel.placed(line)
	if len(points) == 0 {
		return 0, nil
	}
	style, glyph := styleOf(line.Style)
	drawn, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return 0, err
	}
	drawn.LineStyle, dots.GlyphStyle = style, glyph
	switch line.Look {
	case Dashed:
		if drawn.Dashes == nil {
			drawn.Dashes = []vg.Length{vg.Points(6), vg.Points(4)}
		}
	case Steps:
		drawn.StepStyle = plotter.PostStep
		drawn.Width = vg.Points(1.4)
	case Dots:
		dots.Radius = vg.Points(1.6)
		p.Add(dots)
		list(line.Name, dots)
	}
	if line.Look != Dots {
		p.Add(drawn)
	}
	switch line.Look {
	case Solid:
		bars, err := plotter.NewYErrorBars(ranges{points, errors})
		if err != nil {
			return 0, err
		}
		bars.Color, bars.CapWidth = style.Color, vg.Points(6)
		p.Add(bars, dots)
		list(line.Name, drawn, dots)
	case Plain, Dashed, Steps:
		list(line.Name, drawn)
	}
	return len(points), addLabels(p, shown, points, style)
}

// placed are the dots that the axes can show.
func (panel Panel) placed(line Line) (shown []Dot, points plotter.XYs, errors plotter.YErrors) {
	for _, dot := range line.Dots {
		x, okX := panel.X.place(dot.X)
		y, okY := panel.Y.place(dot.Y)
		if !okX || !okY {
			continue
		}
		low, okLow := panel.Y.place(dot.Low)
		high, okHigh := panel.Y.place(dot.High)
		if !okLow || !okHigh || dot.Low >= dot.High {
			low, high = y, y
		}
		shown = append(shown, dot)
		points = append(points, plotter.XY{X: x, Y: y})
		errors = append(errors, struct{ Low, High float64 }{low - y, high - y})
	}
	return shown, points, errors
}

func addLabels(p *plot.Plot, shown []Dot, points plotter.XYs, style draw.LineStyle) error {
	var with plotter.XYLabels
	for i, dot := range shown {
		if dot.Label != "" {
			with.XYs, with.Labels = append(with.XYs, points[i]), append(with.Labels, dot.Label)
		}
	}
	if len(with.XYs) == 0 {
		return nil
	}
	labels, err := plotter.NewLabels(with)
	if err != nil {
		return err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Font, labels.TextStyle[i].Color = sans(8), style.Color
	}
	labels.Offset = vg.Point{X: vg.Points(4), Y: vg.Points(4)}
	p.Add(labels)
	return nil
}
