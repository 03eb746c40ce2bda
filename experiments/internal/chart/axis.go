// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// setRateAxis begins at zero, leaves room above the highest rate, and returns the rate that one unit
// of the axis stands for: a million round trips a second, or one where that would be all zeros.
func setRateAxis(p *plot.Plot, highest float64) (unit float64) {
	unit, p.Y.Label.Text = 1e6, "million round trips per second"
	if highest < 1e4 {
		unit, p.Y.Label.Text = 1, "round trips per second"
	}
	p.Y.Min, p.Y.Max = 0, highest/unit*1.08
	if highest <= 0 {
		p.Y.Max = 1
	}
	p.Y.Tick.Marker = plot.TickerFunc(round)
	return unit
}

// round ticks at multiples of 1, 2 or 5 times a power of ten, six of them at most.
func round(_, highest float64) []plot.Tick {
	power := math.Floor(math.Log10(highest / 6))
	step := 0.0
	for _, digit := range []float64{1, 2, 5, 10} {
		if step = digit * math.Pow(10, power); highest/step <= 6 {
			power += math.Floor(math.Log10(digit))
			break
		}
	}
	decimals := max(0, -int(power))
	var ticks []plot.Tick
	for i := 0; float64(i)*step <= highest; i++ {
		value := float64(i) * step
		ticks = append(ticks, plot.Tick{Value: value, Label: strconv.FormatFloat(value, 'f', decimals, 64)})
	}
	return ticks
}

// grid is thin enough to lie behind everything; callers have their ticks.
func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Color = nil
	g.Horizontal = draw.LineStyle{Color: color.Gray{Y: 225}, Width: vg.Points(0.6)}
	return g
}

// widest is how far numbers of callers lie apart on an axis that is not logarithmic.
const widest = 8

// setThreadsAxis puts a tick at each measured number of callers and leaves room beside the
// outermost, so that neither points nor labels lie on the frame.
func setThreadsAxis(p *plot.Plot, threads []int) {
	first, last := float64(threads[0]), float64(threads[len(threads)-1])
	p.X.Tick.Marker = measured{threads, p}
	switch {
	case last/first > widest:
		room := math.Pow(last/first, 0.04)
		p.X.Min, p.X.Max = first/room, last*room
		p.X.Scale = plot.LogScale{}
		p.X.Label.Text += " (logarithmic)"
	case first == last:
		p.X.Min, p.X.Max = first-1, first+1
	default:
		room := (last - first) * 0.05
		p.X.Min, p.X.Max = first-room, last+room
	}
}

// measured ticks at the numbers of callers that were measured.
type measured struct {
	threads []int
	plot    *plot.Plot
}

// Ticks leaves labels out where they would touch: a tick without a label is a minor one.
func (m measured) Ticks(_, _ float64) []plot.Tick {
	style := m.plot.X.Tick.Label
	gap := style.Width("0")
	ticks := make([]plot.Tick, len(m.threads))
	left := vg.Length(math.Inf(1))             // from here on the axis is taken
	for i := len(m.threads) - 1; i >= 0; i-- { // the largest number is always labelled
		n := m.threads[i]
		ticks[i].Value = float64(n)
		label := strconv.Itoa(n)
		middle := vg.Length(m.plot.X.Norm(float64(n))) * plotWidth
		half := style.Width(label) / 2
		if middle+half+gap <= left {
			ticks[i].Label = label
			left = middle - half
		}
	}
	return ticks
}

// sans returns the chart's typeface in a size.
func sans(points float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(points)}
}

// setFonts gives every text of a page its place in the order of importance.
func setFonts(panels []*plot.Plot, legend *plot.Legend) {
	for _, p := range panels {
		p.Title.TextStyle.Font = sans(14)
		p.Title.Padding = vg.Points(10)
		for _, axis := range []*plot.Axis{&p.X, &p.Y} {
			axis.Label.TextStyle.Font = sans(11)
			axis.Label.Padding = vg.Points(4)
			axis.Tick.Label.Font = sans(10)
		}
	}
	legend.TextStyle = legendStyle()
	legend.Top, legend.Left = true, true
	legend.ThumbnailWidth = vg.Points(32)
	legend.Padding = vg.Points(5)
}

func legendStyle() text.Style {
	return text.Style{Color: color.Black, Font: sans(10), Handler: plot.DefaultTextHandler}
}

func footerStyle() text.Style {
	grey := color.Gray{Y: 90}
	return text.Style{Color: grey, Font: sans(8), YAlign: draw.YTop, Handler: plot.DefaultTextHandler}
}

// colours can be told apart by people who do not see red or green (Okabe and Ito).
var colours = []color.Color{
	color.RGBA{0, 114, 178, 255},
	color.RGBA{213, 94, 0, 255},
	color.RGBA{0, 158, 115, 255},
	color.RGBA{204, 121, 167, 255},
	color.RGBA{86, 180, 233, 255},
	color.RGBA{230, 159, 0, 255},
}

// shapes are as many as share no divisor with the number of colours, so that both together repeat
// late.
var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{},
	draw.TriangleGlyph{}, draw.CrossGlyph{},
}

func dataStyle(number int) (draw.LineStyle, draw.GlyphStyle) {
	c := colours[number%len(colours)]
	return draw.LineStyle{Color: c, Width: vg.Points(1.8)},
		draw.GlyphStyle{Color: c, Radius: vg.Points(3.2), Shape: shapes[number%len(shapes)]}
}

func referenceStyle(number int) draw.LineStyle {
	dashes := [][]vg.Length{
		{vg.Points(7), vg.Points(4)},
		{vg.Points(2), vg.Points(3)},
		{vg.Points(9), vg.Points(3), vg.Points(2), vg.Points(3)},
	}
	greys := []color.Color{color.Gray{Y: 40}, color.Gray{Y: 110}}
	return draw.LineStyle{
		Color: greys[number%len(greys)], Width: vg.Points(1.3), Dashes: dashes[number%len(dashes)],
	}
}
