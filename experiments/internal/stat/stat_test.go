// SPDX-License-Identifier: Apache-2.0

package stat

import (
	"math"
	"slices"
	"testing"
)

// same is equality in which NaN equals NaN.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestRateOfKnownNumbers(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		count     uint64
		elapsedNs int64
		want      float64
	}{
		{0, 1e9, 0},
		{1, 1e9, 1},
		{3_000_000, 1e9, 3e6},
		{3_000_000, 2e9, 1.5e6},
		{1, 250, 4e6},                   // the round trip of a cache line
		{24_883_200, 60_200, 4.1334e11}, // the predecessor printed 400 MB/s for this
		{24_883_200, 5e6, 4.97664e9},    // a 4K frame in 5 ms is 4.98 GB/s
		{10, 0, nan},
		{10, -5, nan},
	} {
		got := Rate(c.count, c.elapsedNs)
		if !same(got, c.want) && !(math.Abs(got/c.want-1) < 1e-4) {
			t.Errorf("Rate(%d, %d) = %v, want %v", c.count, c.elapsedNs, got, c.want)
		}
	}
}

func TestStatisticsOfAFewRuns(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		x                        []float64
		median, min, max, spread float64
	}{
		{nil, nan, nan, nan, nan},
		{[]float64{4}, 4, 4, 4, 0},
		{[]float64{5, 3}, 4, 3, 5, 0.5},
		{[]float64{9, 1, 5}, 5, 1, 9, 1.6},
		{[]float64{4, 1, 3, 2}, 2.5, 1, 4, 1.2},
		{[]float64{0, 0}, 0, 0, 0, nan},
	} {
		before := slices.Clone(c.x)
		got := []float64{Median(c.x), Min(c.x), Max(c.x), Spread(c.x)}
		for i, want := range []float64{c.median, c.min, c.max, c.spread} {
			if !same(got[i], want) {
				t.Errorf("%v: median, min, max, spread are %v", c.x, got)
				break
			}
		}
		if !slices.Equal(before, c.x) {
			t.Errorf("%v was changed to %v", before, c.x)
		}
	}
}

func TestNeededSamplesLeavesAHundredBeyondTheQuantile(t *testing.T) {
	for _, c := range []struct {
		q       float64
		samples uint64
		ok      bool
	}{
		{0, 100, true},
		{0.5, 200, true},
		{0.9, 1000, true},
		{0.99, 10_000, true},
		{0.999, 100_000, true},
		{0.9999, 1_000_000, true},
		{1, 0, false},
		{-0.1, 0, false},
		{99, 0, false},
		{math.NaN(), 0, false},
	} {
		if samples, ok := NeededSamples(c.q); samples != c.samples || ok != c.ok {
			t.Errorf("NeededSamples(%v) = %d, %v", c.q, samples, ok)
		}
	}
}

func TestQuantileIsWithheldUntilThereAreEnoughSamples(t *testing.T) {
	l := NewLatency()
	for range 9_999 {
		l.Record(100)
	}
	if ns, ok := l.Quantile(0.99); ok {
		t.Errorf("p99 of 9,999 samples is %d", ns)
	}
	l.Record(100)
	if ns, ok := l.Quantile(0.99); !ok || ns != 100 {
		t.Errorf("p99 of 10,000 samples of 100 ns: %d, %v", ns, ok)
	}
}

func TestQuantilesOfAKnownDistribution(t *testing.T) {
	l := NewLatency()
	for ns := int64(1); ns <= 100_000; ns++ {
		l.Record(ns)
	}
	for _, c := range []struct {
		q    float64
		want int64
	}{{0.5, 50_000}, {0.9, 90_000}, {0.99, 99_000}, {0.999, 99_900}} {
		ns, ok := l.Quantile(c.q)
		if off := math.Abs(float64(ns-c.want)) / float64(c.want); !ok || off > 0.001 {
			t.Errorf("quantile %v is %d (%v), want %d within 0.1 %%", c.q, ns, ok, c.want)
		}
	}
	if l.Max() != 100_000 || l.Count() != 100_000 || l.Clamped() != 0 {
		t.Errorf("max %d, count %d, clamped %d", l.Max(), l.Count(), l.Clamped())
	}
}

