// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// nameplates writes the names of lines beside their first dots, where nothing else is: a legend whose
// marks have to be looked up one by one is no use for many lines of one dot each.
type nameplates struct {
	names []string
	at    []vg.Point // in the axes' numbers
	looks []color.Color
	taken [][2]vg.Point // corners of what dots and their ranges cover, likewise
}

// nameplates of the lines that are Named.
func (panel Panel) nameplates() *nameplates {
	var n nameplates
	for _, line := range panel.Lines {
		_, points, errors := panel.placed(line)
		for i, p := range points {
			n.taken = append(n.taken, [2]vg.Point{
				{X: vg.Length(p.X), Y: vg.Length(p.Y + errors[i].Low)}, {X: vg.Length(p.X), Y: vg.Length(p.Y + errors[i].High)}})
		}
		if stroke := line.Look == Plain || line.Look == Dashed; stroke && len(points) > 1 { // from the first to the last
			first, last := points[0], points[len(points)-1]
			n.taken = append(n.taken, [2]vg.Point{{X: vg.Length(first.X), Y: vg.Length(first.Y)}, {X: vg.Length(last.X), Y: vg.Length(last.Y)}})
		}
		if line.Named && len(points) > 0 {
			style, _ := styleOf(line.Style)
			n.names, n.looks = append(n.names, line.Name), append(n.looks, style.Color)
			n.at = append(n.at, vg.Point{X: vg.Length(points[0].X), Y: vg.Length(points[0].Y)})
		}
	}
	return &n
}

// Plot has to come after everything that may be in the way.
func (n *nameplates) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	place := func(at vg.Point) vg.Point { return vg.Point{X: toX(float64(at.X)), Y: toY(float64(at.Y))} }
	const around = 5 // of a mark
	var taken []vg.Rectangle
	for _, t := range n.taken {
		low, high := place(t[0]), place(t[1])
		taken = append(taken, vg.Rectangle{Min: vg.Point{X: min(low.X, high.X) - around, Y: min(low.Y, high.Y) - around},
			Max: vg.Point{X: max(low.X, high.X) + around, Y: max(low.Y, high.Y) + around}})
	}
	for i, name := range n.names {
		style := text.Style{Color: n.looks[i], Font: sans(9), XAlign: draw.XCenter, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
		size := vg.Point{X: style.Width(name) + 2, Y: style.Height(name) + 2}
		dot := place(n.at[i])
		box := beside(dot, size, taken, c.Rectangle)
		taken = append(taken, box)
		middle := box.Min.Add(size.Scale(0.5))
		if near := nearest(dot, box); dot.Sub(near).Dot(dot.Sub(near)) > 14*14 {
			c.StrokeLine2(draw.LineStyle{Color: faint(n.looks[i]), Width: 0.8}, dot.X, dot.Y, near.X, near.Y)
		}
		c.FillText(style, middle, name)
	}
}

// beside is the nearest free place for a text around a dot; right of it if there is none.
func beside(dot, size vg.Point, taken []vg.Rectangle, inside vg.Rectangle) vg.Rectangle {
	at := func(x, y float64, gap vg.Length) vg.Rectangle {
		middle := dot.Add(vg.Point{X: vg.Length(x) * (size.X/2 + gap), Y: vg.Length(y) * (size.Y/2 + gap)})
		return vg.Rectangle{Min: middle.Sub(size.Scale(0.5)), Max: middle.Add(size.Scale(0.5))}
	}
	for gap := vg.Length(6); gap < 80; gap += 5 {
		for _, side := range [][2]float64{{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}} {
			if box := at(side[0], side[1], gap); contains(inside, box) && !meets(box, taken) {
				return box
			}
		}
	}
	return at(1, 0, 6)
}

func contains(inside, box vg.Rectangle) bool {
	return box.Min.X >= inside.Min.X && box.Max.X <= inside.Max.X && box.Min.Y >= inside.Min.Y && box.Max.Y <= inside.Max.Y
}

func meets(box vg.Rectangle, others []vg.Rectangle) bool {
	for _, o := range others {
		if box.Min.X < o.Max.X && box.Max.X > o.Min.X && box.Min.Y < o.Max.Y && box.Max.Y > o.Min.Y {
			return true
		}
	}
	return false
}

// nearest is the point of a box that is nearest to another one.
func nearest(to vg.Point, box vg.Rectangle) vg.Point {
	return vg.Point{X: min(max(to.X, box.Min.X), box.Max.X), Y: min(max(to.Y, box.Min.Y), box.Max.Y)}
}
