// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

// TestMain draws coarsely, unless somebody wants to look at the pictures.
func TestMain(m *testing.M) {
	if os.Getenv("CHART_DIR") == "" {
		DPI = 40
	}
	os.Exit(m.Run())
}

const madeUpFooter = "Made-up CPU @ 2.50GHz, 2 CPUs, in a VM, kernel 6.1.0-test, commit 0123456789ab+dirty"

// madeUp is a series whose rate falls as callers are added.
func madeUp(name string, rate float64, threads ...int) Series {
	s := Series{Name: name}
	for _, n := range threads {
		median := rate / math.Pow(float64(n), 0.1)
		s.Points = append(s.Points, Point{n, median, median * 0.9, median * 1.05})
	}
	return s
}

func reference(name string, rate float64, threads ...int) Series {
	s := Series{Name: name, Reference: true}
	for i, n := range threads {
		s.Points = append(s.Points, Point{Threads: n, Median: rate * (1 + 0.02*float64(i))})
	}
	return s
}

// example has two measured lines and both references.
func example(threads ...int) []Series {
	return []Series{
		madeUp("host c, guest go, path native, transport shm, 64 B", 3.9e6, threads...),
		madeUp("host go, guest go, path cgo, transport shm, 64 B", 2.4e6, threads...),
		reference("bare cache line (floor)", 4.4e6, threads...),
		reference("bare loop that copies the same bytes", 4.1e6, threads[0]),
	}
}

// folder is where pictures go: CHART_DIR keeps them for looking at.
func folder(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("CHART_DIR"); dir != "" {
		return dir
	}
	return t.TempDir()
}

func TestChartsOfEveryRangeAreDrawn(t *testing.T) {
	var everyNumber []int
	for n := 1; n <= 64; n++ {
		everyNumber = append(everyNumber, n)
	}
	var many []Series
	for i := range 9 {
		many = append(many, madeUp(fmt.Sprintf("strategy %d", i+1), 4e6-float64(i)*3e5, 1, 2, 4, 8, 16))
	}
	for name, c := range map[string]struct {
		series []Series
		footer string
	}{
		"one-point":  {example(1), madeUpFooter},
		"linear":     {example(1, 2, 4, 8), madeUpFooter},
		"log":        {example(1, 8, 64, 512), madeUpFooter},
		"every":      {example(everyNumber...), madeUpFooter},
		"many":       {many, madeUpFooter},
		"slow":       {[]Series{madeUp("126 a second", 126, 1, 2, 3)}, madeUpFooter},
		"zero":       {[]Series{{Name: "nothing answered", Points: []Point{{Threads: 4}}}}, ""},
		"floor-only": {[]Series{reference("floor", 4e6, 1)}, madeUpFooter},
		"long-texts": {[]Series{madeUp(strings.Repeat("long name ", 40), 1e6, 512, 1024)}, strings.Repeat(madeUpFooter+", ", 4)},
	} {
		t.Run(name, func(t *testing.T) {
			base := filepath.Join(folder(t), name)
			if err := OpsVsThreads(c.series, c.footer, base+".png", base+".svg"); err != nil {
				t.Fatal(err)
			}
			checkPNG(t, base+".png")
			checkSVG(t, base+".svg", c.footer, "round trips per second", "callers")
		})
	}
}

// checkPNG wants a picture whose frame is white: what sticks out would be cut off.
func checkPNG(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := picture.Bounds()
	const frame = 6 // pixels, of a margin of 14 or more
	for y := b.Min.Y; y < b.Max.Y; y++ {
		step := 1
		if y >= b.Min.Y+frame && y < b.Max.Y-frame {
			step = b.Dx() - 2*frame // from the left part of the frame to the right one
		}
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, g, bl, _ := picture.At(x, y).RGBA(); r != 0xffff || g != 0xffff || bl != 0xffff {
				t.Fatalf("%s: something is drawn at (%d, %d) of %v", path, x, y, b)
			}
			if step > 1 && x == b.Min.X+frame-1 {
				x += step
			}
		}
	}
}

