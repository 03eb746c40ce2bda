// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

const idleLegend = `bare sleep: a process in C that sleeps so long each time and does nothing else: what any wake-up costs on this machine now.
CPU: of one CPU, both sides' processes by their CPU clocks, while nobody calls; median of the runs with smallest and largest.
sleeps/s: those that the serving thread or goroutine begins. woken/s: wake-ups of all threads of both processes, by the
kernel's count. us each: CPU time / wake-ups. x bare: CPU time / (wake-ups x a bare sleep's of the same run), the bare
sleeps together: 1 is a channel that costs nothing but its wake-ups. The polls lie idle after the others, and their sleeps
are shorter than the bare ones.
`

func idleTable(runs []idleRun) string {
	if len(runs) == 0 {
		return ""
	}
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "idle\tsides\ttransport\truns\tseconds\tCPU\tmin\tmax\thost\tguest\tsleeps/s\twoken/s\tus each\tx bare\t")
	bareNs := bareSleeps(runs)
	for _, group := range result.Group(runs, func(r idleRun) string { return r.Name + r.Side + r.Transport }) {
		fmt.Fprintln(t, idleLine(group, bareNs))
	}
	_ = t.Flush() // into memory
	return "\n" + text.String() + idleLegend
}

func idleLine(group []idleRun, bareNs map[int]float64) string {
	first := group[0]
	median := func(value func(idleRun) float64) float64 { return stat.Median(each(group, value)) }
	share := func(ns func(idleRun) int64) []float64 {
		return each(group, func(r idleRun) float64 { return float64(ns(r)) / float64(r.ElapsedNs) })
	}
	host := share(func(r idleRun) int64 { return r.HostCPUNs })
	guest := share(func(r idleRun) int64 { return r.GuestCPUNs })
	both := share(idleRun.cpuNs)
	return fmt.Sprintf("%s\t%s\t%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t", first.Name, first.Side, first.Transport,
		len(group), float64(first.ElapsedNs)/1e9, percent(stat.Median(both)), percent(stat.Min(both)),
		percent(stat.Max(both)), percent(stat.Median(host)), percent(stat.Median(guest)),
		result.FormatSig3(median(func(r idleRun) float64 { return stat.Rate(r.GuestParks, r.ElapsedNs) })),
		result.FormatSig3(median(func(r idleRun) float64 { return stat.Rate(r.Wakeups, r.ElapsedNs) })),
		result.FormatSig3(median(func(r idleRun) float64 { return r.wakeupNs() / 1e3 })),
		result.FormatSig3(median(func(r idleRun) float64 { return r.wakeupNs() / bareNs[r.Run] })))
}

func (r idleRun) cpuNs() int64 { return r.HostCPUNs + r.GuestCPUNs }

// wakeupNs is the CPU time of one wake-up, with whatever was done in it.
func (r idleRun) wakeupNs() float64 { return float64(r.cpuNs()) / float64(max(r.Wakeups, 1)) }

// bareSleeps is the CPU time of one bare sleep in each run, in ns.
func bareSleeps(runs []idleRun) map[int]float64 {
	sums := map[int]idleRun{}
	for _, r := range runs {
		if !r.Bare {
			continue
		}
		sum := sums[r.Run]
		sum.GuestCPUNs += r.GuestCPUNs
		sum.Wakeups += r.Wakeups
		sums[r.Run] = sum
	}
	ns := map[int]float64{}
	for run, sum := range sums {
		ns[run] = sum.wakeupNs()
	}
	return ns
}

func percent(share float64) string { return fmt.Sprintf("%.4f%%", 100*share) }

func each[T any](all []T, value func(T) float64) (out []float64) {
	for _, one := range all {
		out = append(out, value(one))
	}
	return out
}
