// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// spread is a made-up distribution with a long tail.
func spread(seed uint64, median float64, calls int) *stat.Latency {
	random := rand.New(rand.NewPCG(seed, 1))
	l := stat.NewLatency()
	for range calls {
		ns := median * math.Exp(random.NormFloat64()*0.2)
		if random.Float64() < 0.01 {
			ns *= 20 * math.Exp(random.NormFloat64())
		}
		l.Record(int64(ns))
	}
	return l
}

func TestPercentilesAreDrawn(t *testing.T) {
	var many []Distribution
	for i := range 8 {
		l := spread(uint64(i), 300*float64(i+1), 200_000)
		many = append(many, Distribution{Name: fmt.Sprintf("strategy %d, from the intended start", i), Latency: l},
			Distribution{Name: fmt.Sprintf("strategy %d, from the real start", i), Latency: spread(uint64(i)+9, 290*float64(i+1), 100_000), Twin: true})
	}
	for name, lines := range map[string][]Distribution{
		"percentiles-one": {{Name: "closed loop", Latency: spread(1, 450, 1_000_000)}}, "percentiles-many": many,
		"percentiles-few": {{Name: "few calls", Latency: spread(1, 45_000, 300)}},
	} {
		base := filepath.Join(folder(t), name)
		if err := Percentiles("Time of a call, 8 callers", lines, madeUpFooter, base+".png", base+".svg"); err != nil {
			t.Fatal(err)
		}
		checkPNG(t, base+".png")
		checkSVG(t, base+".svg", madeUpFooter, "percentile of the calls", "50 %", "time of a call", "µs", "Time of a call, 8 callers")
	}
	if err := Percentiles("", nil, "", "", ""); err == nil {
		t.Error("nothing is drawn without an error")
	}
	if err := Percentiles("", []Distribution{{Name: "n", Latency: stat.NewLatency()}}, "", "", ""); err == nil {
		t.Error("no calls are drawn without an error")
	}
}

// A line ends where the samples end, and its figures are those of the histogram.
func TestPercentileLinesEndWhereSamplesDo(t *testing.T) {
	l := spread(1, 1000, 100_000)
	points := Quantiles(l)
	if last := points[len(points)-1].X; last < 2.95 || last > 3.001 {
		t.Errorf("100,000 calls are drawn up to %v nines", last)
	}
	p99, _ := l.Quantile(0.99)
	if at := points[100]; math.Abs(at.X-2) > 1e-9 || at.Y != float64(p99) {
		t.Errorf("p99 %v is drawn as %v", p99, at)
	}
	labels := ""
	for _, tick := range Nines[:6] {
		labels += tick.Label + ","
	}
	if labels != "0 %,50 %,90 %,99 %,99.9 %,99.99 %," {
		t.Errorf("labels %s", labels)
	}
}

func TestLogarithmicAxesHaveRoundLabels(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		labels    string
	}{
		{90, 1.1e6, "100 ns,1 µs,10 µs,100 µs,1 ms"},
		{90, 2100, "100 ns,200 ns,500 ns,1 µs,2 µs"},
		{450, 3500, "500 ns,600 ns,700 ns,800 ns,900 ns,1 µs,2 µs,3 µs"},
		{760, 1310, "800 ns,900 ns,1 µs,1.1 µs,1.2 µs,1.3 µs"},
		{2.5e9, 2.6e9, "2.5 s,2.52 s,2.54 s,2.56 s,2.58 s,2.6 s"},
	} {
		var labels []string
		for _, tick := range decades(math.Log10(c.low), math.Log10(c.high), formatTime) {
			if tick.Label != "" {
				labels = append(labels, tick.Label)
			}
		}
		if got := strings.Join(labels, ","); got != c.labels {
			t.Errorf("%v to %v: %s", c.low, c.high, got)
		}
	}
}

func heatMap(columns, rows int, value func(x, y int) float64) HeatMap {
	h := HeatMap{Title: "Round trips per second, 8 callers", XLabel: "spin_start, looks", YLabel: "yield_every, looks",
		What: "million round trips per second", Format: result.FormatSig3, Footer: madeUpFooter}
	for x := range columns {
		h.X = append(h.X, fmt.Sprint(math.Pow(10, float64(x))))
	}
	for y := range rows {
		h.Y = append(h.Y, fmt.Sprint(math.Pow(4, float64(y))))
		var row []float64
		for x := range columns {
			row = append(row, value(x, y))
		}
		h.Values = append(h.Values, row)
	}
	return h
}

