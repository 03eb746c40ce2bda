// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

const legend = `p50: of a round trip, median of the runs' own, with that of the fastest and the slowest run. p99, p90: the same; ~ marks one of all
runs together, where single runs have too few samples for it, and - one for which even those are too few. calls/s: as reached. CPU us: of
both sides for a round trip, all of QEMU included, which is CPU seconds a million round trips. slept: % of the waits of calling and of
answering side that ended in a sleep. x serial, x TCP: how many times as fast as these, by p50; in brackets where the runs' ranges meet,
so that neither is faster. mean: of the whole time, pauses included. idle: CPU of both sides while nobody calls, of one CPU. pacing: what of the CPU time went into waiting for
the starts; by a schedule the time of a call counts from when it was to start.
`

// of selects the runs of a way at a rate.
func (l log) of(name string, rate float64) (runs result.Runs) {
	for _, c := range l.cells {
		if c.Variant == name && c.Rate() == rate {
			runs = append(runs, c)
		}
	}
	return runs
}

// aligned writes lines whose cells end with tabs.
func aligned(to io.Writer, lines []string) {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintln(t, line)
	}
	_ = t.Flush() // into memory
	fmt.Fprintln(to)
}

func table(c config, l log) string {
	var text strings.Builder
	fmt.Fprintln(&text, title(0))
	aligned(&text, closedLines(c, l))
	if c.rate > 0 {
		fmt.Fprintln(&text, title(c.rate))
		aligned(&text, openLines(c, l))
	}
	if len(l.idle) > 0 {
		fmt.Fprintln(&text, "nobody calls: CPU of one CPU")
		aligned(&text, idleLines(c, l))
	}
	fmt.Fprintln(&text, "spin first beside polling, run by run")
	aligned(&text, nearLines(l))
	return text.String() + legend + "\n" + strings.Join(sentences(c, l), "\n") + "\n"
}

func title(rate float64) string {
	if rate == 0 {
		return "each call when the one before is answered"
	}
	return result.FormatRate(rate) + " by a schedule"
}

func closedLines(c config, l log) []string {
	lines := []string{"way\truns\tsamples\tp50\tmin\tmax\tp99\tcalls/s\tCPU us\tslept\tx serial\tx TCP\tidle\t"}
	for _, w := range c.ways() {
		runs := l.of(w.name, 0)
		if len(runs) == 0 {
			continue
		}
		median, low, high := runs.FormatPercentile(0.5)
		p99, _, _ := runs.FormatPercentile(0.99)
		line := []any{w.name, len(runs), runs.Samples(), median, low, high, p99, runs.PerS().Format(result.FormatSig3),
			runs.CPUSPerMop().Format(result.FormatSig3), runs.FormatSlept(), l.times(w.name, serial), l.times(w.name, tcp),
			percent(l.shares(w.name, idleRun.both))}
		lines = append(lines, fmt.Sprintf(strings.Repeat("%v\t", len(line)), line...))
	}
	return lines
}

func openLines(c config, l log) []string {
	lines := []string{"way\truns\tsamples\tp50\tmin\tmax\tp90\tcalls/s\tCPU us\tpacing\tslept\t"}
	for _, w := range c.ways() {
		runs := l.of(w.name, c.rate)
		if len(runs) == 0 {
			continue
		}
		median, low, high := runs.FormatPercentile(0.5)
		p90, _, _ := runs.FormatPercentile(0.9)
		line := []any{w.name, len(runs), runs.Samples(), median, low, high, p90, runs.PerS().Format(result.FormatSig3),
			runs.CPUSPerMop().Format(result.FormatSig3), runs.PaceCPUSPerMop().Format(result.FormatSig3), runs.FormatSlept()}
		lines = append(lines, fmt.Sprintf(strings.Repeat("%v\t", len(line)), line...))
	}
	return lines
}

// times is how many times as fast as an alternative.
func (l log) times(name, alternative string) string {
	if name == alternative {
		return "1"
	}
	ratio, apart := faster(l.of(name, 0), l.of(alternative, 0))
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
func (r idleRun) both() float64 { return r.host() + r.qemu() }
func (r idleRun) host() float64 { return float64(r.HostCPUNs) / float64(r.ElapsedNs) }
func (r idleRun) qemu() float64 { return float64(r.GuestCPUNs) / float64(r.ElapsedNs) }

// shares are those of a way in the runs in which nobody called.
func (l log) shares(name string, of func(idleRun) float64) (all []float64) {
	for _, r := range l.idle {
		if r.Way == name {
			all = append(all, of(r))
		}
	}
	return all
}

// beyond is what QEMU uses more than with nothing of ours in it, run by run.
func (l log) beyond(name string) (all []float64) {
	alone := map[int]float64{}
	for _, r := range l.idle {
		if r.Way == machineAlone {
			alone[r.Run] = r.qemu()
		}
	}
	for _, r := range l.idle {
		if without, ok := alone[r.Run]; ok && r.Way == name {
			all = append(all, r.qemu()-without)
		}
	}
	return all
}

func idleLines(c config, l log) []string {
	lines := []string{"way\truns\tboth\tmin\tmax\thost\tQEMU\tQEMU beyond the machine alone\tmin\tmax\t"}
	names := []string{machineAlone}
	for _, w := range c.ways() {
		names = append(names, w.name)
	}
	for _, name := range names {
		both, beyond := l.shares(name, idleRun.both), l.beyond(name)
		if len(both) == 0 {
			continue
		}
		more := "-\t-\t-"
		if name != machineAlone && len(beyond) > 0 {
			more = fmt.Sprintf("%s\t%s\t%s", percent(beyond), percent([]float64{stat.Min(beyond)}), percent([]float64{stat.Max(beyond)}))
		}
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t", name, len(both), percent(both),
			percent([]float64{stat.Min(both)}), percent([]float64{stat.Max(both)}), percent(l.shares(name, idleRun.host)),
			percent(l.shares(name, idleRun.qemu)), more))
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
