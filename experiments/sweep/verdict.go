// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strings"

	"dx/experiments/internal/result"
)

// figure is something that two cells are compared by.
type figure struct {
	name         string
	more, less   string // what to call a difference
	format       func(float64) string
	scale        float64
	of           func(result.Summary) result.Range
	closed, open bool // the loops in which it says something
}

var figures = []figure{
	{"rate", "higher", "lower", result.FormatSig3, 1e-6,
		func(s result.Summary) result.Range { return s.OpsPerS }, true, false},
	{"p50", "longer", "shorter", result.FormatNs, 1,
		func(s result.Summary) result.Range { p50, _, _, _, _ := s.Latency(); return p50 }, false, true},
	{"p99", "longer", "shorter", result.FormatNs, 1,
		func(s result.Summary) result.Range { _, _, p99, _, _ := s.Latency(); return p99 }, true, true},
	{"CPU time", "more", "less", result.FormatSig3, 1,
		func(s result.Summary) result.Range { return s.CPUSPerMop }, true, true},
}

// suits says whether the figure means something for the cell.
func (f figure) suits(s result.Summary) bool {
	return s.RatePerS > 0 && f.open || s.RatePerS == 0 && f.closed
}

func (f figure) text(r result.Range) string {
	return r.Format(func(x float64) string { return f.format(x * f.scale) })
}

// spread is how far runs of the same thing lie apart, over all that measured it: the middle half
// of the runs of each, since one that the machine disturbed would hide any difference.
func spread(same ...result.Range) (share float64, known bool) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, r := range same {
		if !r.Known {
			return 0, false
		}
		low, high = min(low, r.Low), max(high, r.High)
	}
	if len(same) == 0 || same[0].Median <= 0 {
		return 0, false
	}
	return (high - low) / same[0].Median, true
}

// verdict is what two cells' runs allow to say about one figure.
type verdict struct {
	difference float64 // of the medians, as a share of the baseline's
	noise      float64
	known      bool // both have the figure, and the noise is known
	beyond     bool // the difference exceeds the noise, and the middle halves of the runs do not meet
	apart      bool // no run of the one reaches a run of the other
}

// judge compares with a baseline. Nothing is a difference that the same thing
// measured twice shows as well.
func judge(ours, base result.Range, noise float64, noiseKnown bool) verdict {
	v := verdict{noise: noise, known: ours.Known && base.Known && noiseKnown && base.Median > 0}
	if !v.known {
		return v
	}
	v.difference = ours.Median/base.Median - 1
	v.beyond = math.Abs(v.difference) > noise && (ours.Low > base.High || ours.High < base.Low)
	v.apart = ours.Min > base.Max || ours.Max < base.Min
	return v
}

// within says that nothing is to be said: the difference may be noise.
func (v verdict) within() bool { return v.known && !v.beyond && !v.apart }

// text says it in words.
func (v verdict) text(f figure) string {
	word := f.more
	if v.difference < 0 {
		word = f.less
	}
	switch {
	case !v.known:
		return f.name + " not known"
	case v.beyond:
		return fmt.Sprintf("**%s %s %s**", f.name, percent(v.difference), word)
	case v.apart:
		return fmt.Sprintf("%s %s in every run, but by %s, less than the noise of %s", f.name, word, percent(v.difference), percent(v.noise))
	default:
		return fmt.Sprintf("%s (%s)", f.name, percent(v.noise))
	}
}

// sentence says what all figures show: first what differs, then what does not.
func sentence(said []string, within []string) string {
	if len(within) > 0 {
		said = append(said, "no difference beyond the noise: "+strings.Join(within, ", "))
	}
	return strings.Join(said, "; ")
}

// percent writes a share without its sign; large ones as factors.
func percent(share float64) string {
	share = math.Abs(share)
	if share >= 2 {
		return result.FormatSig3(share*100) + " %"
	}
	return fmt.Sprintf("%.0f %%", max(0, math.Ceil(share*100-0.5)))
}
