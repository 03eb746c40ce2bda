// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// TableColumns is the width that Table keeps to.
const TableColumns = 140

const header = "callers\tM/s\tmin\tmax\tp50\tp90\tp99\tp99.9\tlongest\tfair\tCPU s/M\tfloor\tbare\thost s/y/p\tguest s/y/p\tcheck\t\n"

// An open loop asks for its rate, so that there is nothing to compare with a bare one.
var openHeader = strings.Replace(header, "floor\tbare", "pacing\tnet", 1)

const legend = `M/s          million round trips a second: median, smallest and largest of the runs
p50 - p99.9  time of a round trip: median of the runs' percentiles; - where a run has fewer than 100/(1-p) samples;
             in an open loop from when the call was to start, so that waiting for a late one before it counts
longest      longest round trip of all runs
fair         operations of the slowest caller / of the fastest, median
CPU s/M      CPU seconds of both sides per million round trips, median
floor, bare  rate / rate of the bare cache line, and of a bare loop that copies the same bytes: same CPUs, same run, median
pacing, net  in an open loop: the part of CPU s/M that waiting for the starts takes, measured without calls in the same run,
             and what is left for the calls
s/y/p        % of a side's waits that ended while spinning, after a yield, after a park was begun
check        ok: the content of every round trip was verified; none: not in every run
`

// Table writes the cells as tables for people, one for each combination of experiment, transport,
// path, languages, payload, variant and rate, a line for each number of callers, and after them what must be known
// to read them: failures, runs that should not have been put together, and what the columns mean.
func Table(w io.Writer, cells []Cell) error {
	var text bytes.Buffer
	summaries := Summarise(cells)
	for len(summaries) > 0 {
		same := func(s Summary) bool { return s.Title() != summaries[0].Title() }
		end := slices.IndexFunc(summaries, same)
		if end < 0 {
			end = len(summaries)
		}
		writeGroup(&text, summaries[:end])
		summaries = summaries[end:]
	}
	if text.Len() == 0 {
		text.WriteString("no results\n")
	} else {
		text.WriteString(legend)
	}
	_, err := w.Write(text.Bytes())
	return err
}

func writeGroup(text *bytes.Buffer, group []Summary) {
	fmt.Fprintf(text, "%s; %s\n", group[0].Title(), runs(group))
	aligned := tabwriter.NewWriter(text, 0, 0, 2, ' ', tabwriter.AlignRight)
	if group[0].RatePerS > 0 {
		io.WriteString(aligned, openHeader)
	} else {
		io.WriteString(aligned, header)
	}
	for _, s := range group {
		io.WriteString(aligned, row(s))
	}
	aligned.Flush() // a bytes.Buffer takes everything
	for _, s := range group {
		for _, note := range s.Notes() {
			fmt.Fprintf(text, "  %s: %s\n", Callers(s.Threads), note)
		}
	}
	text.WriteByte('\n')
}

// Callers writes a number of callers.
func Callers(n int) string {
	if n == 1 {
		return "1 caller"
	}
	return fmt.Sprintf("%d callers", n)
}

// runs says over how many runs the medians are, and whether that is enough.
func runs(group []Summary) string {
	count := func(a, b Summary) int { return a.Runs - b.Runs }
	fewest, most := slices.MinFunc(group, count).Runs, slices.MaxFunc(group, count).Runs
	text := fmt.Sprintf("%d runs", most)
	switch {
	case fewest < most:
		text = fmt.Sprintf("%d to %d runs", fewest, most)
	case most == 1:
		text = "1 run"
	}
	if fewest < 5 {
		text += " (a median worth quoting takes 5)"
	}
	return text
}

func row(s Summary) string {
	mega := func(x float64) string { return FormatSig3(x / 1e6) }
	if !s.OpsPerS.Known {
		mega = func(float64) string { return "-" }
	}
	p50, p90, p99, p999, longest := s.Latency()
	first, second := s.FloorRatio, s.BareRatio
	if s.RatePerS > 0 {
		first, second = s.PaceCPUSPerMop, s.NetCPUSPerMop
	}
	cells := []string{
		fmt.Sprint(s.Threads), mega(s.OpsPerS.Median), mega(s.OpsPerS.Min), mega(s.OpsPerS.Max),
		p50.Format(FormatNs), p90.Format(FormatNs), p99.Format(FormatNs),
		p999.Format(FormatNs), Range{Median: longest.Max, Known: longest.Known}.Format(FormatNs),
		s.Fairness.Format(twoDecimals), s.CPUSPerMop.Format(FormatSig3),
		first.Format(FormatSig3), second.Format(FormatSig3),
		FormatShares(s.Waits.Host), FormatShares(s.Waits.Guest), content(s),
	}
	return strings.Join(cells, "\t") + "\t\n"
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
