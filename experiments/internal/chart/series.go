// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"
	"maps"
	"slices"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// SeriesOf turns summaries into lines for OpsVsThreads: one for each combination of everything but
// the number of callers, then the bare cache line and, for each payload, the bare loop, where the
// runs measured them, at each distance of the CPUs. Summaries without a rate, with one that was asked
// for, or with content that was wrong are left out, and those of CPUs that moved meanwhile, unless there
// are no others.
func SeriesOf(summaries []result.Summary) []Series {
	var names []string
	for _, s := range summaries {
		names = append(names, s.Title())
	}
	return SeriesNamed(summaries, names)
}

// SeriesByDepth turns the summaries of calls in flight into lines for OpsVsDepth, as SeriesOf does:
// Point.Threads is then the number of calls in flight of each caller.
func SeriesByDepth(summaries []result.Summary) []Series {
	var queued []result.Summary
	var names []string
	for _, s := range summaries {
		if s.InFlight > 0 {
			callers := result.Callers(s.Threads)
			s.Threads, s.InFlight = s.InFlight, 0
			queued = append(queued, s)
			names = append(names, callers+", "+s.Title())
		}
	}
	return SeriesNamed(queued, names)
}

// SeriesNamed is SeriesOf with the name of the line for each summary.
func SeriesNamed(summaries []result.Summary, names []string) []Series {
	var series []Series
	place := map[string]int{}
	floor, bare := map[bareOf]rates{}, map[bareOf]rates{}
	counts := func(s result.Summary) bool { return s.OpsPerS.Known && s.RatePerS == 0 && s.VerifyFailures == 0 }
	stayed := slices.ContainsFunc(summaries, func(s result.Summary) bool { return counts(s) && s.Distance != result.Moved })
	for i, s := range summaries {
		if !counts(s) || s.Distance == result.Moved && stayed {
			continue
		}
		name := names[i]
		if _, found := place[name]; !found {
			place[name] = len(series)
			series = append(series, Series{Name: name})
		}
		line := &series[place[name]]
		line.Points = append(line.Points, Point{s.Threads, s.OpsPerS.Median, s.OpsPerS.Min, s.OpsPerS.Max})
		of := bareOf{distance: s.Distance}
		floor[of] = floor[of].add(s.Threads, s.FloorRTTNs)
		if s.InFlight <= 1 { // else it is of as many lines under way
			of.payload = s.PayloadBytes
			bare[of] = bare[of].add(s.Threads, s.BareRTTNs)
		}
	}
	for _, of := range references(floor) {
		series = append(series, floor[of].reference("bare cache line (floor)"+of.where())...)
	}
	for _, of := range references(bare) {
		series = append(series, bare[of].reference("bare loop, "+result.FormatBytes(of.payload)+of.where())...)
	}
	return series
}

// bareOf is what bare loops are told apart by.
type bareOf struct {
	payload  int
	distance result.Distance
}

func references(all map[bareOf]rates) []bareOf {
	return slices.SortedFunc(maps.Keys(all), func(a, b bareOf) int {
		return cmp.Or(cmp.Compare(a.payload, b.payload),
			cmp.Compare(slices.Index(result.Distances, a.distance), slices.Index(result.Distances, b.distance)))
	})
}

func (r bareOf) where() string {
	if r.distance == "" {
		return ""
	}
	return ", " + r.distance.Title()
}

// rates are what one reference measured at each number of callers, round trips a second.
type rates map[int][]float64

func (r rates) add(threads int, rttNs result.Range) rates {
	if !rttNs.Known || rttNs.Median <= 0 {
		return r
	}
	if r == nil {
		r = rates{}
	}
	r[threads] = append(r[threads], 1e9/rttNs.Median)
	return r
}

// reference is one line through the medians, or none.
func (r rates) reference(name string) []Series {
	if len(r) == 0 {
		return nil
	}
	line := Series{Name: name, Reference: true}
	for _, threads := range slices.Sorted(maps.Keys(r)) {
		line.Points = append(line.Points, Point{Threads: threads, Median: stat.Median(r[threads])})
	}
	return []Series{line}
}