func TestValuesOutsideTheRangeAreClampedAndCounted(t *testing.T) {
	l := NewLatency()
	for range 250 {
		l.Record(90e9)
	}
	l.Record(0)
	l.Record(-7)
	l.Record(1)
	l.Record(60e9)
	if l.Count() != 254 || l.Clamped() != 252 {
		t.Errorf("count %d, clamped %d", l.Count(), l.Clamped())
	}
	if l.Max() != 90e9 {
		t.Errorf("max %d, want the time as it was", l.Max())
	}
	if ns, ok := l.Quantile(0.5); !ok || math.Abs(float64(ns)/60e9-1) > 0.001 {
		t.Errorf("median %d, %v, want the end of the range", ns, ok)
	}
}

func TestMergeAddsEverything(t *testing.T) {
	a, b, all := NewLatency(), NewLatency(), NewLatency()
	for i := range int64(20_000) {
		ns := i*i%7919 + 1
		all.Record(ns)
		if i%3 == 0 {
			a.Record(ns)
		} else {
			b.Record(ns)
		}
	}
	b.Record(70e9)
	all.Record(70e9)
	a.Merge(b)
	a.Merge(NewLatency())
	if a.Count() != all.Count() || a.Max() != all.Max() || a.Clamped() != all.Clamped() {
		t.Errorf("count %d, max %d, clamped %d", a.Count(), a.Max(), a.Clamped())
	}
	for _, q := range []float64{0.5, 0.9, 0.99} {
		x, _ := a.Quantile(q)
		if y, _ := all.Quantile(q); x != y {
			t.Errorf("quantile %v is %d merged and %d recorded at once", q, x, y)
		}
	}
}

func TestRecordManyIsRecordAgainAndAgain(t *testing.T) {
	many, again := NewLatency(), NewLatency()
	for ns := int64(-1); ns < 300_000; ns += 997 {
		many.RecordMany(ns, uint64(ns%5+1))
		for range ns%5 + 1 {
			again.Record(ns)
		}
	}
	a, errA := many.Encode()
	b, errB := again.Encode()
	if a != b || errA != nil || errB != nil || many.Count() != again.Count() || many.Max() != again.Max() || many.Clamped() != again.Clamped() {
		t.Errorf("%d and %d, %d and %d, %v, %v", many.Count(), again.Count(), many.Max(), again.Max(), errA, errB)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	l := NewLatency()
	if n := testing.AllocsPerRun(1000, func() { l.Record(250) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLatencyIsTheSameAfterEncoding(t *testing.T) {
	l := NewLatency()
	for ns := int64(1); ns <= 200_000; ns += 7 {
		l.Record(ns)
	}
	text, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeLatency(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.Count() != l.Count() {
		t.Errorf("%d of %d", got.Count(), l.Count())
	}
	for _, q := range []float64{0, 0.5, 0.9, 0.99} {
		a, _ := l.Quantile(q)
		if b, ok := got.Quantile(q); !ok || a != b {
			t.Errorf("quantile %v: %d, was %d", q, b, a)
		}
	}
	if above := got.CountAbove(100_000); above < l.Count()/2-100 || above > l.Count()/2+100 {
		t.Errorf("%d of %d are in the upper half", above, l.Count())
	}
	for _, wrong := range []string{"", "nonsense", text[:len(text)/2]} {
		if _, err := DecodeLatency(wrong); err == nil {
			t.Errorf("%.20q is taken for a histogram", wrong)
		}
	}
}

func TestMiddleLeavesOutTheQuarterAtEachEnd(t *testing.T) {
	for _, c := range []struct {
		x         []float64
		low, high float64
	}{
		{[]float64{7}, 7, 7},
		{[]float64{9, 1}, 1, 9},
		{[]float64{100, 2, 3, 4, -50}, 2, 4},
		{[]float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 3, 8},
	} {
		if low, high := Middle(c.x); low != c.low || high != c.high {
			t.Errorf("%v: %v to %v, want %v to %v", c.x, low, high, c.low, c.high)
		}
	}
	if low, high := Middle(nil); !math.IsNaN(low) || !math.IsNaN(high) {
		t.Errorf("nothing: %v, %v", low, high)
	}
}
