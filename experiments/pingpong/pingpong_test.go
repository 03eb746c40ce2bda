// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/go/dx"
)

// TestMain lets the test program be the guest that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func testConfig(t *testing.T, args ...string) config {
	return proctest.Config(t, parse, append([]string{"-duration", "20ms", "-runs", "1"}, args...)...)
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for _, wrong := range []struct{ args, want string }{
		{"-threads 0", `"0" is no number of callers`},
		{"-threads 1,x", `"x" is no number of callers`},
		{"-threads 5000", "1 to 4096"},
		{"-payload -1", "-payload -1"},
		{"-payload 99999999", "-payload 99999999"},
		{"-verify -payload 4", "at least 8 bytes"},
		{"-duration 1ns", "-duration 1ns"},
		{"-runs 0", "-runs 0"},
		{"-extend -1", "-extend -1"},
		{"-host rust", `-host "rust" is none of: go, c`},
		{"-guest rust", `-guest "rust"`},
		{"-path fast", `-path "fast"`},
		{"-path cgo -host c -guest c", "both sides are C"},
		{"-transport pigeon", `-transport "pigeon"`},
		{"-pin yes", `-pin "yes"`},
		{"-procs -1", "-procs -1"},
		{"-rate 0", `"0" is no rate`},
		{"-rate 1000,x", `"x" is no rate`},
		{"-rate 1e9", `"1e9" is no rate`},
		{"-rate NaN", `"NaN" is no rate`},
		{"-pace run", `-pace "run" is none of: sleep, spin`},
		{"-lock-os-thread -host c -guest c", "-lock-os-thread is about"},
		{"-wait nosuch", "balanced"},
		{"-spin-max x", `-spin-max: "x" is no number`},
		{"-spin-max 2000000000", "spin_max is 2000000000"},
		{"-spin-min 9 -spin-start 8", "spin_start is 8"},
		{"-park sofa", "never, futex, sem, poll"},
		{"-poll 5", `"5" is no duration`},
		{"-poll 1ns", "poll_ns is 1"},
		{"extra", `argument "extra"`},
	} {
		_, err := parse(strings.Fields(wrong.args), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: error %v does not say %q", wrong.args, err, wrong.want)
		}
	}
}

func TestSingleWaitFlagsChangeTheStrategy(t *testing.T) {
	c := testConfig(t, "-wait", "latency", "-park", "sem", "-spin-max", "10", "-poll", "1ms")
	if c.Wait.Park != dx.ParkSem || c.Wait.SpinMax != 10 || c.Wait.SpinStart != 10 ||
		c.Wait.PollNs != 1e6 || c.Wait.YieldEvery != 64 {
		t.Errorf("%+v", c.Wait)
	}
}

func TestRatesComeBesideTheClosedLoop(t *testing.T) {
	var got []string
	for _, cell := range testConfig(t, "-threads", "1,8", "-rate", "1000,2.5e5").cells() {
		got = append(got, fmt.Sprint(cell.Threads, "@", cell.RatePerS))
	}
	if want := "1@0 8@0 1@1000 8@1000 1@250000 8@250000"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
