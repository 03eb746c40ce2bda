// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// TestMain lets the test program be the processes that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func TestEveryWaitOfEveryKindSleeps(t *testing.T) {
	c := proctest.Config(t, parse, "-runs", "1", "-samples", "200", "-longest", "300ms", "-idle", "0")
	if code := measureAll(context.Background(), c); code != command.OK {
		t.Fatalf("code %d", code)
	}
	cells, torn, err := result.Read(filepath.Join(c.out, result.FileName))
	if err != nil || torn {
		t.Fatal(err, torn)
	}
	if len(cells) != 3+12 {
		t.Fatalf("%d lines, want 3 bare ones and 12 of channels", len(cells))
	}
	for _, cell := range cells {
		if cell.RTTSamples == 0 || cell.Errors != 0 || cell.CPUSPerMop == nil || *cell.CPUSPerMop <= 0 {
			t.Errorf("%s, %s: %d samples, %d errors", cell.Variant, cell.Host, cell.RTTSamples, cell.Errors)
		}
		for side, waits := range map[string]*result.WaitCounts{"host": cell.Waits.Host, "guest": cell.Waits.Guest} {
			if waits != nil && (waits.Spin != 0 || waits.Yield != 0 || waits.Park == 0) {
				t.Errorf("%s, %s, %s: not all waits slept: %+v", cell.Variant, cell.Host, side, *waits)
			}
		}
	}
	table, err := os.ReadFile(filepath.Join(c.out, "table.txt"))
	for _, want := range []string{"bare futex", "bare eventfd", "bare pipe", "semaphore", "doorbell", "poll 50µs"} {
		if err != nil || !strings.Contains(string(table), want) {
			t.Errorf("the table has no line %q (%v):\n%s", want, err, table)
		}
	}
}

// A second a sleep is 2 or 3 in two seconds. A loaded machine makes fewer; what is
// looked for is a server that wakes 50 times a second, or a thousand.
func TestAnIdleServerHardlyWakes(t *testing.T) {
	c := proctest.Config(t, parse, "-runs", "0", "-idle", "2s", "-idle-runs", "1", "-polls", "50ms")
	if code := measureAll(context.Background(), c); code != command.OK {
		t.Fatalf("code %d", code)
	}
	costs, err := idleSideBySide(context.Background(), c.pairs(), c)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(c.out, "table.txt"))
	if err != nil || !strings.Contains(string(table), "bare sleep 250ms") {
		t.Errorf("no bare sleep (%v) in\n%s", err, table)
	}
	for i, p := range c.pairs() {
		if costs[i].Wakeups < costs[i].GuestParks/2 {
			t.Errorf("%s: %d sleeps, but %d wake-ups of all threads", p.Name, costs[i].GuestParks, costs[i].Wakeups)
		}
		most := uint64(5)
		if strings.HasPrefix(p.Name, "poll") {
			most = 2*uint64(time.Second/(50*time.Millisecond)) + 4
		}
		if n := costs[i].GuestParks; n > most {
			t.Errorf("%s, %s, %s: %d sleeps in 2 s, want at most %d", p.Name, p.Config.Host, p.Config.Transport, n, most)
		}
	}
}

func TestIdleChannelsStandBesideBareSleeps(t *testing.T) {
	idle := func(name string, run int, bare bool, cpuUs int64, wakeups uint64) idleRun {
		return idleRun{Name: name, Run: run, Bare: bare, Idleness: exchange.Idleness{ElapsedNs: 1e10,
			GuestCPUNs: 1000 * cpuUs, Wakeups: wakeups, GuestParks: 10}}
	}
	text := idleTable([]idleRun{
		idle("bare-1s", 1, true, 9_000, 10), idle("bare-250ms", 1, true, 31_000, 40), idle("futex", 1, false, 120_000, 100),
		idle("bare-1s", 2, true, 900, 10), idle("bare-250ms", 2, true, 3_100, 40), idle("futex", 2, false, 12_000, 100),
	})
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) > 3 && f[0] == "futex" {
			// 1,200 and 120 us a wake-up, beside 800 and 80.
			if got := strings.Join(f[len(f)-4:], " "); got != "1.00 10.0 660 1.50" {
				t.Errorf("%q in\n%s", got, text)
			}
			return
		}
	}
	t.Errorf("no line in\n%s", text)
}

func TestFlagsThatCannotBe(t *testing.T) {
	for _, args := range []string{"-runs -1", "-samples 0", "-polls 1s,x", "-sides java", "-rate -1", "-idle 1ms",
		"-runs 0 -idle 0", "stray", "-longest 1ns", "-idle-runs 0"} {
		if _, err := parse(strings.Fields(args), &strings.Builder{}); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
