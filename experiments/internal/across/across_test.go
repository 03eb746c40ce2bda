// SPDX-License-Identifier: Apache-2.0

package across

import (
	"slices"
	"strings"
	"testing"

	"dx/experiments/internal/exchange"
	"dx/experiments/internal/result"
)

// madeUp has a way at these p50.
func (l *Log) madeUp(name string, p50Ns ...int64) {
	for i, ns := range p50Ns {
		l.Cells = append(l.Cells, result.Cell{Variant: name, Run: i + 1, RTTP50Ns: &ns, OpsPerS: new(1e9 / float64(ns)), CPUSPerMop: new(2.0)})
	}
}

// idled has a way use these shares of a CPU.
func (l *Log) idled(name string, run int, host, qemu float64) {
	const second = 1e9
	l.Idle = append(l.Idle, IdleRun{Way: name, Run: run, Idleness: exchange.Idleness{ElapsedNs: second,
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
		var l Log
		l.madeUp(AtOnce, 90, 100, 130)
		l.madeUp(TCP, c.theirs...)
		if text, inATable := l.compared(AtOnce, TCP), l.times(AtOnce, TCP); text != c.want || inATable != c.inATable {
			t.Errorf("%v: %q, %q", c.theirs, text, inATable)
		}
	}
	var l Log
	if l.compared(AtOnce, TCP) != "" || l.times(AtOnce, TCP) != "-" {
		t.Error("nothing was measured, and compared")
	}
}

func TestBellsThatWereLostAreTold(t *testing.T) {
	var l Log
	l.madeUp(AtOnce, 100, 100)
	for i := range l.Cells {
		l.Cells[i].Park, l.Cells[i].Ops = "doorbell", 50
		l.Cells[i].Waits = result.Waits{Host: &result.WaitCounts{}, Guest: &result.WaitCounts{}}
	}
	if text := l.unrung(AtOnce); text != "" {
		t.Errorf("%q", text)
	}
	l.Cells[1].Waits.Guest.Rescued = 32
	if text := l.unrung(AtOnce); !strings.HasPrefix(text, "doorbell: 32 sleepers ") || !strings.Contains(text, " 1 of the runs and schedules, 100 calls") {
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
		var l Log
		l.madeUp(Polling, 1000, 1000, 1000)
		l.madeUp(SpinFirst, c.spin...)
		l.madeUp(PollingAgain, c.again...)
		if text := l.near(figures[0]); !strings.HasSuffix(text, c.want) {
			t.Errorf("%q, want %q", text, c.want)
		}
	}
}

func TestParkedSidesAreJudgedBesideTheMachineOfTheSameRun(t *testing.T) {
	var l Log
	for run, alone := range []float64{0.004, 0.05, 0.006} {
		l.idled(MachineAlone, run+1, 0, alone)
		l.idled(AtOnce, run+1, 0.0004, alone+0.011)
		l.idled(AtOnceInC, run+1, 0.02, alone+0.009)
	}
	for name, want := range map[string]string{
		AtOnce:    "the host uses 0.04% of one CPU (under 1 %), the guest 1.10% (not under 1 %) beside the 0.60% of its machine alone.",
		AtOnceInC: "the host uses 2.00% of one CPU (not under 1 %), the guest 0.90% (under 1 %) beside the 0.60% of its machine alone.",
	} {
		if text := l.parked(name); !strings.HasSuffix(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
	}
	if text := l.parked(SpinFirst); text != "" {
		t.Errorf("%q of what was not measured", text)
	}
}

func TestTheTablesHoldEveryWayAndWhatWasLeftOut(t *testing.T) {
	l := Log{Out: []LeftOut{{Vsock, "there is none; make one"}}}
	for i, name := range Names() {
		if name != Vsock {
			l.madeUp(name, int64(1000*(i+1)), int64(1100*(i+1)))
			l.idled(name, 1, 0.001, 0.01)
		}
	}
	text := Text(l)
	for _, name := range Names() {
		has := slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), name+"  ") })
		if has == (name == Vsock) {
			t.Errorf("a line of %s: %v, in\n%s", name, has, text)
		}
	}
	if !strings.Contains(text, "\nvsock: left out: there is none; make one\n") || strings.Contains(text, "by a schedule\n") {
		t.Errorf("%s", text)
	}
}

func TestAScheduleHasATableOfItsOwn(t *testing.T) {
	var l Log
	l.madeUp(AtOnce, 1000, 1100)
	rate := 300.0
	l.Cells[1].RatePerS, l.Cells[1].Missed = &rate, 7
	if text := Text(l); !strings.Contains(text, "300 calls/s by a schedule\n") || !strings.Contains(text, "doorbell did not reach the rate: 7 calls") {
		t.Errorf("%s", text)
	}
}

func TestVsockIsComparedWhereItWasMeasured(t *testing.T) {
	var l Log
	l.madeUp(AtOnce, 90, 100, 130)
	l.madeUp(Vsock, 250, 300, 350)
	if text := Text(l); !strings.Contains(text, "doorbell was 3.00 times as fast as vsock (p50).") || !strings.Contains(text, "x vsock") {
		t.Errorf("%s", text)
	}
}
