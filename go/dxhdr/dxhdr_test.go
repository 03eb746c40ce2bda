// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxhdr

import (
	"bytes"
	"math"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dx/go/dx"
)

func histogramOf(times map[uint64]uint64) *dx.Histogram {
	h := new(dx.Histogram)
	for ns, count := range times {
		i := 0
		for i+1 < dx.HistogramBuckets && uint64(dx.HistogramFrom(i+1)) <= ns {
			i++
		}
		h.Counts[i] += count
		h.Count += count
		h.MaxNs = max(h.MaxNs, ns)
	}
	return h
}

func TestPercentilesSurviveTheFormat(t *testing.T) {
	h := histogramOf(map[uint64]uint64{5: 10, 151: 900, 12345: 80, 7_654_321: 9, 1 << 41: 1})
	encoded, err := Histogram(h).Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	read, err := hdrhistogram.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if read.TotalCount() != 1000 {
		t.Errorf("%d times", read.TotalCount())
	}
	for percentile, want := range map[float64]float64{0.5: 5, 50: 151, 95: 12345, 99.5: 7_654_321, 100: 1 << 40} {
		got := float64(read.ValueAtPercentile(percentile))
		if math.Abs(got-want) > 0.018*want {
			t.Errorf("p%g: %g ns, want %g", percentile, got, want)
		}
		if ours := float64(h.Value(percentile)); percentile < 100 && math.Abs(ours-want) > 0.017*want {
			t.Errorf("p%g of dx: %g ns, want %g", percentile, ours, want)
		}
	}
	var text bytes.Buffer
	if _, err := read.PercentilesPrint(&text, 1, 1); err != nil || text.Len() == 0 {
		t.Errorf("%v", err)
	}
}

func TestNothingWasMeasured(t *testing.T) {
	if got := Histogram(new(dx.Histogram)).TotalCount(); got != 0 {
		t.Errorf("%d times", got)
	}
}
