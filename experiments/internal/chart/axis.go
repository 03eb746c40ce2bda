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
