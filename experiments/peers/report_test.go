// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/across"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// made is a run of a peer at a distance, with slices of so many calls a second.
func made(name string, d result.Distance, threads, payload int, rate float64, perS ...float64) result.Cell {
	c := result.Cell{Experiment: "peers", Variant: name, Host: "c", Guest: "c", Threads: threads, PayloadBytes: payload, Run: 1, Distance: d,
		Verified: true, CPUSPerMop: new(1e6 / perS[0]), FloorRTTNs: new(100.0), BareRTTNs: new(110.0)}
	l := stat.NewLatency()
	for _, one := range perS {
		c.Ops += uint64(one / 10)
		c.ElapsedNs += 1e8
		c.Slices = append(c.Slices, result.Slice{Ops: uint64(one / 10), ElapsedNs: 1e8, FloorBeforeNs: 100, FloorAfterNs: 100, BareBeforeNs: 110, BareAfterNs: 110})
		l.RecordMany(int64(1e9/one), 2000)
	}
	if rate > 0 {
		c.RatePerS = &rate
		c.SetIntended(l, stat.NewLatency())
	}
	c.Derive()
	c.SetLatency(l)
	return c
}

func five(middle float64) []float64 {
	return []float64{middle * 0.98, middle * 0.99, middle, middle * 1.01, middle * 1.02}
}

func TestSentencesSayNoMoreThanTheFigures(t *testing.T) {
	for name, c := range map[string]struct {
		cells []result.Cell
		out   []leftOut
		want  string
	}{
		"faster": {[]result.Cell{made("dx-c", result.Near, 1, 64, 0, five(9e6)...), made("pipe", result.Near, 1, 64, 0, five(9e4)...),
			made("aeron", result.Near, 1, 64, 0, five(3e6)...)}, nil,
			"1 caller, 64 B: dx-c makes 3.00 times the calls of aeron, the fastest of the others."},
		"slower": {[]result.Cell{made("dx-c", result.Near, 1, 64, 0, five(1e6)...), made("aeron", result.Near, 1, 64, 0, five(3e6)...)}, nil,
			"1 caller, 64 B: aeron makes 3.00 times the calls of dx-c.\n1 caller, 64 B: faster are aeron than dx-c."},
		"alike": {[]result.Cell{made("dx-c", result.Near, 1, 64, 0, five(1e6)...), made("aeron", result.Near, 1, 64, 0, five(1.005e6)...)}, nil,
			"1 caller, 64 B: neither dx-c nor aeron, the fastest of the others, may be called faster."},
		"too few slices": {[]result.Cell{made("dx-c", result.Near, 1, 64, 0, 9e6), made("aeron", result.Near, 1, 64, 0, 3e6)}, nil,
			"1 caller, 64 B: neither dx-c nor aeron, the fastest of the others, may be called faster."},
		"of the distance that was met most": {[]result.Cell{made("dx-c", result.Near, 1, 64, 0, 9e6), made("aeron", result.Near, 1, 64, 0, 9.1e6),
			made("dx-c", result.Far, 1, 64, 0, five(2e6)...), made("aeron", result.Far, 1, 64, 0, five(1e6)...)}, nil,
			"1 caller, 64 B: dx-c makes 2.00 times the calls of aeron, the fastest of the others."},
		"missing": {[]result.Cell{made("dx-c", result.Near, 1, 64, 0, five(1e6)...)},
			[]leftOut{{Peer: "nng", Why: "x"}, {Peer: "mq", Threads: 1, Payload: 9}, {Peer: "zeromq", Why: "y"}}, "Missing here: nng and zeromq."},
		"by a schedule": {[]result.Cell{made("dx-c-parked", result.Near, 1, 64, 1000, five(1e5)...), made("futex", result.Near, 1, 64, 1000, five(5e4)...)}, nil,
			"1 caller, 64 B, 1000 calls/s by a schedule: the p50 from the intended start is 10.0µs with dx-c-parked and 20.0µs with futex, the shortest of the others.\n" +
				"1 caller, 64 B, 1000 calls/s by a schedule: a call takes 10.2 us of CPU time with dx-c-parked and 20.4 us with futex, the cheapest of the others; the waiting for its start is in that."},
	} {
		if got := strings.Join(sentences(log{cells: c.cells, out: c.out}), "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, c.want)
		}
	}
}

