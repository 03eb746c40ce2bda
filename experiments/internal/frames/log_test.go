// SPDX-License-Identifier: Apache-2.0

package frames_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/frames"
	"dx/experiments/internal/frames/madeup"
	"dx/experiments/internal/result"
)

const good = `{"experiment":"frames","frame":"4K","size_bytes":24883200,"variant":"copy","run":1,"iteration":1,"total_ns":5000000,"memcpy_ns":5500000,"copy_ns":null,"ok":true}` + "\n"

func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "result.jsonl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDamagedResultsAreErrorsThatNameThePlace(t *testing.T) {
	for want, text := range map[string]string{
		"no frame in it":          "",
		"jsonl:2: no size_bytes":  good + `{"experiment":"frames","frame":"4K","variant":"copy","iteration":2,"total_ns":1,"ok":true}` + "\n",
		"jsonl:2: invalid":        good + "garbage\n" + good,
		"jsonl:1: total_ns is -5": strings.Replace(good, "5000000", "-5", 1),
		"jsonl:1: total_ns is 1.": strings.Replace(good, "5000000", "1.5", 1),
		"without total_ns":        strings.Replace(good, "5000000", "null", 1),
		"size_bytes 0":            strings.Replace(good, "24883200", "0", 1),
		"no experiment":           `{"frame":"4K"}` + "\n",
		"jsonl:1: json":           `{"experiment":5}` + "\n",
	} {
		if _, err := frames.Read(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := frames.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "name a folder that frames wrote") {
		t.Errorf("%v", err)
	}
	dir := write(t, good)
	for _, name := range []string{"environment.json", "membw.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := frames.Read(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(filepath.Join(dir, name))
	}
}

func TestWhatAnInterruptedRunLeftIsRead(t *testing.T) {
	other := `{"experiment":"frames_memory","run":1}` + "\n"
	f, err := frames.Read(write(t, good+other+good[:40]))
	if err != nil || !f.Torn || len(f.Records) != 1 || f.Environment != nil {
		t.Fatalf("%+v, %v", f, err)
	}
	if p := f.Records[0].Phases; p.CopyNs.Known() || p.TotalNs != 5_000_000 || p.MemcpyNs != 5_500_000 {
		t.Errorf("%+v", p)
	}
}

func TestOlderResultsSpellTheirDirectionOtherwise(t *testing.T) {
	f, err := frames.Read(write(t, strings.Replace(good, `"run":1`, `"direction":"guest_to_host","run":1`, 1)))
	if err != nil || f.Records[0].Direction != result.GuestToHost {
		t.Errorf("%+v, %v", f.Records, err)
	}
}

func TestAFailedFrameHasNoTimes(t *testing.T) {
	f, err := frames.Read(write(t, strings.Replace(good, `"ok":true`, `"ok":false`, 1)))
	if err != nil || f.Records[0].Phases != frames.NoPhases {
		t.Fatalf("%+v, %v", f.Records, err)
	}
	if count, why := frames.CellsOf(f.Records)[0].Failures(); count != 1 || why != "no reason given" {
		t.Errorf("%d, %q", count, why)
	}
}

func TestFiguresOfKnownNumbers(t *testing.T) {
	text := good + strings.NewReplacer(`"run":1`, `"run":2`, "5000000", "4000000").Replace(good) +
		strings.NewReplacer(`"run":1`, `"run":2`, "5000000", "6000000").Replace(good)
	f, err := frames.Read(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	c := frames.CellsOf(f.Records)[0]
	if rate := c.Rate("total"); c.Runs() != 2 || math.Abs(rate.Median-4.97664e9) > 1 || rate.Low != rate.High {
		t.Errorf("%d runs, %v: 24.9 MB in 5 ms are 4.98 GB/s, and so are twice as many in 10", c.Runs(), rate)
	}
	if ratio := c.Ratio("memcpy", "total"); math.Abs(ratio.Median-1.1) > 1e-9 {
		t.Errorf("memcpy takes %v times as long", ratio)
	}
	if span := c.Rate("copy"); span.Known() || span.String() != "-" {
		t.Errorf("%v", span)
	}
}

// timed is one frame of so many bytes that took so long.
func timed(bytes int, ns frames.Ns) frames.Record {
	r := frames.Record{Experiment: frames.Frames, Frame: "4K", SizeBytes: bytes, Variant: "copy", OK: true, Phases: frames.NoPhases}
	r.TotalNs = ns
	return r
}

func TestRatesOfKnownNumbers(t *testing.T) {
	rate := func(records ...frames.Record) float64 { return frames.CellsOf(records)[0].GBps("total").Median }
	// The predecessor called this 394 MB/s.
	if got := rate(timed(24883200, 60182)); math.Abs(got-413.466) > 0.001 {
		t.Errorf("23.73 MiB in 60.2 us are %v GB/s", got)
	}
	if got := rate(timed(24883200, 5e6)) * 1e3; math.Abs(got-4976.64) > 1e-9 {
		t.Errorf("a 4K frame in 5 ms is %v MB/s", got)
	}
	// 1 GB/s, and a third of it.
	if got := rate(timed(1e6, 1e6), timed(1e6, 3e6), timed(1e6, frames.Unknown)); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("the mean of 1 and 1/3 GB/s over equal bytes is %v: bytes over time, not a mean of rates", got)
	}
	if !math.IsNaN(rate(timed(1e6, frames.Unknown))) {
		t.Error("nothing has a rate")
	}
}

func TestAVerdictNeedsRunsAndAMarginBeyondTheirSpread(t *testing.T) {
	for _, c := range []struct {
		ratios []float64
		want   frames.Verdict
	}{
		{nil, frames.TooFew},
		{[]float64{2, 2, 2, 2}, frames.TooFew},
		{[]float64{1.1, 1.1, 1.1, 1.1, 1.1}, frames.More},
		{[]float64{1.08, 1.1, 1.1, 1.1, 1.12}, frames.More},
		{[]float64{1.04, 1.1, 1.1, 1.1, 1.16}, frames.Same}, // all above 1, but by less than they differ
		{[]float64{0.9, 0.91, 0.9, 0.9, 0.9}, frames.Less},
		{[]float64{0.99, 1, 1.01, 1, 1}, frames.Same},
		{[]float64{1, 1, 1, 1, 1}, frames.Same},
	} {
		if got := frames.SpanOf(c.ratios).Against(1); got != c.want {
			t.Errorf("%v: %v, want %v", c.ratios, got, c.want)
		}
	}
}

func TestASweepOverTheRingIsNotPartOfTheMainFigures(t *testing.T) {
	s := madeup.Few
	s.Rings = true
	dir := t.TempDir()
	if err := madeup.Write(dir, s); err != nil {
		t.Fatal(err)
	}
	f, err := frames.Read(filepath.Join(dir, "result.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	cells := frames.CellsOf(f.Records)
	main := frames.Main(cells)
	if len(main) != 9 || len(cells) != 14 || len(f.FirstTouch) != 14*s.Runs {
		t.Errorf("%d of %d cells, %d first touches", len(main), len(cells), len(f.FirstTouch))
	}
	for _, c := range main {
		if c.RingBytes != 0 && c.RingBytes != 1<<20 {
			t.Errorf("%+v", c.Key)
		}
	}
	if got := strings.Join(frames.Lines(main), " "); got != "copy zero_copy overlapped" {
		t.Errorf("%s", got)
	}
}
