// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"math"
	"slices"

	"dx/experiments/internal/stat"
)

// Distance is how far apart two CPUs are, by what a cache line takes from one to the other and back.
// A hypervisor moves virtual CPUs at any time, so that one run can meet several distances, and what was
// measured at one says nothing of another.
type Distance string

// The distances. The limits between them lie between what was met: 55 ns between two threads of a
// core, 100 ns where a cache is shared, 235 to 450 ns elsewhere.
const (
	Siblings Distance = "siblings" // below 75 ns
	Near     Distance = "near"     // below 200 ns
	Far      Distance = "far"
	Moved    Distance = "moved" // not the same before and after: not counted
)

// Distances are all of them, from the nearest.
var Distances = []Distance{Siblings, Near, Far, Moved}

const (
	nearFromNs = 75
	farFromNs  = 200
	// A line takes this much longer at one distance than at the one before; less is noise.
	movedFactor = 1.5
)

// DistanceOf tells the distance of a slice from the floors before and after it.
func DistanceOf(beforeNs, afterNs float64) Distance {
	switch mean := math.Sqrt(beforeNs * afterNs); {
	case max(beforeNs, afterNs) > movedFactor*min(beforeNs, afterNs):
		return Moved
	case mean < nearFromNs:
		return Siblings
	case mean < farFromNs:
		return Near
	}
	return Far
}

// Title says it for people.
func (d Distance) Title() string {
	switch d {
	case Siblings:
		return "CPUs of one core"
	case Moved:
		return "CPUs that moved meanwhile: not counted"
	case "":
		return ""
	}
	return string(d) + " CPUs"
}

// Slice is a short stretch of a run between two measurements of the floor and of the bare loop; a
// bare loop that was not measured is 0.
type Slice struct {
	Ops           uint64  `json:"ops"`
	ElapsedNs     int64   `json:"elapsed_ns"`
	FloorBeforeNs float64 `json:"floor_before_ns"`
	FloorAfterNs  float64 `json:"floor_after_ns"`
	BareBeforeNs  float64 `json:"bare_before_ns,omitempty"`
	BareAfterNs   float64 `json:"bare_after_ns,omitempty"`
}

// PerS is the rate of the slice.
func (s Slice) PerS() float64 { return stat.Rate(s.Ops, s.ElapsedNs) }

// FloorRatio is that rate over the mean one of the floors, BareRatio over that of the bare loops.
func (s Slice) FloorRatio() float64 { return s.PerS() * (s.FloorBeforeNs + s.FloorAfterNs) / 2 / 1e9 }

// BareRatio is 0 where no bare loop was measured, as BareBeforeNs is.
func (s Slice) BareRatio() float64 { return s.PerS() * (s.BareBeforeNs + s.BareAfterNs) / 2 / 1e9 }

func slicesOf(cells []Cell) (all []Slice) {
	for _, c := range cells {
		all = append(all, c.Slices...)
	}
	return all
}

// overSlices replaces the figures that a slice has by their ranges over the slices of all runs, and
// the percentiles by those of all runs together: how many runs met a distance, and for how long, is
// chance.
func (s *Summary) overSlices(cells []Cell) {
	all := slicesOf(cells)
	s.Slices = len(all)
	over := func(figure func(Slice) float64) Range {
		var values []float64
		for _, one := range all {
			values = append(values, figure(one))
		}
		return rangeOfValues(values)
	}
	s.OpsPerS = over(Slice.PerS)
	s.FloorRTTNs = over(func(s Slice) float64 { return (s.FloorBeforeNs + s.FloorAfterNs) / 2 })
	counts := s.RatePerS == 0 && s.Distance != Moved
	if counts {
		s.FloorRatio = over(Slice.FloorRatio)
	}
	s.BareRTTNs, s.BareRatio = Range{}, Range{}
	if !slices.ContainsFunc(all, func(s Slice) bool { return s.BareBeforeNs == 0 }) {
		s.BareRTTNs = over(func(s Slice) float64 { return (s.BareBeforeNs + s.BareAfterNs) / 2 })
		if counts {
			s.BareRatio = over(Slice.BareRatio)
		}
	}
	rated := slices.DeleteFunc(slices.Clone(cells), func(c Cell) bool { return c.Ops == 0 })
	s.Fairness = rangeOf(rated, func(c Cell) *float64 { return c.Fairness })
	s.CPUSPerMop = rangeOf(rated, func(c Cell) *float64 { return c.CPUSPerMop })
	s.PaceCPUSPerMop = rangeOf(rated, func(c Cell) *float64 { return c.PaceCPUSPerMop })
	s.NetCPUSPerMop = rangeOf(rated, Cell.netCPUSPerMop)
	s.Waits = Waits{}
	for _, c := range rated {
		s.Waits.Add(c.Waits)
	}
	s.latenciesTogether(cells)
}

// latenciesTogether takes the percentiles of all runs together.
func (s *Summary) latenciesTogether(cells []Cell) {
	together := func(histogram func(Cell) string) *stat.Latency {
		sum := stat.NewLatency()
		for _, c := range cells {
			if l, err := stat.DecodeLatency(histogram(c)); err == nil {
				sum.Merge(l)
			}
		}
		return sum
	}
	one := func(value *int64) Range {
		if value == nil {
			return Range{}
		}
		return rangeOfValues([]float64{float64(*value)})
	}
	var c Cell
	c.SetLatency(together(func(c Cell) string { return c.RTTHistogram }))
	s.P50Ns, s.P90Ns, s.P99Ns, s.P999Ns, s.MaxNs = one(c.RTTP50Ns), one(c.RTTP90Ns), one(c.RTTP99Ns), one(c.RTTP999Ns), one(c.RTTMaxNs)
	c.SetIntended(together(func(c Cell) string { return c.IntendedHistogram }), stat.NewLatency())
	s.IntendedP50Ns, s.IntendedP90Ns, s.IntendedP99Ns = one(c.IntendedP50Ns), one(c.IntendedP90Ns), one(c.IntendedP99Ns)
	s.IntendedP999Ns, s.IntendedMaxNs = one(c.IntendedP999Ns), one(c.IntendedMaxNs)
}

// SlicesWanted is how many slices make a median worth quoting.
const SlicesWanted = 5

// Rare names a distance that was met for fewer slices than are wanted; "" if there is none.
func Rare(cells []Cell) string {
	for _, s := range Summarise(cells) {
		if s.Distance != "" && s.Distance != Moved && s.RatePerS == 0 && s.Slices < SlicesWanted {
			return fmt.Sprintf("%s has %d of %d slices", s.Distance.Title(), s.Slices, SlicesWanted)
		}
	}
	return ""
}
