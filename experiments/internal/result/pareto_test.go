// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"testing"
)

func TestFrontHasWhatNothingElseBeats(t *testing.T) {
	of := func(rate, p99, cpu float64) Summary {
		known := func(x float64) Range { return Range{Median: x, Known: x > 0} }
		return Summary{Key: Key{Threads: 8}, OpsPerS: known(rate), P99Ns: known(p99), CPUSPerMop: known(cpu)}
	}
	elsewhere, wrong, open := of(1, 900, 9), of(9e6, 1, 0.1), of(20_000, 5, 5)
	elsewhere.Threads = 1
	wrong.VerifyFailures = 1
	open.RatePerS, open.P99Ns, open.IntendedP99Ns = 20_000, Range{}, Range{Median: 5, Known: true}
	slower := open
	slower.OpsPerS.Median, slower.CPUSPerMop.Median = 19_999, 4 // it kept the rate as well
	list := []Summary{
		of(4e6, 500, 1),  // fastest
		of(2e6, 500, 1),  // beaten by the one before
		of(1e6, 100, 2),  // lowest p99
		of(1e6, 900, .2), // cheapest
		of(4e6, 500, 1),  // as good as the first: neither beats the other
		of(5e6, 0, 3),    // no p99, but the highest rate
		of(0, 1, .1),     // no rate
		elsewhere, wrong, open, slower,
	}
	want := []bool{true, false, true, true, true, true, false, true, false, false, true}
	if got := Front(list); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLabelsNameWhatDiffers(t *testing.T) {
	a := Summary{Key: Key{Experiment: "x", Host: "go", Guest: "go", Path: "native", Transport: "memfd", PayloadBytes: 64, Threads: 1}}
	b, c, d, e := a, a, a, a
	b.Threads, b.RatePerS = 8, 5
	c.Host, c.Variant = "c", "burst 4"
	d.PayloadBytes = 0
	e.Experiment, e.Path = "y", "cgo"
	for _, test := range []struct {
		list []Summary
		want string
	}{
		{nil, "[]"},
		{[]Summary{a, b}, `["x: host go, guest go, path native, transport memfd, 64 B" "x: host go, guest go, path native, transport memfd, 64 B"]`},
		{[]Summary{a, c}, `["host go" "burst 4, host c"]`},
		{[]Summary{a, a, a, e}, `["x" "x" "x" "y, path cgo"]`},
		{[]Summary{a, c, d}, `["host go, 64 B" "burst 4, host c, 64 B" "host go, 0 B"]`},
	} {
		if got := fmt.Sprintf("%q", Labels(test.list)); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
