// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// addBars draws all bars of a panel, beside or on top of each other.
func (panel Panel) addBars(p *plot.Plot, width vg.Length, list func(string, ...plot.Thumbnailer)) error {
	count := vg.Length(len(panel.Categories))
	each := width / count * 0.75
	if !panel.Stacked {
		each /= vg.Length(len(panel.Bars))
	}
	each = min(each, 44)
	tops := make([]float64, len(panel.Categories))
	var below *plotter.BarChart
	for i, bars := range panel.Bars {
		if len(bars.Values) != len(panel.Categories) {
			return fmt.Errorf("%q: %d values for %d categories", bars.Name, len(bars.Values), len(panel.Categories))
		}
		chart, err := plotter.NewBarChart(zeroed(bars.Values), each)
		if err != nil {
			return err
		}
		style, _ := styleOf(bars.Style)
		chart.Color, chart.LineStyle.Width = style.Color, 0
		if panel.Stacked {
			if below != nil {
				chart.StackOn(below)
			}
			below = chart
		} else {
			chart.Offset = each * (vg.Length(i) - vg.Length(len(panel.Bars)-1)/2)
			if err := panel.addFigures(p, bars.Values, chart.Offset, each); err != nil {
				return err
			}
		}
		p.Add(chart)
		list(bars.Name, swatch{style.Color})
		for j, value := range chart.Values {
			if panel.Stacked {
				value += tops[j]
			}
			tops[j] = max(tops[j], value)
		}
	}
	panel.setBarAxes(p, width, tops)
	return nil
}

func (panel Panel) setBarAxes(p *plot.Plot, width vg.Length, tops []float64) {
	highest := 0.0
	for _, top := range tops {
		highest = max(highest, top)
	}
	if highest == 0 {
		highest = 1
	}
	p.Y.Min, p.Y.Max = 0, highest*1.12
	if panel.Y.Max != 0 {
		p.Y.Max = panel.Y.Max
	}
	p.Y.Tick.Marker = plot.TickerFunc(round)
	p.X.Min, p.X.Max = -0.6, float64(len(panel.Categories))-0.4
	p.X.Tick.Marker, p.X.Tick.Length = nominal(panel.Categories), 0
	var widest vg.Length
	for _, name := range panel.Categories {
		widest = max(widest, legendStyle().Width(name+" "))
	}
	if widest*vg.Length(len(panel.Categories)) > width { // they would touch
		p.X.Tick.Label.Rotation = math.Pi / 5
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XRight, text.YTop
	}
}

// addFigures writes the figure of each bar above it, and NA where there is none.
func (panel Panel) addFigures(p *plot.Plot, values []float64, offset, each vg.Length) error {
	var l plotter.XYLabels
	for i, value := range values {
		label := "NA"
		if !math.IsNaN(value) {
			if panel.Format == nil {
				continue
			}
			label = panel.Format(value)
		}
		l.XYs = append(l.XYs, plotter.XY{X: float64(i), Y: zeroed([]float64{value})[0]})
		l.Labels = append(l.Labels, label)
	}
	if len(l.XYs) == 0 {
		return nil
	}
	labels, err := plotter.NewLabels(l)
	if err != nil {
		return err
	}
	for i := range labels.TextStyle {
		style := &labels.TextStyle[i]
		style.XAlign = text.XCenter
		for size := 9.0; size >= 4; size-- {
			if style.Font = sans(size); style.Width(l.Labels[i]) <= each*0.9 {
				break
			}
		}
	}
	labels.Offset = vg.Point{X: offset, Y: vg.Points(2)}
	p.Add(labels)
	return nil
}

// zeroed has zeros for what was not measured: the library draws numbers only.
func zeroed(values []float64) plotter.Values {
	list := make(plotter.Values, len(values))
	for i, value := range values {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			list[i] = value
		}
	}
	return list
}
