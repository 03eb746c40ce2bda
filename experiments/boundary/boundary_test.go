// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/across"
	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// TestMain lets the test program be the guest, in the machine that it boots.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

// withoutVsock is a machine that has none, whatever this one has.
func withoutVsock(t *testing.T, args ...string) config {
	c := proctest.Config(t, parse, args...)
	c.vsock = filepath.Join(t.TempDir(), "no-vsock")
	return c
}

func TestEveryWayIsMeasuredInOneMachine(t *testing.T) {
	c := proctest.Config(t, parse, strings.Fields("-runs 1 -samples 1 -longest 100ms -scheduled 100ms -rate 100 -idle 0")...)
	c.peerTimeout = 1000 * time.Second // a machine that gets no CPU for a while is not dead
	if code := measureAll(context.Background(), c); code != command.OK {
		t.Fatalf("code %d", code)
	}
	l, _, err := across.Load(c.out)
	if err != nil || len(l.Cells) != 2*(len(c.ways())-len(l.Out))-2 {
		t.Fatalf("%d lines (%v): want a closed and an open loop of each way, but one of the second polling and of the bare doorbell", len(l.Cells), err)
	}
	if missing := boundary.CheckVsock(t.Context(), c.vsock, nil); (missing == nil) != (len(l.Out) == 0) {
		t.Errorf("left out: %v, and a vsock lacks: %v", l.Out, missing)
	}
	for _, cell := range l.Cells {
		if cell.Ops == 0 || cell.RTTSamples == 0 || cell.Verified == (cell.Variant == across.BareBell) || cell.Accelerator == "" {
			t.Errorf("%s at %g/s: %+v", cell.Variant, cell.Rate(), cell)
		}
		w := cell.Waits
		switch cell.Variant {
		case across.Polling, across.PollingAgain:
			if w.Host.Park != 0 || w.Guest.Park != 0 {
				t.Errorf("%s slept: %+v %+v", cell.Variant, w.Host, w.Guest)
			}
		case across.AtOnce, across.AtOnceInC:
			if w.Host.Spin+w.Host.Yield+w.Guest.Spin+w.Guest.Yield != 0 || w.Host.Rings+w.Guest.Rings == 0 {
				t.Errorf("%s looked, or never rang: %+v %+v", cell.Variant, w.Host, w.Guest)
			}
		}
	}
	for _, name := range []string{"table.txt", "environment.json", across.IdleName, across.LeftOutName} {
		if _, err := os.Stat(filepath.Join(c.out, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAWayThatThisMachineLacksIsSaidAndLeftOut(t *testing.T) {
	c := withoutVsock(t, "-idle", "0")
	ways, out, err := c.available(t.Context(), nil)
	if err != nil || len(ways) != len(c.ways())-1 || len(out) != 1 || out[0].Way != across.Vsock {
		t.Fatalf("%d ways of %d, %v, %v", len(ways), len(c.ways()), out, err)
	}
	l, err := measure(t.Context(), c, env.Environment{}, nil, out)
	if err != nil {
		t.Fatal(err)
	}
	var kept []across.LeftOut
	if err := result.ReadLog(filepath.Join(c.out, across.LeftOutName), &kept); err != nil || !slices.Equal(kept, out) || !slices.Equal(l.Out, out) {
		t.Errorf("kept %v of %v, %v", kept, out, err)
	}
	for _, want := range []string{"vsock: left out: ", "no-vsock cannot be opened", "modprobe vhost_vsock"} {
		if text := across.Text(l); !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

func TestAWayThatWasAskedForAndIsMissingIsAnError(t *testing.T) {
	if code := measureAll(t.Context(), withoutVsock(t, "-ways", "doorbell,vsock")); code != command.Usage {
		t.Errorf("code %d", code)
	}
	c := withoutVsock(t, "-ways", "polling,doorbell-c,tcp")
	ways, out, err := c.available(t.Context(), nil)
	if err != nil || len(ways) != 3 || len(out) > 0 || ways[1].name != across.AtOnceInC {
		t.Errorf("%v, %v, %v", ways, out, err)
	}
}

func TestEachRunHasEveryWayOnce(t *testing.T) {
	c := proctest.Config(t, parse)
	names := func(ways []way) (all []string) {
		for _, w := range ways {
			all = append(all, w.name)
		}
		return all
	}
	want := slices.Sorted(slices.Values(names(c.ways())))
	for run := 1; run < 20; run++ {
		turn := names(turn(c.ways(), run))
		if got := slices.Sorted(slices.Values(turn)); !slices.Equal(got, want) {
			t.Fatalf("run %d: %v", run, turn)
		}
		if !slices.Equal(turn[:3], []string{across.Polling, across.SpinFirst, across.PollingAgain}) {
			t.Errorf("run %d: %v: what is compared closely is apart", run, turn)
		}
	}
	if slices.Equal(names(turn(c.ways(), 1)), names(turn(c.ways(), 2))) {
		t.Error("all runs have the same order")
	}
}

func TestOnlyWhatIsComparedIsVisitedInFull(t *testing.T) {
	c := proctest.Config(t, parse, "-idle-runs", "1")
	for _, w := range c.ways() {
		first, second := c.visit(w, 1), c.visit(w, 2)
		if full := first.Scheduled > 0 && first.Idle > 0; full == (w.again || w.bare) {
			t.Errorf("%s: %+v", w.name, first)
		}
		if second.Idle != 0 {
			t.Errorf("%s lies idle in run 2: %+v", w.name, second)
		}
	}
}

func TestTheWaysAreThoseOfTheTables(t *testing.T) {
	var all []string
	for _, w := range proctest.Config(t, parse).ways() {
		all = append(all, w.name)
	}
	if !slices.Equal(all, across.Names()) {
		t.Errorf("%q, but tables have %q", all, across.Names())
	}
}

func TestTheChartHoldsEveryWay(t *testing.T) {
	c := proctest.Config(t, parse)
	var l across.Log
	for i, name := range across.Names() {
		for run := range 2 {
			ns := int64(1000 * (i + 1 + run))
			l.Cells = append(l.Cells, result.Cell{Variant: name, Run: run + 1, RTTP50Ns: &ns, OpsPerS: new(1e9 / float64(ns)), CPUSPerMop: new(2.0)})
		}
	}
	if err := report(c, env.Environment{}, l); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(c.out, "boundary.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range across.Names() {
		if drawn := strings.Contains(string(svg), ">"+name+"<"); drawn == (name == across.PollingAgain) {
			t.Errorf("%s is in the chart: %v", name, drawn)
		}
	}
}

func TestFlagsThatCannotBe(t *testing.T) {
	for _, args := range []string{"-runs 0", "-samples 0", "-longest 1ns", "-rate -1", "-scheduled 1ms", "-idle 1ms", "-idle-runs 0",
		"-payload 7", "-pin x", "-ways pigeon", "-ways doorbell,", "stray"} {
		if _, err := parse(strings.Fields(args), &strings.Builder{}); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
