// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"reflect"
	"testing"

	"dx/experiments/internal/result"
)

func TestSummariesBecomeLinesAndReferences(t *testing.T) {
	summary := func(guest string, payload, threads int, rate, floorNs, bareNs float64) result.Summary {
		figure := func(x float64) result.Range { return result.Range{Median: x, Min: x / 2, Max: x * 2, Known: x != 0} }
		return result.Summary{
			Key:     result.Key{Experiment: "pingpong", Host: "c", Guest: guest, PayloadBytes: payload, Threads: threads},
			OpsPerS: figure(rate), FloorRTTNs: figure(floorNs), BareRTTNs: figure(bareNs),
		}
	}
	wrong := summary("go", 64, 4, 9e6, 1, 1)
	wrong.VerifyFailures = 1
	got := SeriesOf([]result.Summary{
		wrong,
		summary("c", 64, 1, 4e6, 200, 250),
		summary("c", 64, 8, 3e6, 250, 0),
		summary("go", 64, 1, 2e6, 400, 500),
		summary("go", 64, 2, 0, 1, 1), // without a rate
	})
	want := []Series{
		{Name: "pingpong: host c, guest c, 64 B", Points: []Point{{1, 4e6, 2e6, 8e6}, {8, 3e6, 1.5e6, 6e6}}},
		{Name: "pingpong: host c, guest go, 64 B", Points: []Point{{1, 2e6, 1e6, 4e6}}},
		{Name: "bare cache line (floor)", Reference: true, Points: []Point{{Threads: 1, Median: 3.75e6}, {Threads: 8, Median: 4e6}}},
		{Name: "bare loop, 64 B", Reference: true, Points: []Point{{Threads: 1, Median: 3e6}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if got := SeriesOf(nil); got != nil {
		t.Errorf("%+v of nothing", got)
	}
}

func TestEachDistanceHasItsLineAndItsReferences(t *testing.T) {
	at := func(d result.Distance, rate, floorNs float64) result.Summary {
		figure := func(x float64) result.Range { return result.Range{Median: x, Min: x, Max: x, Known: true} }
		return result.Summary{Key: result.Key{Experiment: "pingpong", Host: "c", Guest: "c", PayloadBytes: 64, Threads: 1, Distance: d},
			OpsPerS: figure(rate), FloorRTTNs: figure(floorNs), BareRTTNs: figure(floorNs)}
	}
	var names []string
	for _, line := range SeriesOf([]result.Summary{at(result.Far, 2e6, 400), at(result.Near, 6e6, 100), at(result.Moved, 4e6, 200)}) {
		names = append(names, line.Name)
	}
	want := []string{"pingpong: host c, guest c, 64 B, far CPUs", "pingpong: host c, guest c, 64 B, near CPUs",
		"bare cache line (floor), near CPUs", "bare cache line (floor), far CPUs", "bare loop, 64 B, near CPUs", "bare loop, 64 B, far CPUs"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got\n%q, want\n%q", names, want)
	}
	if lines := SeriesOf([]result.Summary{at(result.Moved, 4e6, 200)}); len(lines) != 3 {
		t.Errorf("of CPUs that always moved: %+v", lines)
	}
}
