// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func table(t *testing.T, cells ...Cell) string {
	t.Helper()
	var text bytes.Buffer
	if err := Table(&text, cells); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > TableColumns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	return text.String()
}

// line returns the fields of the first line that begins with this number of callers.
func line(t *testing.T, text, callers string) []string {
	t.Helper()
	for l := range strings.Lines(text) {
		if f := strings.Fields(l); len(f) > 2 && f[0] == callers && f[1] != "callers:" {
			return f
		}
	}
	t.Fatalf("no line for %s callers in\n%s", callers, text)
	return nil
}

func TestTableShowsMediansOfTheRuns(t *testing.T) {
	var cells []Cell
	for i, rate := range []float64{4e6, 3e6, 5e6, 4.2e6, 3.9e6} {
		cells = append(cells, sample(8, i+1, rate), sample(1, i+1, rate*2))
	}
	text := table(t, cells...)
	got := line(t, text, "8")
	want := []string{"8", "4.00", "3.00", "5.00", "240ns", "260ns", "900ns", "15.0µs", "2.50ms", "0.97", "0.500",
		"0.800", "0.880", "98/1/1", "100/0/0", "ok"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if line(t, text, "1")[1] != "8.00" {
		t.Error("the line of 1 caller")
	}
	if !strings.Contains(text, "pingpong: host c, guest go, path native, transport shm, 64 B; 5 runs\n") {
		t.Errorf("no title in\n%s", text)
	}
	t.Log("\n" + text)
}

func TestTableFitsWithExtremeFigures(t *testing.T) {
	c := sample(4096, 1, 123_456_789)
	c.PayloadBytes = 24_883_200
	c.RTTP50Ns, c.RTTP90Ns, c.RTTP99Ns = new(int64(123_456)), new(int64(123_456_789)), new(int64(999_999_999))
	c.RTTP999Ns, c.RTTMaxNs = new(int64(59_999_999_999)), new(int64(59_999_999_999))
	c.CPUSPerMop, c.FloorRatio, c.BareRatio = new(1234.5), new(0.00123), new(0.00123)
	c.Waits.Host = &WaitCounts{Spin: 99_950, Yield: 25, Park: 25}
	c.Waits.Guest = c.Waits.Host
	c.VerifyFailures, c.Errors, c.Timeouts = math.MaxUint32, math.MaxUint32, math.MaxUint32
	slow := sample(1, 1, 126)
	slow.PayloadBytes = c.PayloadBytes
	text := table(t, c, slow)
	if got := line(t, text, "4096")[13]; got != ">99/<1/<1" {
		t.Errorf("shares %s", got)
	}
	t.Log("\n" + text)
}

func TestTableShowsWhatIsNotKnownAsADash(t *testing.T) {
	text := table(t, Cell{Experiment: "peers", Threads: 2})
	if got := strings.Join(line(t, text, "2")[1:], " "); got != strings.Repeat("- ", 14)+"none" {
		t.Errorf("%q", got)
	}
	known, unknown := sample(2, 1, 1e6), sample(2, 2, 1e6)
	unknown.RTTP99Ns = nil
	if got := line(t, table(t, known, unknown), "2"); got[6] != "-" || got[5] == "-" {
		t.Errorf("a percentile that only one run has: %q", got)
	}
}

func TestTableOfAnOpenLoopTellsPacingFromCalls(t *testing.T) {
	var cells []Cell
	for run, pace := range []float64{60, 80, 70} {
		c := sample(1, run+1, 1000)
		c.RatePerS, c.CPUSPerMop, c.PaceCPUSPerMop = new(1000.0), new(pace+20+float64(run)), &pace
		c.FloorRatio, c.BareRatio = nil, nil
		cells = append(cells, c)
	}
	text := table(t, cells...)
	if got := strings.Join(line(t, text, "1")[10:13], " "); got != "92.0 70.0 21.0" || !strings.Contains(text, "CPU s/M  pacing   net") {
		t.Errorf("%q in\n%s", got, text)
	}
	cells[1].PaceCPUSPerMop = nil // a result of before there was pacing
	if got := strings.Join(line(t, table(t, cells...), "1")[10:13], " "); got != "92.0 - -" {
		t.Errorf("%q", got)
	}
}

func TestTableTellsFailuresAndMixedRuns(t *testing.T) {
	good, bad := sample(8, 1, 4e6), sample(8, 2, 4e6)
	bad.VerifyFailures, bad.Errors, bad.Timeouts = 3, 7, 2
	bad.Wait, bad.EnvCommit = map[string]any{"spin_max": 1}, "ffff"
	text := table(t, good, bad)
	for _, want := range []string{
		"2 runs (a median worth quoting takes 5)",
		"  8 callers: FAILED: the content of 3 calls was wrong",
		"  8 callers: 7 calls failed, 2 of them timed out, beside 8000000 that succeeded",
		"  8 callers: the runs differ in wait, env_commit and should",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := line(t, text, "8"); got[len(got)-1] != "FAILED" {
		t.Errorf("%q", got)
	}
	if clean := table(t, good); strings.Contains(clean, "FAILED") || strings.Contains(clean, "differ") {
		t.Errorf("a good run reads\n%s", clean)
	}
}

func TestOpenLoopsStandApartAndCountFromTheIntendedStart(t *testing.T) {
	closed, open := sample(8, 1, 4e6), sample(8, 1, 20_000)
	open.RatePerS, open.Missed = new(20_000.0), 12
	open.IntendedP50Ns, open.IntendedP99Ns, open.IntendedMaxNs = new(int64(700)), new(int64(3_500)), new(int64(9e9))
	open.Derive()
	text := table(t, closed, open)
	_, below, found := strings.Cut(text, "64 B, open loop at 20000 calls/s; 1 run")
	if !found {
		t.Fatalf("no table of the open loop in\n%s", text)
	}
	if got := strings.Join(line(t, below, "8")[4:13], " "); got != "700ns - 3.50µs - 9.00s 0.97 0.500 - -" {
		t.Errorf("%q", got)
	}
	if !strings.Contains(below, "8 callers: the rate was not reached: 12 calls were never started") {
		t.Errorf("missed calls are not told:\n%s", below)
	}
}

func TestTableOfNothingSaysSo(t *testing.T) {
	if text := table(t); text != "no results\n" {
		t.Errorf("%q", text)
	}
}

func TestSummariseGroupsAndSums(t *testing.T) {
	other := sample(1, 1, 1e6)
	other.Guest = "c"
	summaries := Summarise([]Cell{sample(8, 1, 4e6), sample(1, 1, 2e6), sample(8, 2, 6e6), other})
	if len(summaries) != 3 {
		t.Fatalf("%d groups", len(summaries))
	}
	for i, want := range []struct {
		guest         string
		threads, runs int
		median        float64
		hostSpin      uint64
	}{{"c", 1, 1, 1e6, 98}, {"go", 1, 1, 2e6, 98}, {"go", 8, 2, 5e6, 196}} {
		s := summaries[i]
		if s.Guest != want.guest || s.Threads != want.threads || s.Runs != want.runs ||
			s.OpsPerS.Median != want.median || s.Waits.Host.Spin != want.hostSpin || s.Waits.Host.SpinLimit != 2000 {
			t.Errorf("group %d: %+v", i, s)
		}
	}
}

func TestFiguresForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatSig3(0), "0"}, {FormatSig3(4.123), "4.12"}, {FormatSig3(9.999), "10.0"}, {FormatSig3(99.96), "100"},
		{FormatSig3(0.9996), "1.00"}, {FormatSig3(0.01234), "0.0123"}, {FormatSig3(1234), "1230"}, {FormatSig3(0.000126), "1.26e-4"}, {FormatSig3(0.00123), "0.00123"}, {FormatSig3(0.00099999), "0.00100"}, {FormatSig3(5e-12), "5.00e-12"}, {FormatSig3(-2.5), "-2.50"},
		{FormatSig3(math.NaN()), "NaN"},
		{FormatNs(0), "0ns"}, {FormatNs(229), "229ns"}, {FormatNs(999.4), "999ns"}, {FormatNs(999.6), "1.00µs"},
		{FormatNs(1234), "1.23µs"}, {FormatNs(999_999), "1.00ms"}, {FormatNs(15_040_000), "15.0ms"}, {FormatNs(59.9e9), "59.9s"},
		{FormatBytes(0), "0 B"}, {FormatBytes(64), "64 B"}, {FormatBytes(4096), "4096 B"}, {FormatBytes(2_000_000), "2 MB"},
		{FormatBytes(5000), "5 kB"}, {formatPercent(0), "0"}, {formatPercent(1), "100"}, {formatPercent(0.004), "<1"},
		{formatPercent(0.996), ">99"}, {formatPercent(0.5), "50"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
