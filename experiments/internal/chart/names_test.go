// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

func TestNamesStandWhereNothingElseIs(t *testing.T) {
	inside := vg.Rectangle{Max: vg.Point{X: 400, Y: 300}}
	size := vg.Point{X: 60, Y: 10}
	var taken []vg.Rectangle
	for range 12 { // all at the same dot
		box := beside(vg.Point{X: 200, Y: 150}, size, taken, inside)
		if !contains(inside, box) || meets(box, taken) {
			t.Fatalf("name %d at %+v", len(taken), box)
		}
		taken = append(taken, box)
	}
	if box := beside(vg.Point{X: 399, Y: 150}, size, nil, inside); box.Max.X > 393 {
		t.Errorf("at the right edge: %+v", box)
	}
}

func TestNamedLinesHaveNoLegend(t *testing.T) {
	sheet := Sheet{Panels: []Panel{{Title: "t", X: Axis{Logarithmic: true}, Y: Axis{Logarithmic: true}, Lines: []Line{
		{Name: "one of them", Named: true, Dots: []Dot{{X: 1, Y: 2, Low: 1, High: 3}}},
		{Name: "another one", Named: true, Style: 1, Dots: []Dot{{X: 10, Y: 20}}},
	}}}}
	path := filepath.Join(t.TempDir(), "x.svg")
	if err := sheet.Save("", path); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(path)
	for _, name := range []string{"one of them", "another one"} {
		if err != nil || strings.Count(string(svg), name) != 1 {
			t.Errorf("%q stands %d times (%v)", name, strings.Count(string(svg), name), err)
		}
	}
}
