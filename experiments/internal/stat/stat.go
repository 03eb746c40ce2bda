// SPDX-License-Identifier: Apache-2.0

// Package stat holds the few statistics that the experiments print, and the one place where a rate
// is derived from a count and a time.
package stat

import (
	"math"
	"slices"
)

// Rate returns count per second, from a count and the nanoseconds that it took. Every rate that an
// experiment prints comes from here. It is NaN if no time passed, since a rate is then unknown.
func Rate(count uint64, elapsedNs int64) float64 {
	if elapsedNs <= 0 {
		return math.NaN()
	}
	return float64(count) / float64(elapsedNs) * 1e9
}

// Median returns the middle of x, or the mean of the two in the middle; NaN if x is empty. x stays
// as it is.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(x))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return sorted[half-1] + (sorted[half]-sorted[half-1])/2
}

// Min returns the smallest of x; NaN if x is empty.
func Min(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return slices.Min(x)
}

// Max returns the largest of x; NaN if x is empty.
func Max(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return slices.Max(x)
}

// Middle returns the range of the middle half of x, without the quarter of the smallest and the
// quarter of the largest (rounded down, so that of 5 the 3 in the middle stay): what a run that was
// disturbed does not move. NaN if x is empty.
func Middle(x []float64) (low, high float64) {
	if len(x) == 0 {
		return math.NaN(), math.NaN()
	}
	sorted := slices.Sorted(slices.Values(x))
	cut := len(sorted) / 4
	return sorted[cut], sorted[len(sorted)-1-cut]
}

// Spread returns how far runs of the same thing lie apart: (max - min) / median, so that 0.1 means
// 10 %. Nothing may be called faster by less than this. NaN if x is empty or its median 0.
func Spread(x []float64) float64 {
	median := Median(x)
	if len(x) == 0 || median == 0 {
		return math.NaN()
	}
	return (Max(x) - Min(x)) / median
}
