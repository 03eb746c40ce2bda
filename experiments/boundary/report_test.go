// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// madeUp has a way at these p50.
func (l *log) madeUp(name string, p50Ns ...int64) {
	for i, ns := range p50Ns {
		l.cells = append(l.cells, result.Cell{Variant: name, Run: i + 1, RTTP50Ns: &ns, OpsPerS: new(1e9 / float64(ns)), CPUSPerMop: new(2.0)})
	}
}

// idled has a way use these shares of a CPU.
func (l *log) idled(name string, run int, host, qemu float64) {
	const second = 1e9
	l.idle = append(l.idle, idleRun{Way: name, Run: run, Idleness: exchange.Idleness{ElapsedNs: second,
		HostCPUNs: int64(host * second), GuestCPUNs: int64(qemu * second)}})
}

func TestFasterIsSaidOnlyWhereRunsDoNotMeet(t *testing.T) {
	for _, c := range []struct {
		theirs         []int64
		want, inATable string
	}{
		{[]int64{250, 300, 350}, "doorbell was 3.00 times as fast as TCP (p50).", "3.00"},
		{[]int64{120, 300, 350}, "doorbell and TCP do not differ: the ranges of their runs meet (p50).", "(3.00)"},
		{[]int64{40, 50, 60}, "doorbell was slower than TCP: its round trip took 2.00 times as long (p50).", "0.500"},
	} {
		var l log
		l.madeUp(atOnce, 90, 100, 130)
		l.madeUp(tcp, c.theirs...)
		if text, inATable := l.compared(atOnce, tcp), l.times(atOnce, tcp); text != c.want || inATable != c.inATable {
			t.Errorf("%v: %q, %q", c.theirs, text, inATable)
		}
	}
	var l log
	if l.compared(atOnce, tcp) != "" || l.times(atOnce, tcp) != "-" {
		t.Error("nothing was measured, and compared")
	}
}

func TestBellsThatWereLostAreTold(t *testing.T) {
	var l log
	l.madeUp(atOnce, 100, 100)
	for i := range l.cells {
		l.cells[i].Park, l.cells[i].Ops = "doorbell", 50
		l.cells[i].Waits = result.Waits{Host: &result.WaitCounts{}, Guest: &result.WaitCounts{}}
	}
	if text := l.unrung(atOnce); text != "" {
		t.Errorf("%q", text)
	}
	l.cells[1].Waits.Guest.Rescued = 32
	if text := l.unrung(atOnce); !strings.HasPrefix(text, "doorbell: 32 sleepers ") || !strings.Contains(text, " 1 of the runs and schedules, 100 calls") {
		t.Errorf("%q", text)
	}
}

func TestNearnessIsJudgedBesideWhatPollingDiffersFromItself(t *testing.T) {
	for _, c := range []struct {
		want        string
		spin, again []int64
	}{
		{"1.040 of one by polling (p50, median of 3 pairs, 0.990 to 1.200; polling beside polling 1.000 to 1.010): within 5 %.", []int64{990, 1040, 1200}, []int64{1000, 1010, 1000}},
		{"more than 5 %, but so much polling differs from itself.", []int64{1080, 1100, 1200}, []int64{1000, 1090, 1000}},
		{": not within 5 %.", []int64{1080, 1100, 1200}, []int64{1000, 1010, 1000}},
	} {
		var l log
		l.madeUp(polling, 1000, 1000, 1000)
		l.madeUp(spinFirst, c.spin...)
		l.madeUp(pollingAgain, c.again...)
		if text := l.near(figures[0]); !strings.HasSuffix(text, c.want) {
			t.Errorf("%q, want %q", text, c.want)
		}
	}
}

func TestParkedSidesAreJudgedBesideTheMachineOfTheSameRun(t *testing.T) {
	var l log
	for run, alone := range []float64{0.004, 0.05, 0.006} {
		l.idled(machineAlone, run+1, 0, alone)
		l.idled(atOnce, run+1, 0.0004, alone+0.011)
		l.idled(atOnceInC, run+1, 0.02, alone+0.009)
	}
	for name, want := range map[string]string{
		atOnce:    "the host uses 0.04% of one CPU (under 1 %), the guest 1.10% (not under 1 %) beside the 0.60% of its machine alone.",
		atOnceInC: "the host uses 2.00% of one CPU (not under 1 %), the guest 0.90% (under 1 %) beside the 0.60% of its machine alone.",
	} {
		if text := l.parked(name); !strings.HasSuffix(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
	}
	if text := l.parked(spinFirst); text != "" {
		t.Errorf("%q of what was not measured", text)
	}
}

func TestTheReportHoldsEveryWay(t *testing.T) {
	c := proctest.Config(t, parse)
	var l log
	for i, w := range c.ways() {
		l.madeUp(w.name, int64(1000*(i+1)), int64(1100*(i+1)))
		l.idled(w.name, 1, 0.001, 0.01)
	}
	if err := report(c, env.Environment{}, l); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(c.out, "boundary.svg"))
	if err != nil {
		t.Fatal(err)
	}
	text := table(c, l)
	for _, w := range c.ways() {
		if !strings.Contains(text, w.name+"  ") {
			t.Errorf("no line of %s in\n%s", w.name, text)
		}
		if drawn := strings.Contains(string(svg), ">"+w.name+"<"); drawn == w.again {
			t.Errorf("%s is in the chart: %v", w.name, drawn)
		}
	}
}
