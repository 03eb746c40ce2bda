// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestGrowthIsWhatGrowsWithEveryFault(t *testing.T) {
	for _, c := range []struct {
		what        string
		descriptors []int64
		grown       int64
		judged      bool
	}{
		{"a leak at every fault", []int64{7, 8, 9, 10, 11, 12}, 1, true},
		{"two at every fault", []int64{7, 9, 11, 13, 15, 17, 19}, 2, true},
		{"what is opened once", []int64{7, 9, 9, 9, 9, 9}, 0, true},
		{"what is opened once, later", []int64{7, 7, 7, 9, 9, 9}, 0, true},
		{"what comes and goes", []int64{7, 9, 7, 9, 7, 9, 7, 9}, 0, true},
		{"less and less", []int64{9, 8, 7, 6, 5, 4}, 0, true},
		{"too few to tell", []int64{7, 8, 9, 10, 11}, 0, false},
	} {
		var samples []sample
		for _, n := range c.descriptors {
			samples = append(samples, sample{Descriptors: n, Heap: 5})
		}
		grown, ok := growth(samples)
		if ok != c.judged || grown.Descriptors != c.grown || grown.Heap != 0 {
			t.Errorf("%s: %+v, %v", c.what, grown, ok)
		}
	}
}

func TestLeakOfAProcessFailsTheRun(t *testing.T) {
	s := watched(t)
	leaking := &process{role: "host", life: 4, lang: "c"}
	for i := range int64(10) {
		leaking.samples = append(leaking.samples, sample{Descriptors: 7 + i, Regions: 1, Heap: 1000 * i})
	}
	s.judge(leaking)
	if said := strings.Join(s.report.Failures, ";"); len(s.report.Failures) != 1 ||
		!strings.Contains(said, "host 4 (c) has 1 descriptors more behind 10 faults") {
		t.Errorf("%q", said)
	}
	if w := s.report.Leaks.Worst; w.Descriptors != 1 || w.Regions != 0 || w.Heap != 1000 || s.report.Leaks.Judged != 1 {
		t.Errorf("%+v", s.report.Leaks)
	}
}

func TestQuantilesAreNearestRanks(t *testing.T) {
	var values []int64
	for i := range int64(200) {
		values = append(values, 200-i)
	}
	q := quantilesOf(values)
	if q.Count != 200 || *q.P50 != 100 || *q.P99 != 198 || *q.Max != 200 {
		t.Errorf("%d: %d, %d, %d", q.Count, *q.P50, *q.P99, *q.Max)
	}
	if q := quantilesOf(values[:99]); q.P99 != nil || *q.Max != 200 {
		t.Errorf("p99 of 99 values is %v", q.P99)
	}
	if q := quantilesOf(nil); q.Count != 0 || q.P50 != nil || q.Max != nil {
		t.Errorf("%+v", q)
	}
}

func TestKillOfBothCountsTwice(t *testing.T) {
	var r report
	r.count(&fault{Kind: "kill guest", guest: 1, Recovered: true})
	r.count(&fault{Kind: "kill both", guest: 2, host: 1, Recovered: true})
	r.count(&fault{Kind: "kill host", host: 2})
	r.count(&fault{Kind: "close host", host: 2, Recovered: true})
	r.summarise()
	if r.Kills != 3 {
		t.Errorf("%d kills survived", r.Kills)
	}
	for _, f := range r.Faults {
		if f.Kind == "kill" && (f.Count != 3 || f.Recovered != 2) {
			t.Errorf("%+v", f)
		}
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for _, wrong := range []struct{ args, want string }{
		{"-transport memfd", "no name by which a new host could be found"},
		{"-transport tcp", `-transport "tcp"`},
		{"-host rust", `-host "rust" is none of: go, c, mixed`},
		{"-guest rust", `-guest "rust"`},
		{"-pin yes", `-pin "yes"`},
		{"-kinds kill,burn", `-kinds "burn"`},
		{"-kills 5 -kinds stop", "ask for no kill"},
		{"-kills 5 -faults 0", "ask for no kill"},
		{"-kills -1", "-kills -1"},
		{"-faults -1", "-faults -1"},
		{"-faults NaN", "-faults NaN"},
		{"-era 0", "-era 0"},
		{"-callers 0", "-callers 0"},
		{"-callers 1025", "1 to 1024"},
		{"-payload 23", "24 to"},
		{"-duration -1s", "-duration -1s"},
		{"-hang 1ms", "100ms to"},
		{"-wait nosuch", "balanced"},
		{"extra", `argument "extra"`},
	} {
		_, err := parse(strings.Fields(wrong.args), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: error %v does not say %q", wrong.args, err, wrong.want)
		}
	}
}