func TestHeatMapsAreDrawn(t *testing.T) {
	for name, h := range map[string]HeatMap{
		"heat":      heatMap(4, 6, func(x, y int) float64 { return 2.1 - 0.2*float64(x) + 0.1*float64(y) }),
		"heat-hole": heatMap(3, 2, func(x, y int) float64 { return map[bool]float64{true: math.NaN(), false: 1}[x == y] }),
		"heat-big":  heatMap(14, 20, func(x, y int) float64 { return float64(x*y) + 0.123 }),
		"heat-one":  heatMap(1, 1, func(x, y int) float64 { return 5 }),
	} {
		base := filepath.Join(folder(t), name)
		if err := h.Save(base+".png", base+".svg"); err != nil {
			t.Fatal(err)
		}
		checkPNG(t, base+".png")
		checkSVG(t, base+".svg", madeUpFooter, "spin_start, looks", "yield_every, looks", "million round trips", "8 callers")
	}
	if err := heatMap(2, 2, func(int, int) float64 { return math.NaN() }).Save("", ""); err == nil {
		t.Error("nothing is drawn without an error")
	}
}

func TestColoursFollowTheFigures(t *testing.T) {
	for _, s := range []scale{{1, 100, false, sequential()}, {1, 100, true, sequential()}} {
		last := math.Inf(1)
		for _, value := range []float64{1, 2, 10, 50, 100} {
			if back := s.value(s.at(value)); math.Abs(back-value) > 1e-9 {
				t.Errorf("%v becomes %v", value, back)
			}
			r, g, b, _ := s.color(s.at(value)).RGBA()
			if light := float64(r) + float64(g) + float64(b); light >= last {
				t.Errorf("%v is not darker than less", value)
			} else {
				last = light
			}
		}
	}
}

func TestParetoChartsAreDrawn(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var cloud []Candidate
	for i := range 60 {
		cloud = append(cloud, Candidate{fmt.Sprintf("spin_start %d, yield_every %d", i*100, i), 0.5 + random.Float64()*3,
			1000 * math.Exp(random.NormFloat64()*2), 1e6 + 3e6*random.Float64(), i%5 == 0})
	}
	for name, list := range map[string][]Candidate{
		"pareto": {{"balanced", 0.8, 800, 2.4e6, true}, {"latency", 0.82, 790, 2.38e6, true}, {"throughput", 0.79, 1500, 2.6e6, true},
			{"low-power", 0.2, 60_000, 0.1e6, true}, {"worse", 0.9, 60_000, 0.1e6, false}},
		"pareto-cloud": cloud, "pareto-one": {{"alone", 1, 1000, 1e6, true}},
	} {
		base := filepath.Join(folder(t), name)
		if err := Pareto("p99 and cost, 8 callers", list, madeUpFooter, base+".png", base+".svg"); err != nil {
			t.Fatal(err)
		}
		checkPNG(t, base+".png")
		checkSVG(t, base+".svg", madeUpFooter, "CPU seconds", "p99 of a call", "8 callers", "1  ", "million/s")
	}
	if err := Pareto("", nil, "", "", ""); err == nil {
		t.Error("nothing is drawn without an error")
	}
}

func TestWaitsAreDrawn(t *testing.T) {
	var bars []Waits
	for i, threads := range []int{64, 1, 8, 4, 512} {
		park := float64(i) / 8
		bars = append(bars, Waits{threads, &Phases{0.9 - park, 0.1, park}, &Phases{1 - park, 0, park}})
	}
	bars[2].Guest = nil
	base := filepath.Join(folder(t), "waits")
	if err := WaitsVsThreads("How waits ended: balanced", bars, madeUpFooter, base+".png", base+".svg"); err != nil {
		t.Fatal(err)
	}
	checkPNG(t, base+".png")
	checkSVG(t, base+".svg", madeUpFooter, "callers: waits of the callers", "share of the waits, %", "after a yield", "balanced", "512")
	if err := WaitsVsThreads("", nil, "", "", ""); err == nil || !strings.Contains(err.Error(), "no waits") {
		t.Error(err)
	}
}
