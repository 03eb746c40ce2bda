// SPDX-License-Identifier: Apache-2.0

package across

import (
	"fmt"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
	"dx/go/dx"
)

// sentences say what the figures show and no more.
func sentences(l Log) (all []string) {
	for _, name := range []string{SpinFirst, AtOnce, AtOnceInC} {
		for _, alternative := range Alternatives {
			if text := l.compared(name, alternative); text != "" {
				all = append(all, text)
			}
		}
	}
	if text := l.compared(AtOnceInC, BareBell); text != "" {
		all = append(all, text)
	}
	for _, f := range figures {
		if text := l.near(f); text != "" {
			all = append(all, text)
		}
	}
	for _, name := range []string{SpinFirst, AtOnce, AtOnceInC} {
		if text := l.parked(name); text != "" {
			all = append(all, text)
		}
	}
	for _, name := range Names() {
		if text := l.unrung(name); text != "" {
			all = append(all, text)
		}
		missed, made := uint64(0), uint64(0)
		for _, rate := range l.Rates()[1:] {
			for _, cell := range l.Of(name, rate) {
				missed, made = missed+cell.Missed, made+cell.Ops
			}
		}
		if missed > 0 {
			all = append(all, fmt.Sprintf("%s did not reach the rate: %d calls were never started, beside %d that were made.", name, missed, made))
		}
	}
	return all
}

// compared says whether one way is faster than an alternative: only if the ranges of their runs do not meet.
func (l Log) compared(name, alternative string) string {
	own, theirs := l.Of(name, 0), l.Of(alternative, 0)
	ratio, apart := faster(own, theirs)
	switch {
	case len(own) == 0 || len(theirs) == 0:
		return ""
	case ratio == 0:
		return fmt.Sprintf("%s and %s are not compared: not every run has samples enough for a p50.", name, alternative)
	case !apart:
		return fmt.Sprintf("%s and %s do not differ: the ranges of their runs meet (p50).", name, alternative)
	case ratio < 1:
		return fmt.Sprintf("%s was slower than %s: its round trip took %s times as long (p50).", name, alternative, result.FormatSig3(1/ratio))
	}
	return fmt.Sprintf("%s was %s times as fast as %s (p50).", name, result.FormatSig3(ratio), alternative)
}

// nearMax is how much longer than pure polling a round trip with spin first may take.
const nearMax = 1.05

// ratios are those of a figure of two ways, run by run.
func (l Log) ratios(name, to string, of func(result.Cell) *float64) (all []float64) {
	base := map[int]*float64{}
	for _, c := range l.Of(to, 0) {
		base[c.Run] = of(c)
	}
	for _, c := range l.Of(name, 0) {
		if a, b := of(c), base[c.Run]; a != nil && b != nil && *b > 0 {
			all = append(all, *a / *b)
		}
	}
	return all
}

func p50Of(c result.Cell) *float64 {
	if c.RTTP50Ns == nil {
		return nil
	}
	return new(float64(*c.RTTP50Ns))
}

// meanOf is the time a round trip takes of the whole run, pauses of the machine included.
func meanOf(c result.Cell) *float64 {
	if c.OpsPerS == nil || *c.OpsPerS == 0 {
		return nil
	}
	return new(1e9 / *c.OpsPerS)
}

func cpuOf(c result.Cell) *float64 { return c.CPUSPerMop }

// figure is what spin first is compared with polling by.
type figure struct {
	name   string
	of     func(result.Cell) *float64
	judged bool // whether it is within nearMax
}

var figures = []figure{{"p50", p50Of, true}, {"mean", meanOf, true}, {"CPU per call", cpuOf, false}}

func nearLines(l Log) []string {
	lines := []string{"ratio of\truns\tspin first / polling\tmin\tmax\tpolling again / polling\tmin\tmax\t"}
	for _, f := range figures {
		spin, same := l.ratios(SpinFirst, Polling, f.of), l.ratios(PollingAgain, Polling, f.of)
		lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%s\t", f.name, len(spin), threeOf(spin), threeOf(same)))
	}
	return lines
}

func threeOf(all []float64) string {
	if len(all) == 0 {
		return "-\t-\t-"
	}
	return fmt.Sprintf("%.3f\t%.3f\t%.3f", stat.Median(all), stat.Min(all), stat.Max(all))
}

// near says whether spin first stays as near to polling as it should, as far as polling stays near to
// itself.
func (l Log) near(f figure) string {
	spin, same := l.ratios(SpinFirst, Polling, f.of), l.ratios(PollingAgain, Polling, f.of)
	if !f.judged || len(spin) == 0 || len(same) == 0 {
		return ""
	}
	text := fmt.Sprintf("With spin first a round trip took %.3f of one by polling (%s, median of %d pairs, %.3f to %.3f; polling beside polling %.3f to %.3f): ",
		stat.Median(spin), f.name, len(spin), stat.Min(spin), stat.Max(spin), stat.Min(same), stat.Max(same))
	switch {
	case stat.Median(spin) <= nearMax:
		return text + "within 5 %."
	case stat.Min(spin) <= stat.Max(same):
		return text + "more than 5 %, but so much polling differs from itself."
	}
	return text + "not within 5 %."
}

// unrung tells of sleepers that no bell woke, but their own look at the peer now and then: each is a
// bell that was lost or late.
func (l Log) unrung(name string) string {
	rescued, calls, runs := uint64(0), uint64(0), 0
	for _, c := range l.Cells {
		if c.Variant != name || c.Park != dx.ParkDoorbell.String() || c.Waits.Host == nil || c.Waits.Guest == nil {
			continue
		}
		calls += c.Ops
		if n := c.Waits.Host.Rescued + c.Waits.Guest.Rescued; n > 0 {
			rescued, runs = rescued+n, runs+1
		}
	}
	if rescued == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %d sleepers were not woken by a bell but by their own look, in %d of the runs and schedules, %d calls in all.", name, rescued, runs, calls)
}

const parkedMax = 0.01 // of one CPU

// parked says what a side costs that sleeps until somebody calls.
func (l Log) parked(name string) string {
	host, beyond, alone := l.shares(name, IdleRun.host), l.beyond(name), l.shares(MachineAlone, IdleRun.qemu)
	if len(host) == 0 || len(beyond) == 0 {
		return ""
	}
	judge := func(shares []float64) string {
		if stat.Median(shares) < parkedMax {
			return "under 1 %"
		}
		return "not under 1 %"
	}
	return fmt.Sprintf("%s, nobody calls: the host uses %s of one CPU (%s), the guest %s (%s) beside the %s of its machine alone.",
		name, percent(host), judge(host), percent(beyond), judge(beyond), percent(alone))
}
