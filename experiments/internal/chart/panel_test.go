// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

func numbers() Panel {
	return Panel{Title: "numbers", X: Axis{Label: "x label", Logarithmic: true}, Y: Axis{Label: "y label", FromZero: true},
		Lines: []Line{
			{Name: "solid", Dots: []Dot{{X: 1, Y: 3, Low: 2, High: 4, Label: "first"}, {X: 100, Y: 5}, {X: 0, Y: 9}}},
			{Name: "plain", Style: 1, Look: Plain, Dots: []Dot{{X: 1, Y: 1}, {X: 50, Y: 2}}},
			{Name: "dashed", Style: -1, Look: Dashed, Dots: []Dot{{X: 1, Y: 4}, {X: 100, Y: 4}}},
			{Name: "dots", Style: 2, Look: Dots, Dots: []Dot{{X: 10, Y: 1}, {X: 20, Y: math.NaN()}}},
			{Name: "steps", Style: 3, Look: Steps, Dots: []Dot{{X: 1, Y: 0}, {X: 30, Y: 2}, {X: 60, Y: 0}}},
			{Name: "nowhere", Dots: []Dot{{X: -1, Y: 1}}},
		}}
}

func bars(stacked bool) Panel {
	return Panel{Title: "bars", X: Axis{Label: "places"}, Y: Axis{Label: "height"}, Stacked: stacked,
		Categories: []string{"a place with a long name", "another", "a third one of them"}, Format: formatRound,
		Bars: []Bars{{Name: "below", Values: []float64{1, 2, math.NaN()}}, {Name: "above", Style: 1, Values: []float64{3, 0, 5}}}}
}

func TestSheetsOfEveryKindAreDrawn(t *testing.T) {
	base := filepath.Join(folder(t), "sheet")
	sheet := Sheet{Columns: 2, Panels: []Panel{numbers(), bars(false), bars(true)}, Note: "how to read it", Footer: madeUpFooter}
	if err := sheet.Save(base+".png", base+".svg"); err != nil {
		t.Fatal(err)
	}
	checkPNG(t, base+".png")
	checkSVG(t, base+".svg", madeUpFooter, "solid", "dashed", "steps", "below", "NA", "first", "x label", "y label", "how to read it")
}

func TestALegendNamesEachThingOnceAndOnlyWhatIsDrawn(t *testing.T) {
	base := filepath.Join(t.TempDir(), "sheet")
	if err := (Sheet{Panels: []Panel{numbers(), numbers()}}).Save("", base+".svg"); err != nil {
		t.Fatal(err)
	}
	text := read(t, base+".svg")
	if n := strings.Count(text, ">solid<"); n != 1 {
		t.Errorf("solid stands there %d times", n)
	}
	if strings.Contains(text, "nowhere") {
		t.Error("a line without dots is in the legend")
	}
}

func TestStackedBarsSumUp(t *testing.T) {
	p, err := bars(true).plot(500, rowHeight, func(string, ...plot.Thumbnailer) {})
	if err != nil || p.Y.Max < 5 || p.Y.Max > 6 {
		t.Errorf("the axis ends at %v, %v", p.Y.Max, err)
	}
}

func TestSheetsThatCannotBeDrawnAreErrors(t *testing.T) {
	uneven := bars(false)
	uneven.Bars[0].Values = uneven.Bars[0].Values[:1]
	for want, sheet := range map[string]Sheet{
		"nothing to draw":              {},
		`"empty": nothing to draw`:     {Panels: []Panel{{Title: "empty"}}},
		"1 values for 3 categories":    {Panels: []Panel{uneven}},
		`"no dots": nothing to draw`:   {Panels: []Panel{{Title: "no dots", Lines: []Line{{Name: "a"}}}}},
		`"negative": nothing to draw`:  {Panels: []Panel{{Title: "negative", Y: Axis{Logarithmic: true}, Lines: []Line{{Dots: []Dot{{X: 1, Y: -1}}}}}}},
		`"no number": nothing to draw`: {Panels: []Panel{{Title: "no number", Lines: []Line{{Dots: []Dot{{X: math.Inf(1), Y: 1}}}}}}},
	} {
		err := sheet.Save(filepath.Join(t.TempDir(), "x.png"), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestLabelsThatWouldTouchAreLeftOut(t *testing.T) {
	ticks := []plot.Tick{{Value: 0, Label: "wide label"}, {Value: 1, Label: "wide label"}, {Value: 9, Label: "wide label"}, {Value: 10, Label: "wide label"}}
	got := thin(ticks, 0, 10, 300, legendStyle().Width)
	if got[0].Label != "" || got[1].Label == "" || got[2].Label != "" || got[3].Label == "" {
		t.Errorf("%+v", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
