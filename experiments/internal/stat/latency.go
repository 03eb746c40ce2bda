// SPDX-License-Identifier: Apache-2.0

package stat

import (
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// What a Latency tells apart: nanoseconds, to three significant digits.
const (
	lowestNs  = 1
	highestNs = int64(60e9)
	digits    = 3
)

// Latency collects round-trip times from 1 ns to 60 s at three significant digits (about 210 kB).
// One goroutine at a time may use it: give each caller its own, and Merge them afterwards.
// Failed calls must not be recorded.
type Latency struct {
	histogram *hdr.Histogram
	count     uint64
	clamped   uint64
	maxNs     int64
}

// NewLatency returns an empty Latency.
func NewLatency() *Latency {
	return &Latency{histogram: hdr.New(lowestNs, highestNs, digits)}
}

// Record adds one round trip. A time outside the range counts as the nearest end of the range, and
// in Clamped. It allocates nothing.
func (l *Latency) Record(ns int64) { l.RecordMany(ns, 1) }

// RecordMany is Record for a time that was met so many times.
func (l *Latency) RecordMany(ns int64, times uint64) {
	if times == 0 {
		return
	}
	inside := min(max(ns, lowestNs), highestNs)
	if inside != ns {
		l.clamped += times
	}
	if err := l.histogram.RecordValues(inside, int64(times)); err != nil {
		panic(err) // cannot be: the value was clamped to the histogram's range
	}
	if l.count == 0 || ns > l.maxNs {
		l.maxNs = ns
	}
	l.count += times
}

// Merge adds everything that other recorded; other stays as it is.
func (l *Latency) Merge(other *Latency) {
	if other.count == 0 {
		return
	}
	if lost := l.histogram.Merge(other.histogram); lost != 0 {
		panic("stat: histograms of different ranges") // cannot be: NewLatency makes them all
	}
	if l.count == 0 || other.maxNs > l.maxNs {
		l.maxNs = other.maxNs
	}
	l.count += other.count
	l.clamped += other.clamped
}

// Count returns how many round trips were recorded.
func (l *Latency) Count() uint64 { return l.count }

// Clamped returns how many of them lay outside the range.
func (l *Latency) Clamped() uint64 { return l.clamped }

// Max returns the longest round trip exactly as it was recorded, in nanoseconds; 0 if there is none.
func (l *Latency) Max() int64 { return l.maxNs }

// CountAbove returns how many were longer than ns, to the precision of the histogram.
func (l *Latency) CountAbove(ns int64) (count uint64) {
	for _, bar := range l.histogram.Distribution() {
		if bar.From > ns {
			count += uint64(bar.Count)
		}
	}
	return count
}

// Quantile returns the time in nanoseconds that a fraction q of the round trips did not exceed (0.99
// for p99). It is not ok, and must not be printed, with fewer than NeededSamples(q) of them.
func (l *Latency) Quantile(q float64) (ns int64, ok bool) {
	needed, ok := NeededSamples(q)
	if !ok || l.count < needed {
		return 0, false
	}
	// The histogram answers with the upper end of a bucket, which may lie above everything recorded.
	return min(l.histogram.ValueAtQuantile(q*100), l.maxNs), true
}

// NeededSamples returns how many samples a quantile takes to be worth printing: 100/(1-q), so that
// a hundred lie beyond it (10,000 for p99). It is not ok if q is outside [0, 1).
func NeededSamples(q float64) (samples uint64, ok bool) {
	if !(q >= 0 && q < 1) {
		return 0, false
	}
	const rounding = 1e-9 // 1-0.9 is a little less than 0.1, which must not ask for 1,001 samples
	return uint64(math.Ceil(100 / (1 - q) * (1 - rounding))), true
}
