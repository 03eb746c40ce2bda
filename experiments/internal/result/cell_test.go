// SPDX-License-Identifier: Apache-2.0

package result

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/stat"
)

// sample is a cell with every figure set.
func sample(threads, run int, rate float64) Cell {
	c := Cell{
		Experiment: "pingpong", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Threads: threads, Run: run, PayloadBytes: 64, Host: "c", Guest: "go", Path: "native", Transport: "shm",
		Ops: uint64(rate), ElapsedNs: 1e9,
		RTTSamples: 200_000, RTTP50Ns: new(int64(240)), RTTP90Ns: new(int64(260)), RTTP99Ns: new(int64(900)),
		RTTP999Ns: new(int64(15_000)), RTTMaxNs: new(int64(2_500_000)),
		FloorRTTNs: new(200.0), BareRTTNs: new(220.0), Fairness: new(0.97), CPUSPerMop: new(0.5),
		Verified: true,
		Waits: Waits{
			Host:  &WaitCounts{Spin: 98, Yield: 1, Park: 1, SpinLimit: 2000},
			Guest: &WaitCounts{Spin: 100, Looks: 700},
		},
		Wait: map[string]any{"spin_max": 2000}, Pinning: "host 0, guest 1", Procs: 2, EnvCommit: "0123456789ab",
	}
	c.Derive()
	return c
}

func TestJSONKeysComeInTheAgreedOrder(t *testing.T) {
	const want = "experiment time threads run payload_bytes host guest path transport ops elapsed_ns ops_per_s " +
		"rtt_samples rtt_p50_ns rtt_p90_ns rtt_p99_ns rtt_p999_ns rtt_max_ns floor_rtt_ns bare_rtt_ns floor_ratio bare_ratio " +
		"fairness cpu_s_per_mop errors timeouts verified verify_failures waits " +
		"host spin yield park looks parks spurious rings rescued yields spin_limit " +
		"guest spin yield park looks parks spurious rings rescued yields spin_limit " +
		"wait spin_max pinning procs env_commit lock_os_thread duration_ns rate_per_s"
	text, err := json.Marshal(sample(1, 1, 4e6))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, m := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(string(text), -1) {
		keys = append(keys, m[1])
	}
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("keys\n%s, want\n%s", got, want)
	}
}

func TestDeriveOfKnownNumbers(t *testing.T) {
	for _, c := range []struct {
		name        string
		ops         uint64
		elapsedNs   int64
		floor, bare *float64
		want        [3]*float64 // rate, ratio to floor, ratio to bare loop
	}{
		{"as fast as the floor", 4_000_000, 1e9, new(250.0), new(300.0), [3]*float64{new(4e6), new(1.0), new(1.2)}},
		{"half as fast, twice as long", 4_000_000, 2e9, new(250.0), nil, [3]*float64{new(2e6), new(0.5), nil}},
		{"nothing answered", 0, 1e9, new(250.0), nil, [3]*float64{new(0.0), new(0.0), nil}},
		{"no time passed", 5, 0, new(250.0), new(1.0), [3]*float64{}},
	} {
		cell := Cell{Ops: c.ops, ElapsedNs: c.elapsedNs, FloorRTTNs: c.floor, BareRTTNs: c.bare}
		cell.Derive()
		for i, got := range []*float64{cell.OpsPerS, cell.FloorRatio, cell.BareRatio} {
			want := c.want[i]
			if (got == nil) != (want == nil) || got != nil && math.Abs(*got-*want) > 1e-9 {
				t.Errorf("%s: figure %d is %v, want %v", c.name, i, got, want)
			}
		}
	}
}

func TestSetLatencyWithholdsWhatTooFewSamplesCannotShow(t *testing.T) {
	for _, c := range []struct {
		samples int
		want    string // of p50, p90, p99, p99.9, max: n is null
	}{
		{0, "nnnnn"}, {1, "nnnn."}, {200, ".nnn."}, {1_000, "..nn."}, {10_000, "...n."}, {100_000, "....."},
	} {
		l := stat.NewLatency()
		for range c.samples {
			l.Record(250)
		}
		var cell Cell
		cell.SetLatency(l)
		got := ""
		for _, p := range []*int64{cell.RTTP50Ns, cell.RTTP90Ns, cell.RTTP99Ns, cell.RTTP999Ns, cell.RTTMaxNs} {
			if p == nil {
				got += "n"
			} else {
				got += "."
			}
			if p != nil && *p != 250 {
				t.Errorf("%d samples of 250 ns show %d", c.samples, *p)
			}
		}
		if got != c.want || cell.RTTSamples != uint64(c.samples) {
			t.Errorf("%d samples: %s of %d, want %s", c.samples, got, cell.RTTSamples, c.want)
		}
	}
}

func TestSharesSumToOne(t *testing.T) {
	spin, yield, park, ok := WaitCounts{Spin: 6, Yield: 3, Park: 1}.Shares()
	if !ok || spin != 0.6 || yield != 0.3 || park != 0.1 {
		t.Errorf("%v %v %v %v", spin, yield, park, ok)
	}
	if _, _, _, ok := (WaitCounts{Looks: 5}).Shares(); ok {
		t.Error("no waits have shares")
	}
}
