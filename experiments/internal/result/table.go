// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// TableColumns is the width that Table keeps to.
const TableColumns = 140

var head = strings.Fields("callers M/s min max p50 p90 p99 p99.9 longest fair CPU_s/M floor bare host_s/y/p guest_s/y/p check")

// Legend says what the columns mean.
const Legend = `M/s          million round trips a second: median, smallest and largest of the runs, or of slices of 100 ms where the
             table is of one distance of the CPUs (near, far, ...), which the floor before and after each slice tells
p50 - p99.9  time of a round trip: median of the runs' percentiles, of one distance those of all its calls; - where there
             are fewer than 100/(1-p) samples. They are timed in a part of their own, after that of the rate. In an open loop
             from when the call was to start, so that waiting for a late one before it counts
longest      longest round trip of all runs
fair         operations of the slowest caller / of the fastest, median
CPU s/M      CPU seconds of both sides per million round trips, median
floor, bare  rate / rate of the bare cache line, and of a bare loop that copies the same bytes: same CPUs, same run, or the floors
             before and after the same slice; median
pacing, net  in an open loop: the part of CPU s/M that waiting for the starts takes, measured without calls in the same run,
             and what is left for the calls
s/y/p        % of a side's waits that ended while spinning, after a yield, after a park was begun
check        ok: the content of every round trip was verified; none: not in every run
`

// Block is one table: what differs in the number of callers only.
type Block struct {
	Title string
	Head  []string
	Rows  [][]string
	Notes []string // what must be known to read it: failures, runs that should not have been put together
}

// Blocks makes one for each combination of experiment, transport, path, languages, payload, variant,
// rate and distance, with a row for each number of callers.
func Blocks(cells []Cell) (all []Block) {
	for _, group := range Group(Summarise(cells), Summary.Title) {
		b := Block{Title: fmt.Sprintf("%s; %s", group[0].Title(), runs(group)) + lineOf(group)}
		for _, name := range head {
			b.Head = append(b.Head, strings.ReplaceAll(name, "_", " "))
		}
		if group[0].RatePerS > 0 { // which was asked for, so that there is nothing to compare with a bare one
			b.Head[slices.Index(head, "floor")], b.Head[slices.Index(head, "bare")] = "pacing", "net"
		}
		for _, s := range group {
			b.Rows = append(b.Rows, row(s))
			for _, note := range s.Notes() {
				b.Notes = append(b.Notes, Callers(s.Threads)+": "+note)
			}
		}
		all = append(all, b)
	}
	return all
}

// Table writes the blocks of the cells for people, and what the columns mean.
func Table(w io.Writer, cells []Cell) error {
	var text bytes.Buffer
	for _, b := range Blocks(cells) {
		fmt.Fprintln(&text, b.Title)
		aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range append([][]string{b.Head}, b.Rows...) {
			fmt.Fprintln(aligned, strings.Join(row, "\t")+"\t")
		}
		aligned.Flush() // a bytes.Buffer takes everything
		for _, note := range b.Notes {
			fmt.Fprintln(&text, "  "+note)
		}
		text.WriteByte('\n')
	}
	if text.Len() == 0 {
		text.WriteString("no results\n")
	} else {
		text.WriteString(Legend)
	}
	_, err := w.Write(text.Bytes())
	return err
}

// Callers writes a number of callers.
func Callers(n int) string {
	if n == 1 {
		return "1 caller"
	}
	return fmt.Sprintf("%d callers", n)
}

// lineOf says of a group at one distance what a cache line took.
func lineOf(group []Summary) string {
	floors := Range{Min: math.Inf(1)}
	for _, s := range group {
		if s.Distance != "" && s.FloorRTTNs.Known {
			floors = Range{Min: min(floors.Min, s.FloorRTTNs.Min), Max: max(floors.Max, s.FloorRTTNs.Max), Known: true}
		}
	}
	if !floors.Known {
		return ""
	}
	return fmt.Sprintf("; a line: %.0f-%.0f ns", floors.Min, floors.Max)
}

// runs says over how many runs, or slices of them, the medians are, and whether that is enough.
func runs(group []Summary) string {
	what := "run"
	number := func(s Summary) int { return s.Runs }
	if group[0].Distance != "" {
		what, number = "slice", func(s Summary) int { return s.Slices }
	}
	count := func(a, b Summary) int { return number(a) - number(b) }
	fewest, most := number(slices.MinFunc(group, count)), number(slices.MaxFunc(group, count))
	text := fmt.Sprintf("%d %ss", most, what)
	switch {
	case fewest < most:
		text = fmt.Sprintf("%d to %d %ss", fewest, most, what)
	case most == 1:
		text = "1 " + what
	}
	if fewest < SlicesWanted {
		text += fmt.Sprintf(" (a median worth quoting takes %d)", SlicesWanted)
	}
	return text
}

func row(s Summary) []string {
	mega := func(x float64) string { return FormatSig3(x / 1e6) }
	if !s.OpsPerS.Known {
		mega = func(float64) string { return "-" }
	}
	p50, p90, p99, p999, longest := s.Latency()
	first, second := s.FloorRatio, s.BareRatio
	if s.RatePerS > 0 {
		first, second = s.PaceCPUSPerMop, s.NetCPUSPerMop
	}
	return []string{
		fmt.Sprint(s.Threads), mega(s.OpsPerS.Median), mega(s.OpsPerS.Min), mega(s.OpsPerS.Max),
		p50.Format(FormatNs), p90.Format(FormatNs), p99.Format(FormatNs),
		p999.Format(FormatNs), Range{Median: longest.Max, Known: longest.Known}.Format(FormatNs),
		s.Fairness.Format(twoDecimals), s.CPUSPerMop.Format(FormatSig3),
		first.Format(FormatSig3), second.Format(FormatSig3),
		FormatShares(s.Waits.Host), FormatShares(s.Waits.Guest), content(s),
	}
}

func twoDecimals(x float64) string { return fmt.Sprintf("%.2f", x) }

// Format writes the median, or a dash if it is not known.
func (r Range) Format(format func(float64) string) string {
	if !r.Known {
		return "-"
	}
	return format(r.Median)
}

// content says whether what arrived was checked, and whether it was right.
func content(s Summary) string {
	switch {
	case s.VerifyFailures > 0:
		return "FAILED"
	case s.Verified:
		return "ok"
	default:
		return "none"
	}
}

// Notes lists what a reader of its figures must know.
func (s Summary) Notes() []string {
	var list []string
	if s.VerifyFailures > 0 {
		list = append(list, fmt.Sprintf("FAILED: the content of %d calls was wrong, the figures mean nothing", s.VerifyFailures))
	}
	if s.Errors > 0 {
		list = append(list, fmt.Sprintf("%d calls failed, %d of them timed out, beside %d that succeeded", s.Errors, s.Timeouts, s.Ops))
	}
	if s.Missed > 0 {
		list = append(list, fmt.Sprintf("the rate was not reached: %d calls were never started, beside %d that were made; latency grows while one measures", s.Missed, s.Ops))
	}
	if len(s.Mixed) > 0 {
		list = append(list, "the runs differ in "+strings.Join(s.Mixed, ", ")+" and should not stand in one line")
	}
	return list
}
