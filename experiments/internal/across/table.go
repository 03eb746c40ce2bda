// SPDX-License-Identifier: Apache-2.0

package across

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// Legend says what the tables hold.
const Legend = `p50: of a round trip, median of the runs' own, with that of the fastest and the slowest run. p99, p90: the same; ~ marks one of all
runs together, where single runs have too few samples for it, and - one for which even those are too few. calls/s: as reached. x bare:
that over the rate of a bare loop across the boundary, which spins and copies the same bytes. CPU us: of both sides for a round trip,
all of QEMU included, which is CPU seconds a million round trips. slept: % of the waits of calling and of answering side that ended in
a sleep. x serial, x TCP, x vsock: how many times as fast as these, by p50; in brackets where the runs' ranges meet, so that neither is
faster. mean: of the whole time, pauses included. idle: CPU of both sides while nobody calls, of one CPU. pacing: what of the CPU time
went into waiting for the starts; by a schedule the time of a call counts from when it was to start.
`

// aligned writes lines whose cells end with tabs.
func aligned(to io.Writer, lines []string) {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintln(t, line)
	}
	_ = t.Flush() // into memory
	fmt.Fprintln(to)
}

// Text is everything that is printed of a run.
func Text(l Log) string {
	var text strings.Builder
	text.WriteString(Tables(l))
	if len(l.Idle) > 0 {
		fmt.Fprintln(&text, "nobody calls: CPU of one CPU")
		aligned(&text, idleLines(l))
	}
	if len(l.Of(SpinFirst, 0)) > 0 && len(l.Of(Polling, 0)) > 0 {
		fmt.Fprintln(&text, "spin first beside polling, run by run")
		aligned(&text, nearLines(l))
	}
	return text.String() + Legend + "\n" + strings.Join(sentences(l), "\n") + "\n"
}

// Tables are those of the calls, one for each load, and what was left out.
func Tables(l Log) string {
	var text strings.Builder
	for _, rate := range l.Rates() {
		fmt.Fprintln(&text, Title(rate))
		if rate > 0 {
			aligned(&text, openLines(l, rate))
		} else {
			aligned(&text, closedLines(l))
		}
	}
	for _, o := range l.Out {
		fmt.Fprintf(&text, "%v\n\n", o)
	}
	return text.String()
}

// Title names a load.
func Title(rate float64) string {
	if rate == 0 {
		return "each call when the one before is answered"
	}
	return result.FormatRate(rate) + " by a schedule"
}

func closedLines(l Log) []string {
	lines := []string{"way\truns\tsamples\tp50\tmin\tmax\tp99\tcalls/s\tx bare\tCPU us\tslept\tx serial\tx TCP\tx vsock\tidle\t"}
	for _, name := range Names() {
		runs := l.Of(name, 0)
		if len(runs) == 0 {
			continue
		}
		median, low, high := runs.FormatPercentile(0.5)
		p99, _, _ := runs.FormatPercentile(0.99)
		line := []any{name, len(runs), runs.Samples(), median, low, high, p99, runs.PerS().Format(result.FormatSig3),
			runs.BareRatio().Format(result.FormatSig3), runs.CPUSPerMop().Format(result.FormatSig3), runs.FormatSlept(),
			l.times(name, Serial), l.times(name, TCP), l.times(name, Vsock), percent(l.shares(name, IdleRun.both))}
		lines = append(lines, fmt.Sprintf(strings.Repeat("%v\t", len(line)), line...))
	}
	return lines
}

func openLines(l Log, rate float64) []string {
	lines := []string{"way\truns\tsamples\tp50\tmin\tmax\tp90\tcalls/s\tCPU us\tpacing\tslept\t"}
	for _, name := range Names() {
		runs := l.Of(name, rate)
		if len(runs) == 0 {
			continue
		}
		median, low, high := runs.FormatPercentile(0.5)
		p90, _, _ := runs.FormatPercentile(0.9)
		line := []any{name, len(runs), runs.Samples(), median, low, high, p90, runs.PerS().Format(result.FormatSig3),
			runs.CPUSPerMop().Format(result.FormatSig3), runs.PaceCPUSPerMop().Format(result.FormatSig3), runs.FormatSlept()}
		lines = append(lines, fmt.Sprintf(strings.Repeat("%v\t", len(line)), line...))
	}
	return lines
}

// times is how many times as fast as an alternative.
func (l Log) times(name, alternative string) string {
	if name == alternative {
		return "1"
	}
	ratio, apart := faster(l.Of(name, 0), l.Of(alternative, 0))
	switch {
	case ratio == 0:
		return "-"
	case !apart:
		return "(" + result.FormatSig3(ratio) + ")"
	}
	return result.FormatSig3(ratio)
}

// faster is by how much own round trips are faster than theirs; 0: not known. They are apart if the
// ranges of the runs do not meet, and only then there is a difference.
func faster(own, theirs result.Runs) (ratio float64, apart bool) {
	a, aTogether := own.Percentile(0.5)
	b, bTogether := theirs.Percentile(0.5)
	if !a.Known || !b.Known || aTogether || bTogether {
		return 0, false
	}
	return b.Median / a.Median, a.Max < b.Min || b.Max < a.Min
}

// both, host and qemu are shares of one CPU.
func (r IdleRun) both() float64 { return r.host() + r.qemu() }
func (r IdleRun) host() float64 { return float64(r.HostCPUNs) / float64(r.ElapsedNs) }
func (r IdleRun) qemu() float64 { return float64(r.GuestCPUNs) / float64(r.ElapsedNs) }

// shares are those of a way in the runs in which nobody called.
func (l Log) shares(name string, of func(IdleRun) float64) (all []float64) {
	for _, r := range l.Idle {
		if r.Way == name {
			all = append(all, of(r))
		}
	}
	return all
}

// beyond is what QEMU uses more than with nothing of ours in it, run by run.
func (l Log) beyond(name string) (all []float64) {
	alone := map[int]float64{}
	for _, r := range l.Idle {
		if r.Way == MachineAlone {
			alone[r.Run] = r.qemu()
		}
	}
	for _, r := range l.Idle {
		if without, ok := alone[r.Run]; ok && r.Way == name {
			all = append(all, r.qemu()-without)
		}
	}
	return all
}

func idleLines(l Log) []string {
	lines := []string{"way\truns\tboth\tmin\tmax\thost\tQEMU\tQEMU beyond the machine alone\tmin\tmax\t"}
	for _, name := range append([]string{MachineAlone}, Names()...) {
		both, beyond := l.shares(name, IdleRun.both), l.beyond(name)
		if len(both) == 0 {
			continue
		}
		more := "-\t-\t-"
		if name != MachineAlone && len(beyond) > 0 {
			more = fmt.Sprintf("%s\t%s\t%s", percent(beyond), percent([]float64{stat.Min(beyond)}), percent([]float64{stat.Max(beyond)}))
		}
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t", name, len(both), percent(both),
			percent([]float64{stat.Min(both)}), percent([]float64{stat.Max(both)}), percent(l.shares(name, IdleRun.host)),
			percent(l.shares(name, IdleRun.qemu)), more))
	}
	return lines
}

// percent is the median of shares.
func percent(shares []float64) string {
	if len(shares) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100*stat.Median(shares))
}
