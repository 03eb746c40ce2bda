// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"fmt"
	"math"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// Span is a figure of several runs: the median, the smallest and the largest.
type Span struct {
	Median, Low, High float64
	Runs              int
}

// SpanOf makes one; that of no runs is not Known.
func SpanOf(values []float64) Span {
	return Span{stat.Median(values), stat.Min(values), stat.Max(values), len(values)}
}

// Known says whether anything was measured.
func (s Span) Known() bool { return s.Runs > 0 && !math.IsNaN(s.Median) }

// Times returns the span in another unit.
func (s Span) Times(factor float64) Span {
	s.Median, s.Low, s.High = s.Median*factor, s.Low*factor, s.High*factor
	return s
}

// String writes median [smallest-largest].
func (s Span) String() string { return s.Format(result.FormatSig3) }

// Format writes the same with figures as format makes them.
func (s Span) Format(format func(float64) string) string {
	switch {
	case !s.Known():
		return "-"
	case s.Runs == 1:
		return format(s.Median)
	}
	return fmt.Sprintf("%s [%s-%s]", format(s.Median), format(s.Low), format(s.High))
}

// Short writes the median alone.
func (s Span) Short() string {
	if !s.Known() {
		return "-"
	}
	return result.FormatSig3(s.Median)
}

// RunsMin is how few runs allow a verdict.
const RunsMin = 5

// Verdict is what a ratio of two figures, run by run, says about them.
type Verdict int

const (
	// TooFew runs say nothing.
	TooFew Verdict = iota
	// Same is less than the runs differ from each other.
	Same
	// Less is below 1 by more than the runs differ.
	Less
	// More is above 1 by more than the runs differ.
	More
)

// Against compares a ratio with a value: it is more or less only if the margin between the median
// and that value is larger than the distance of the runs from each other.
func (s Span) Against(value float64) Verdict { return s.AgainstNoise(value, 0) }

// AgainstNoise is Against, and the margin must also be larger than a noise that is known from
// elsewhere.
func (s Span) AgainstNoise(value, noise float64) Verdict {
	margin := math.Abs(s.Median - value)
	switch {
	case !s.Known() || s.Runs < RunsMin:
		return TooFew
	case margin <= max(s.High-s.Low, noise):
		return Same
	case s.Median < value:
		return Less
	}
	return More
}
