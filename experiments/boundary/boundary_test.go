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

	"dx/experiments/internal/command"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// TestMain lets the test program be the guest, in the machine that it boots.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func TestEveryWayIsMeasuredInOneMachine(t *testing.T) {
	c := proctest.Config(t, parse, strings.Fields("-runs 1 -samples 1 -longest 100ms -scheduled 100ms -rate 100 -idle 0")...)
	c.peerTimeout = 1000 * time.Second // a machine that gets no CPU for a while is not dead
	if code := measureAll(context.Background(), c); code != command.OK {
		t.Fatalf("code %d", code)
	}
	cells, torn, err := result.Read(filepath.Join(c.out, result.FileName))
	if err != nil || torn || len(cells) != 2*len(c.ways())-2 {
		t.Fatalf("%d lines (%v, torn %v): want a closed and an open loop of each way, but one of the second polling and of the bare doorbell", len(cells), err, torn)
	}
	for _, cell := range cells {
		if cell.Ops == 0 || cell.RTTSamples == 0 || cell.Verified == (cell.Variant == bareBell) || cell.Accelerator == "" {
			t.Errorf("%s at %g/s: %+v", cell.Variant, cell.Rate(), cell)
		}
		w := cell.Waits
		switch cell.Variant {
		case polling, pollingAgain:
			if w.Host.Park != 0 || w.Guest.Park != 0 {
				t.Errorf("%s slept: %+v %+v", cell.Variant, w.Host, w.Guest)
			}
		case atOnce, atOnceInC:
			if w.Host.Spin+w.Host.Yield+w.Guest.Spin+w.Guest.Yield != 0 || w.Host.Rings+w.Guest.Rings == 0 {
				t.Errorf("%s looked, or never rang: %+v %+v", cell.Variant, w.Host, w.Guest)
			}
		}
	}
	for _, name := range []string{"table.txt", "environment.json", "idle.jsonl"} {
		if _, err := os.Stat(filepath.Join(c.out, name)); err != nil {
			t.Error(err)
		}
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
		turn := names(c.turn(run))
		if got := slices.Sorted(slices.Values(turn)); !slices.Equal(got, want) {
			t.Fatalf("run %d: %v", run, turn)
		}
		if !slices.Equal(turn[:3], []string{polling, spinFirst, pollingAgain}) {
			t.Errorf("run %d: %v: what is compared closely is apart", run, turn)
		}
	}
	if slices.Equal(names(c.turn(1)), names(c.turn(2))) {
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

func TestFlagsThatCannotBe(t *testing.T) {
	for _, args := range []string{"-runs 0", "-samples 0", "-longest 1ns", "-rate -1", "-scheduled 1ms", "-idle 1ms", "-idle-runs 0",
		"-payload 7", "-pin x", "stray"} {
		if _, err := parse(strings.Fields(args), &strings.Builder{}); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
