// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/result"
)

const legend = `calls/s: the median of slices of 100 ms (500 ms of a schedule), with the slowest and the fastest. x floor, x bare: the rate over
that of the bare cache line, and over that of a bare loop that copies the same bytes, slice by slice. p50 to p99.9: of a round trip, of
all runs together; by a schedule from when a call was to start. A dash stands for too few calls. CPU us: of both processes for a
call, which is CPU seconds a million calls; net: without what waiting for the starts takes. fair: calls of the slowest caller over those
of the fastest. as fast: the rate over that of dx-c; in brackets where neither may be called faster: fewer than 5 slices, or their middle
halves meet.
`

// reference is what the others are compared with.
const reference = "dx-c"

// tables writes everything that was measured.
func tables(w io.Writer, l log) {
	all := result.Summarise(l.cells)
	for _, d := range distances(all) {
		at := slices.DeleteFunc(slices.Clone(all), func(s result.Summary) bool { return s.Distance != d })
		for _, v := range views(at) {
			fmt.Fprintf(w, "%s; %s%s\n", v.title(), d.Title(), floorsOf(v.rows))
			aligned(w, v.lines())
		}
		if lines := payloadLines(at); len(lines) > 2 {
			fmt.Fprintf(w, "p50 of a round trip by payload, %s; %s\n", result.Callers(fewest(at)), d.Title())
			aligned(w, lines)
		}
	}
	if lines := idleLines(l); len(lines) > 1 {
		fmt.Fprintln(w, "nobody calls: CPU of both sides, of one CPU; wake-ups of all their threads; the first call after that")
		aligned(w, lines)
	}
	for _, o := range l.out {
		fmt.Fprintln(w, o)
	}
	if moved := movedSlices(all); moved > 0 {
		fmt.Fprintf(w, "%d slices do not count: the CPUs moved meanwhile.\n", moved)
	}
	fmt.Fprintln(w)
	fmt.Fprint(w, legend)
}

// distances are those that count, or, where the CPUs moved all the time, that one.
func distances(all []result.Summary) (met []result.Distance) {
	for _, d := range result.Distances {
		has := slices.ContainsFunc(all, func(s result.Summary) bool { return s.Distance == d })
		if has && (d != result.Moved || len(met) == 0) {
			met = append(met, d)
		}
	}
	return met
}

func movedSlices(all []result.Summary) (n int) {
	if slices.Equal(distances(all), []result.Distance{result.Moved}) {
		return 0 // they are shown
	}
	for _, s := range all {
		if s.Distance == result.Moved {
			n += s.Slices
		}
	}
	return n
}

// view is a table: all peers by one number of callers, payload and rate.
type view struct {
	threads, payload int
	rate             float64
	rows             []result.Summary
}

func (v view) title() string {
	text := fmt.Sprintf("%s, %s", result.Callers(v.threads), result.FormatBytes(v.payload))
	if v.rate > 0 {
		return text + ", " + result.FormatRate(v.rate) + " by a schedule"
	}
	return text
}

// views are in the order closed loops, schedules; fewer callers before more, small payloads before large
// ones, and the peers in the order of the list.
func views(at []result.Summary) (list []view) {
	for _, s := range at {
		if s.Slices == 0 {
			continue // its CPUs were so for times of calls alone
		}
		i := slices.IndexFunc(list, func(v view) bool {
			return v.threads == s.Threads && v.payload == s.PayloadBytes && v.rate == s.RatePerS
		})
		if i < 0 {
			i = len(list)
			list = append(list, view{threads: s.Threads, payload: s.PayloadBytes, rate: s.RatePerS})
		}
		list[i].rows = append(list[i].rows, s)
	}
	slices.SortFunc(list, func(a, b view) int {
		return slices.Compare([]float64{a.rate, float64(a.payload), float64(a.threads)}, []float64{b.rate, float64(b.payload), float64(b.threads)})
	})
	for _, v := range list {
		slices.SortStableFunc(v.rows, func(a, b result.Summary) int { return place(a.Variant) - place(b.Variant) })
	}
	return list
}

// place is a peer's in the list.
func place(name string) int {
	return slices.IndexFunc(all, func(p peerKind) bool { return p.name == name })
}

// row returns a peer's of this view.
func (v view) row(name string) (result.Summary, bool) {
	i := slices.IndexFunc(v.rows, func(s result.Summary) bool { return s.Variant == name })
	if i < 0 {
		return result.Summary{}, false
	}
	return v.rows[i], true
}

