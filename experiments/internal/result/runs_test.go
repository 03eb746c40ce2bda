// SPDX-License-Identifier: Apache-2.0

package result

import (
	"strings"
	"testing"

	"dx/experiments/internal/stat"
)

// run has n round trips of these many ns and one more each.
func run(n, ns int) Cell {
	l := stat.NewLatency()
	for i := range n {
		l.Record(int64(ns + i))
	}
	var c Cell
	c.SetLatency(l)
	return c
}

func TestPercentilesTakeEnoughSamplesOfOneRunOrOfAll(t *testing.T) {
	for _, c := range []struct {
		name string
		runs Runs
		q    float64
		want string
	}{
		{"each run has it", Runs{run(200, 100), run(200, 300), run(200, 700)}, 0.5, "399ns 199ns 799ns"},
		{"together", Runs{run(100, 100), run(100, 300)}, 0.5, "~199ns - -"},
		{"not even together", Runs{run(100, 100), run(99, 300)}, 0.5, "- - -"},
		{"none", nil, 0.5, "- - -"},
		{"one run too few", Runs{run(200, 100), run(10, 100)}, 0.5, "~194ns - -"},
		{"p99 together", Runs{run(5000, 1), run(5000, 1)}, 0.99, "~4.95µs - -"},
	} {
		median, low, high := c.runs.FormatPercentile(c.q)
		if got := strings.Join([]string{median, low, high}, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPercentilesOfAScheduleCountFromTheIntendedStart(t *testing.T) {
	c := run(200, 100)
	late := stat.NewLatency()
	for range 200 {
		late.Record(9000)
	}
	c.RatePerS = new(300.0)
	c.SetIntended(late, late)
	if p, together := (Runs{c}).Percentile(0.5); !p.Known || together || p.Median != 9000 {
		t.Errorf("%+v, %v", p, together)
	}
}

func TestSleepsAreThoseOfAllRuns(t *testing.T) {
	host, guest := &WaitCounts{Spin: 10}, &WaitCounts{Park: 30, Yield: 10}
	runs := Runs{{Waits: Waits{host, guest}}, {Waits: Waits{host, &WaitCounts{Park: 40}}}}
	if got := runs.FormatSlept(); got != "0/88" {
		t.Errorf("%q", got)
	}
	if got := (Runs{{}}).FormatSlept(); got != "-/-" {
		t.Errorf("%q of sides that do not count", got)
	}
}
