// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/brewer"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// HeatMap is a figure over two parameters.
type HeatMap struct {
	Title          string
	XLabel, YLabel string
	X, Y           []string    // values of the parameters, ascending
	Values         [][]float64 // by y, then x; NaN where nothing was measured
	What           string      // the figure, with its unit
	Format         func(float64) string
	Logarithmic    bool // colours follow the logarithm
	Footer         string
}

// Save draws each combination as a field with its figure in it: darker is more.
func (h HeatMap) Save(pngPath, svgPath string) error {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range h.Values {
		for _, value := range row {
			if !math.IsNaN(value) {
				low, high = min(low, value), max(high, value)
			}
		}
	}
	if low > high || len(h.Values) != len(h.Y) || len(h.Values[0]) != len(h.X) {
		return fmt.Errorf("chart: nothing to draw in a heat map of %s", h.What)
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = h.Title, h.XLabel, h.YLabel
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(len(h.X))-0.5, -0.5, float64(len(h.Y))-0.5
	p.X.Tick.Marker, p.Y.Tick.Marker = sparse(h.X), nominal(h.Y)
	p.X.Padding, p.Y.Padding = 0, 0
	p.X.Tick.Length, p.Y.Tick.Length = 0, 0
	colours := scale{low, high, h.Logarithmic && low > 0, sequential()}
	p.Add(fields{h, colours})
	legend := plot.NewLegend()
	names := colours.addTo(&legend, h)
	return page{panels: []*plot.Plot{p}, legend: legend, names: names, footer: h.Footer,
		note: "Each field is the median of the runs; empty ones were not measured.",
	}.save(pngPath, svgPath)
}

func sequential() palette.Palette {
	p, err := brewer.GetPalette(brewer.TypeSequential, "YlGnBu", 9)
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	return p
}

// nominal ticks are values side by side, however far apart they are.
func nominal(labels []string) plot.ConstantTicks {
	ticks := make(plot.ConstantTicks, len(labels))
	for i, label := range labels {
		ticks[i] = plot.Tick{Value: float64(i), Label: label}
	}
	return ticks
}

// sparse leaves out labels of a horizontal axis where the widest would touch its neighbour.
func sparse(labels []string) plot.ConstantTicks {
	style := legendStyle()
	var widest vg.Length
	for _, label := range labels {
		widest = max(widest, style.Width(label+"  "))
	}
	every := 1 + int(widest*vg.Length(len(labels))/plotWidth)
	ticks := nominal(labels)
	for i := range ticks {
		if i%every != 0 {
			ticks[i].Label = ""
		}
	}
	return ticks
}

// scale gives figures colours.
type scale struct {
	low, high   float64
	logarithmic bool
	palette     palette.Palette
}

// at is where a value lies between low (0) and high (1).
func (s scale) at(value float64) float64 {
	low, high := s.low, s.high
	if s.logarithmic {
		value, low, high = math.Log(value), math.Log(low), math.Log(high)
	}
	if high == low {
		return 0.5
	}
	return (value - low) / (high - low)
}

// value is the reverse of at.
func (s scale) value(at float64) float64 {
	if s.logarithmic {
		return math.Exp(math.Log(s.low) + at*(math.Log(s.high)-math.Log(s.low)))
	}
	return s.low + at*(s.high-s.low)
}

// color is that of the place between low and high, mixed from the two next to it.
func (s scale) color(at float64) color.Color {
	list := s.palette.Colors()
	place := at * float64(len(list)-1)
	i := min(int(place), len(list)-2)
	a, b := color.NRGBAModel.Convert(list[i]).(color.NRGBA), color.NRGBAModel.Convert(list[i+1]).(color.NRGBA)
	mix := func(x, y uint8) uint8 { return uint8(float64(x) + (float64(y)-float64(x))*(place-float64(i))) }
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// addTo lists a few colours with their figures.
func (s scale) addTo(legend *plot.Legend, h HeatMap) (names []string) {
	for i, at := range []float64{1, 0.5, 0} {
		if s.low == s.high && i > 0 {
			break
		}
		name := h.Format(s.value(at))
		if i == 0 {
			name += "  " + h.What
		}
		legend.Add(name, swatch{s.color(s.at(s.value(at)))})
		names = append(names, name)
	}
	return names
}

// fields draws the map.
type fields struct {
	h      HeatMap
	colour scale
}

func (f fields) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	style := text.Style{Font: sans(10), XAlign: draw.XCenter, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
	for y, row := range f.h.Values {
		for x, value := range row {
			if math.IsNaN(value) {
				continue
			}
			left, right := toX(float64(x)-0.5), toX(float64(x)+0.5)
			low, high := toY(float64(y)-0.5), toY(float64(y)+0.5)
			at := f.colour.at(value)
			c.FillPolygon(f.colour.color(at), []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}})
			style.Color = color.Black
			if at > 0.55 {
				style.Color = color.White
			}
			label := f.h.Format(value)
			for size := 10.0; size >= 5 && style.Width(label) > (right-left)*0.9; size-- {
				style.Font = sans(size)
			}
			if style.Width(label) <= right-left && style.Height(label) <= high-low {
				c.FillText(style, vg.Point{X: (left + right) / 2, Y: (low + high) / 2}, label)
			}
		}
	}
}
