// SPDX-License-Identifier: Apache-2.0

// Package dxhdr turns the histograms of dx into those of HdrHistogram, whose text and compressed formats
// other tools read.
package dxhdr

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dx/go/dx"
)

// Longest is the longest time that a histogram of HdrHistogram from here tells from longer ones: where
// the last bucket of dx begins.
const Longest = time.Duration(1) << 40

// Histogram returns a histogram, in ns and with three significant figures, whose times are the middles of
// the buckets, and for the longest one itself. They are within 1.6 % of what was measured.
func Histogram(h *dx.Histogram) *hdrhistogram.Histogram {
	out := hdrhistogram.New(1, int64(Longest), 3)
	last := len(h.Counts) - 1
	for last >= 0 && h.Counts[last] == 0 {
		last--
	}
	for i, count := range h.Counts {
		if count == 0 {
			continue
		}
		from, next := dx.HistogramFrom(i), dx.HistogramFrom(i+1)
		middle := from + (next-from-1)/2
		if i == last { // the longest is known
			count--
			_ = out.RecordValue(int64(min(time.Duration(h.MaxNs), Longest)))
			middle = min(middle, time.Duration(h.MaxNs))
		}
		_ = out.RecordValues(int64(middle), int64(count)) // all of them are in range
	}
	return out
}
