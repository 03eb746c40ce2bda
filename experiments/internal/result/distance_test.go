// SPDX-License-Identifier: Apache-2.0

package result

import (
	"strings"
	"testing"

	"dx/experiments/internal/stat"
)

func TestTheFloorsBeforeAndAfterTellTheDistance(t *testing.T) {
	for _, c := range []struct {
		before, after float64
		want          Distance
	}{
		{55, 57, Siblings}, {100, 98, Near}, {235, 450, Moved}, {400, 420, Far}, {55, 105, Moved}, {450, 100, Moved},
		{70, 82, Near}, {195, 190, Near}, {199, 203, Far}, {6000, 5000, Far},
	} {
		if got := DistanceOf(c.before, c.after); got != c.want {
			t.Errorf("%v and %v ns: %s, not %s", c.before, c.after, got, c.want)
		}
	}
}

// at is a run at a distance: slices with these rates in M/s, floors and bare loops.
func at(d Distance, run int, floorNs, bareNs float64, rates ...float64) Cell {
	c := sample(1, run, 0)
	c.Distance, c.Ops, c.ElapsedNs = d, 0, 0
	for _, mega := range rates {
		c.Slices = append(c.Slices, Slice{Ops: uint64(mega * 1e5), ElapsedNs: 1e8, FloorBeforeNs: floorNs, FloorAfterNs: floorNs,
			BareBeforeNs: bareNs, BareAfterNs: bareNs})
		c.Ops += uint64(mega * 1e5)
		c.ElapsedNs += 1e8
	}
	c.Derive()
	l := stat.NewLatency()
	for ns := range 1000 {
		l.Record(int64(run*1000 + ns))
	}
	c.SetLatency(l)
	return c
}

func TestEachDistanceHasItsOwnFiguresOverSlices(t *testing.T) {
	cells := []Cell{
		at(Near, 1, 100, 80, 5, 6), at(Far, 1, 400, 400, 2), at(Moved, 1, 300, 200, 9),
		at(Near, 2, 100, 80, 7), at(Far, 2, 400, 400), // only times of calls were measured there
	}
	got := Summarise(cells)
	if len(got) != 3 || got[0].Distance != Near || got[1].Distance != Far || got[2].Distance != Moved {
		t.Fatalf("%+v", got)
	}
	near, far, moved := got[0], got[1], got[2]
	if near.Slices != 3 || near.OpsPerS.Median != 6e6 || near.OpsPerS.Min != 5e6 || near.OpsPerS.Max != 7e6 {
		t.Errorf("near: %d slices, %+v", near.Slices, near.OpsPerS)
	}
	if near.FloorRatio.Median < 0.599 || near.FloorRatio.Median > 0.601 || near.BareRatio.Max < 0.559 || near.BareRatio.Max > 0.561 {
		t.Errorf("near: of floor %+v, of bare %+v", near.FloorRatio, near.BareRatio)
	}
	if near.P50Ns.Median < 1950 || near.P50Ns.Median > 2050 { // of the calls of both runs
		t.Errorf("near: p50 %+v", near.P50Ns)
	}
	if far.Slices != 1 || far.OpsPerS.Median != 2e6 || !far.Fairness.Known || !far.CPUSPerMop.Known {
		t.Errorf("far: %+v", far)
	}
	if !moved.OpsPerS.Known || moved.BareRatio.Known || moved.FloorRatio.Known {
		t.Errorf("moved: %+v", moved)
	}
	if rare := Rare(cells); !strings.Contains(rare, "near CPUs has 3 of 5") {
		t.Error(rare)
	}
	if rare := Rare([]Cell{at(Near, 1, 100, 80, 1, 2, 3, 4, 5), at(Moved, 1, 100, 80, 1)}); rare != "" {
		t.Error(rare)
	}
}

func TestTheTableHasABlockForEachDistance(t *testing.T) {
	blocks := Blocks([]Cell{at(Near, 1, 100, 80, 5, 6), at(Moved, 1, 300, 200, 9), at(Far, 1, 400, 410, 2, 2, 2, 2, 2)})
	var titles []string
	for _, b := range blocks {
		titles = append(titles, b.Title)
	}
	all := strings.Join(titles, "\n")
	for _, want := range []string{"near CPUs; 2 slices (a median worth quoting takes 5); a line: 100-100 ns",
		"far CPUs; 5 slices; a line: 400-400 ns", "moved meanwhile: not counted"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
}