// checkSVG wants a picture with certain texts, and the first words of the footer.
func checkSVG(t *testing.T, path, footer string, texts ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	firstWords := strings.Join(strings.Fields(footer)[:min(3, len(strings.Fields(footer)))], " ")
	for _, want := range append(texts, "</svg>", "Sans,Arial", firstWords) {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %q", path, want)
		}
	}
}

func TestTheVerticalAxisBeginsAtZeroAndHasRoundNumbers(t *testing.T) {
	for _, c := range []struct {
		highest, unit float64
		labels        string
	}{
		{5e6, 1e6, "0 1 2 3 4 5"},
		{9.9e6, 1e6, "0 2 4 6 8 10"},
		{24e6, 1e6, "0 5 10 15 20 25"},
		{600e3, 1e6, "0.0 0.2 0.4 0.6"},
		{45e3, 1e6, "0.00 0.01 0.02 0.03 0.04"},
		{126, 1, "0 50 100"},
		{0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"},
	} {
		unit, _ := rateUnit(c.highest)
		p := plot.New()
		p.Y.Min, p.Y.Max = 0, c.highest/unit
		if err := (Axis{FromZero: true}).set(&p.Y, plotHeight, legendStyle().Height); err != nil {
			t.Fatal(err)
		}
		var labels []string
		for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
			labels = append(labels, tick.Label)
		}
		if got := strings.Join(labels, " "); unit != c.unit || got != c.labels || p.Y.Min != 0 {
			t.Errorf("%v: unit %v, labels %q", c.highest, unit, got)
		}
	}
	if got := highest([]Series{madeUp("a", 4e6, 1), reference("b", 5e6, 1)}); got != 5e6 {
		t.Errorf("the highest of 4.2 and a floor of 5 is %v", got)
	}
}

func TestTicksAreTheMeasuredNumbersAndLabelsDoNotTouch(t *testing.T) {
	for _, c := range []struct {
		threads []int
		labels  string
		isLog   bool
	}{
		{[]int{1}, "1", false},
		{[]int{1, 2, 4, 8}, "1 2 4 8", false},
		{[]int{1, 8, 64, 512}, "1 8 64 512", true},
		{[]int{1, 2, 510, 511, 512}, "1 2 512", true},
	} {
		p := plot.New()
		axis := numbersAxis("callers", c.threads)
		isLog := axis.Logarithmic
		p.X.Min, _ = axis.place(float64(c.threads[0]))
		p.X.Max, _ = axis.place(float64(c.threads[len(c.threads)-1]))
		if err := axis.set(&p.X, plotWidth, legendStyle().Width); err != nil {
			t.Fatal(err)
		}
		ticks := p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max)
		var labels []string
		for _, tick := range ticks {
			if tick.Label != "" {
				labels = append(labels, tick.Label)
			}
		}
		if got := strings.Join(labels, " "); len(ticks) != len(c.threads) || got != c.labels || isLog != c.isLog {
			t.Errorf("%v: %d ticks, labels %q, logarithmic %v", c.threads, len(ticks), got, isLog)
		}
	}
}

func TestWhatCannotBeDrawnIsAnError(t *testing.T) {
	for _, c := range []struct {
		series []Series
		want   string
	}{
		{nil, "nothing to draw"},
		{[]Series{{Name: "empty"}}, `"empty" has no points`},
		{[]Series{madeUp("none", 1, 0)}, `"none" has a point at 0 callers`},
		{[]Series{{Name: "nan", Points: []Point{{1, math.NaN(), 0, 0}}}}, `"nan" has no rate at 1 callers`},
	} {
		path := filepath.Join(t.TempDir(), "x.png")
		err := OpsVsThreads(c.series, "", path, "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("a file was written")
		}
	}
}

func TestFilesAreReplacedWholeAndOnlyThoseAskedFor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.png")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := OpsVsThreads(example(1, 2), "", path, ""); err != nil {
		t.Fatal(err)
	}
	checkPNG(t, path)
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	missing := filepath.Join(dir, "missing", "x.svg")
	if err := OpsVsThreads(example(1), "", "", missing); err == nil || !strings.Contains(err.Error(), missing[:len(dir)+8]) {
		t.Errorf("error %v", err)
	}
}