func (v view) lines() []string {
	head := "peer\tslices\tcalls/s\tmin\tmax\tx floor\tx bare\tas fast\tp50\tp99\tp99.9\tCPU us\tfair\tin\t"
	if v.rate > 0 {
		head = "peer\tslices\tcalls/s\tmissed\tp50\tp90\tp99\tp99.9\tCPU us\tnet\tin\t"
	}
	lines := []string{head}
	for _, s := range v.rows {
		p50, p90, p99, p999, _ := s.Latency()
		line := []any{s.Variant, s.Slices, result.FormatSig3(s.OpsPerS.Median), result.FormatSig3(s.OpsPerS.Min), result.FormatSig3(s.OpsPerS.Max),
			s.FloorRatio.Format(result.FormatSig3), s.BareRatio.Format(result.FormatSig3), v.asFast(s), p50.Format(result.FormatNs),
			p99.Format(result.FormatNs), p999.Format(result.FormatNs), s.CPUSPerMop.Format(result.FormatSig3), s.Fairness.Format(twoDecimals), s.Host}
		if v.rate > 0 {
			line = []any{s.Variant, s.Slices, result.FormatSig3(s.OpsPerS.Median), s.Missed, p50.Format(result.FormatNs), p90.Format(result.FormatNs),
				p99.Format(result.FormatNs), p999.Format(result.FormatNs), s.CPUSPerMop.Format(result.FormatSig3), s.NetCPUSPerMop.Format(result.FormatSig3), s.Host}
		}
		lines = append(lines, fmt.Sprintf(strings.Repeat("%v\t", len(line)), line...))
	}
	return lines
}

func twoDecimals(x float64) string { return fmt.Sprintf("%.2f", x) }

// asFast compares with the reference.
func (v view) asFast(s result.Summary) string {
	base, ok := v.row(reference)
	switch {
	case !ok || !base.OpsPerS.Known || base.OpsPerS.Median == 0:
		return "-"
	case s.Variant == reference:
		return "1"
	}
	ratio := result.FormatSig3(s.OpsPerS.Median / base.OpsPerS.Median)
	if differ(s, base, rateOf) {
		return ratio
	}
	return "(" + ratio + ")"
}

// differ says whether one may be called better: both have slices enough, and the middle halves of those,
// or of the runs, do not meet.
func differ(a, b result.Summary, of func(result.Summary) result.Range) bool {
	x, y := of(a), of(b)
	return min(a.Slices, b.Slices) >= result.SlicesWanted && x.Known && y.Known && (x.High < y.Low || y.High < x.Low)
}

func rateOf(s result.Summary) result.Range { return s.OpsPerS }
func cpuOf(s result.Summary) result.Range  { return s.CPUSPerMop }

// floorsOf says what the floor and the bare loop took meanwhile.
func floorsOf(rows []result.Summary) string {
	var low, high, bareLow, bareHigh float64
	for i, s := range rows {
		if i == 0 {
			low, high, bareLow, bareHigh = s.FloorRTTNs.Min, s.FloorRTTNs.Max, s.BareRTTNs.Min, s.BareRTTNs.Max
		}
		low, high = min(low, s.FloorRTTNs.Min), max(high, s.FloorRTTNs.Max)
		bareLow, bareHigh = min(bareLow, s.BareRTTNs.Min), max(bareHigh, s.BareRTTNs.Max)
	}
	return fmt.Sprintf("; a bare line took %s to %s, a bare loop %s to %s", result.FormatNs(low), result.FormatNs(high),
		result.FormatNs(bareLow), result.FormatNs(bareHigh))
}

// fewest is the number of callers of the payloads.
func fewest(at []result.Summary) int {
	least := at[0].Threads
	for _, s := range at {
		least = min(least, s.Threads)
	}
	return least
}

// payloadLines has a line for each peer and a column for each payload.
func payloadLines(at []result.Summary) []string {
	threads := fewest(at)
	of := slices.DeleteFunc(views(at), func(v view) bool { return v.threads != threads || v.rate > 0 })
	if len(of) < 2 {
		return nil
	}
	head := "peer\t"
	for _, v := range of {
		head += result.FormatBytes(v.payload) + "\t"
	}
	lines := []string{head}
	for _, p := range all {
		line, known := p.name+"\t", false
		for _, v := range of {
			s, ok := v.row(p.name)
			known = known || ok
			line += s.P50Ns.Format(result.FormatNs) + "\t"
		}
		if known {
			lines = append(lines, line)
		}
	}
	return lines
}

// aligned writes lines whose cells end with tabs.
func aligned(to io.Writer, lines []string) {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintln(t, line)
	}
	_ = t.Flush() // whoever reads it sees what is missing
	fmt.Fprintln(to)
}