func TestTablesHaveEachDistanceAndTheCommonOrder(t *testing.T) {
	l := log{out: []leftOut{{Peer: "nng", Why: "it needs the package libnng-dev: no"}}, idle: []idleRun{{Peer: "dx-c", ElapsedNs: 1e10, CPUNs: 5e8, Wakeups: 50, FirstCallNs: 4000}},
		cells: []result.Cell{made("pipe", result.Near, 1, 64, 0, five(9e4)...), made("dx-c", result.Near, 1, 64, 0, five(9e6)...),
			made("dx-c", result.Far, 1, 64, 0, five(2e6)...), made("dx-c", result.Near, 1, 4096, 0, five(1e6)...), made("dx-c", result.Moved, 1, 64, 0, 5e6)}}
	var text strings.Builder
	tables(&text, l)
	for _, want := range []string{"1 caller, 64 B; near CPUs; a bare line took 100ns to 100ns, a bare loop 110ns to 110ns\n", "1 caller, 64 B; far CPUs",
		"p50 of a round trip by payload, 1 caller; near CPUs", "nng: left out: it needs the package libnng-dev: no", "1 slices do not count",
		"5.00%", "4.00µs", " 0.0100 "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, text.String())
		}
	}
	if dx, pipe := strings.Index(text.String(), " dx-c "), strings.Index(text.String(), " pipe "); dx < 0 || pipe < dx {
		t.Errorf("pipe stands before dx-c:\n%s", text.String())
	}
}

func TestAPageHasChartsTablesAndTrials(t *testing.T) {
	l := log{cells: []result.Cell{made("dx-c", result.Near, 1, 64, 0, five(9e6)...), made("pipe", result.Near, 1, 64, 0, five(9e4)...)},
		faults: []outcome{{Peer: "dx-c", Fault: "server-killed", NoticedNs: 2e7, How: "a call failed", GoesOn: "yes"}},
		own:    []ownRun{{Peer: "aeron", Name: "EmbeddedPingPong", Figure: "p50", OwnNs: 240, OursNs: 250}}}
	var text strings.Builder
	if err := page(&text, "peers-", env.Environment{CPUModel: "a CPU"}, l); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(peers-rate.png)", "(peers-cpu.png)", "a CPU", "| dx-c | ", "server-killed", "EmbeddedPingPong", "    1 caller, 64 B; near CPUs"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, text.String())
		}
	}
}

func TestAPageHasWhatBoundaryMeasured(t *testing.T) {
	const rate = 300
	vm := t.TempDir()
	w, err := result.OpenWriter(vm)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{across.SpinFirst, across.Serial} {
		for _, perS := range []float64{0, rate} {
			c := made(name, "", 1, 64, perS, five(9e5/float64(1+99*i))...)
			c.Experiment, c.Accelerator = across.Experiment, "tcg"
			if err := w.Write(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := result.OpenLog(filepath.Join(vm, across.LeftOutName))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.WriteLine(across.LeftOut{Way: across.Vsock, Why: "no module"}), out.Close(), w.Close(),
		env.Environment{CPUModel: "another CPU"}.Save(vm)); err != nil {
		t.Fatal(err)
	}
	from, page := t.TempDir(), filepath.Join(t.TempDir(), "peers.md")
	peers, err := result.OpenWriter(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(peers.Write(made("dx-c", result.Near, 1, 64, 0, five(9e6)...)), peers.Close()); err != nil {
		t.Fatal(err)
	}
	if code := act(t.Context(), testConfig(t, "-from", from, "-page", page, "-vm", vm)); code != command.OK {
		t.Fatalf("code %d", code)
	}
	text, err := os.ReadFile(page)
	for _, want := range []string{"\n## Into a VM\n", "`go run ./experiments/boundary`", "another CPU", "guest under TCG", "x bare", "    300 calls/s by a schedule\n",
		" spin, then doorbell  ", "    vsock: left out: no module\n", "(boundary.md)", "| styx | known, and not measured"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v, %q is not in:\n%s", err, want, text)
		}
	}
	if code := act(t.Context(), testConfig(t, "-from", from, "-page", page, "-vm", from)); code != command.Failed {
		t.Errorf("results of peers as those of boundary: code %d", code)
	}
}

func TestFaultsAreTriedAndSaid(t *testing.T) {
	c := testConfig(t, "-peers", "dx-c,unix-stream", "-faults", "server-killed,server-stopped")
	c.hangs = 5 * time.Minute // none of these hangs, however slow the machine is
	if len(c.faults) != 2 {
		t.Fatalf("%d faults", len(c.faults))
	}
	if code := act(t.Context(), c); code != 0 {
		t.Fatalf("code %d", code)
	}
	l, err := loadTrials(c.out)
	if err != nil || len(l.faults) != 4 {
		t.Fatalf("%v, %v", l.faults, err)
	}
	i := slices.IndexFunc(l.faults, func(o outcome) bool { return o.Peer == "dx-c" && o.Fault == "server-killed" })
	if o := l.faults[i]; o.NoticedNs == 0 || o.GoesOn != "yes" || o.Left != 0 {
		t.Errorf("%+v", o)
	}
	if names := left(t); len(names) > 0 {
		t.Errorf("left in shared memory: %v", names)
	}
}
