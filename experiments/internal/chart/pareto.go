// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"dx/experiments/internal/result"
)

// Candidate is one point of a Pareto chart.
type Candidate struct {
	Name       string
	CPUSPerMop float64 // CPU seconds per million operations
	P99Ns      float64
	OpsPerS    float64
	Front      bool
}

// namedMax is how many of the front the legend names.
const namedMax = 16

// Pareto draws p99 over CPU time per operation: a larger point has a higher rate, those on the front
// have a number that the legend explains, the others are grey.
func Pareto(title string, candidates []Candidate, footer string, pngPath, svgPath string) error {
	all := bubbles(slices.SortedFunc(slices.Values(candidates), func(a, b Candidate) int {
		if a.Front != b.Front {
			return map[bool]int{true: 1, false: -1}[a.Front] // grey ones lie below
		}
		return cmp.Compare(b.OpsPerS, a.OpsPerS)
	}))
	if len(all) == 0 {
		return fmt.Errorf("chart: no candidates to draw")
	}
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "CPU seconds of both sides per million operations (logarithmic)"
	p.Y.Label.Text = "p99 of a call (logarithmic)"
	p.Add(crosses(), all)
	low, high := all.bounds(func(c Candidate) float64 { return c.CPUSPerMop })
	setLogAxis(&p.X, low/1.3, high*1.3, formatRound)
	low, high = all.bounds(func(c Candidate) float64 { return c.P99Ns })
	setLogAxis(&p.Y, low/1.4, high*1.4, formatTime)
	legend := plot.NewLegend()
	names := all.addTo(&legend)
	return page{panels: []*plot.Plot{p}, legend: legend, names: names, footer: footer,
		note: "Lower left is better, and larger: the larger a point, the higher its rate. Numbered points are on the front: no other one is at least as good in rate, p99 and CPU time. Medians of the runs.",
	}.save(pngPath, svgPath)
}

// bubbles has the front at its end.
type bubbles []Candidate

func (b bubbles) bounds(of func(Candidate) float64) (low, high float64) {
	low, high = math.Inf(1), 0
	for _, c := range b {
		low, high = min(low, of(c)), max(high, of(c))
	}
	return low, high
}

// numbers gives the front its numbers, from 1; 0 for the others.
func (b bubbles) numbers() []int {
	numbers := make([]int, len(b))
	next := 1
	for i, c := range b {
		if c.Front {
			numbers[i] = next
			next++
		}
	}
	return numbers
}

func (b bubbles) addTo(legend *plot.Legend) (names []string) {
	add := func(name string, c color.Color) {
		legend.Add(shorten(name), dot{c})
		names = append(names, name)
	}
	others, unnamed := 0, 0
	for i, number := range b.numbers() {
		switch {
		case number == 0:
			others++
		case number > namedMax:
			unnamed++
		default:
			add(fmt.Sprintf("%d  %s: %s million/s", number, b[i].Name, result.FormatSig3(b[i].OpsPerS/1e6)), colours[0])
		}
	}
	if unnamed > 0 {
		add(fmt.Sprintf("%d more on the front", unnamed), colours[0])
	}
	if others > 0 {
		add(fmt.Sprintf("%d that another one beats", others), grey)
	}
	return names
}

var grey = color.Gray{Y: 170}

// dot is a legend's filled circle.
type dot struct{ color.Color }

func (d dot) Thumbnail(c *draw.Canvas) {
	c.DrawGlyph(draw.GlyphStyle{Color: d.Color, Radius: 4, Shape: draw.CircleGlyph{}}, c.Center())
}

// Plot draws the points, then each number where it lies on no other one and on no point, if there is
// such a place beside its point.
func (b bubbles) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	_, most := b.bounds(func(c Candidate) float64 { return c.OpsPerS })
	style := text.Style{Color: color.Black, Font: sans(10), XAlign: draw.XCenter, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
	var taken, covered []vg.Rectangle // by the front and its numbers; by any point
	for _, candidate := range b {
		at, radius := vg.Point{X: toX(math.Log10(candidate.CPUSPerMop)), Y: toY(math.Log10(candidate.P99Ns))}, radius(candidate.OpsPerS, most)
		edge := color.Color(grey)
		if candidate.Front {
			edge = colours[0]
		}
		c.DrawGlyph(draw.GlyphStyle{Color: faint(edge), Radius: radius, Shape: draw.CircleGlyph{}}, at)
		c.DrawGlyph(draw.GlyphStyle{Color: edge, Radius: radius, Shape: draw.RingGlyph{}}, at)
		box := around(at, vg.Point{X: 2 * radius, Y: 2 * radius})
		covered = append(covered, box)
		if candidate.Front {
			taken = append(taken, box)
		}
	}
	for i, number := range b.numbers() {
		if number == 0 {
			continue
		}
		at, radius := vg.Point{X: toX(math.Log10(b[i].CPUSPerMop)), Y: toY(math.Log10(b[i].P99Ns))}, radius(b[i].OpsPerS, most)
		label := strconv.Itoa(number)
		size := vg.Point{X: style.Width(label) + 2, Y: style.Height(label) + 2}
		place, free := placeFor(at, radius, size, append(covered, taken...), c.Rectangle)
		if !free {
			place, _ = placeFor(at, radius, size, taken, c.Rectangle)
		}
		taken = append(taken, around(place, size))
		c.FillText(style, place, label)
	}
}

func radius(rate, most float64) vg.Length {
	return vg.Length(4 + 10*math.Sqrt(rate/most))
}

func around(middle, size vg.Point) vg.Rectangle {
	half := size.Scale(0.5)
	return vg.Rectangle{Min: middle.Sub(half), Max: middle.Add(half)}
}

// placeFor looks in circles around a point for a place that is free.
func placeFor(at vg.Point, radius vg.Length, size vg.Point, taken []vg.Rectangle, inside vg.Rectangle) (place vg.Point, free bool) {
	for distance := radius + size.X/2 + 2; distance < radius+24; distance += 4 {
		for _, angle := range []float64{0, 45, 90, 135, 180, 225, 270, 315} {
			sin, cos := math.Sincos(angle * math.Pi / 180)
			place := at.Add(vg.Point{X: distance * vg.Length(cos), Y: distance * vg.Length(sin)})
			box := around(place, size)
			if contains(inside, box) && !meets(box, taken) {
				return place, true
			}
		}
	}
	return at, false
}
