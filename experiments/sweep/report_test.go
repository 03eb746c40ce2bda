// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dx/experiments/internal/exchange"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// invent returns runs of a made-up machine, which never differ by more than 4 %:
// there yields at every look halve the rate, and nothing else matters.
func invent() measureFunc {
	runs := map[exchange.Config]int{}
	return func(_ context.Context, c exchange.Config) (result.Cell, error) {
		runs[c]++
		rate := 2e6 * (1 + float64(runs[c]*7%5)/100) // 0 to 4 % of noise
		if c.Wait.YieldEvery == 1 {
			rate /= 2
		}
		if c.Wait.Relax == dx.RelaxNone {
			rate *= 1.005
		}
		cell := result.Cell{Threads: c.Threads, PayloadBytes: c.Payload, Host: c.Host, Guest: c.Guest, Path: c.Path,
			Transport: c.Transport, Wait: c.Wait, Ops: uint64(rate), ElapsedNs: 1e9, CPUSPerMop: new(2e6 / rate),
			RTTP50Ns: new(int64(1e9 / rate)), RTTP99Ns: new(int64(2e9 / rate))}
		if c.RatePerS > 0 {
			cell.RatePerS, cell.IntendedP50Ns, cell.IntendedP99Ns = &c.RatePerS, cell.RTTP50Ns, cell.RTTP99Ns
		}
		cell.Derive()
		return cell, nil
	}
}

// reported measures files of the repository on the made-up machine and returns
// the page about them.
func reported(t *testing.T, files ...string) string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log.jsonl")
	c := mustParse(t, append(files, "-log", log)...)
	if code := measureAll(context.Background(), c, invent()); code != 0 {
		t.Fatal(code)
	}
	var page strings.Builder
	if err := writeReport(&page, c, read(t, log)); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("REPORT_FILE"); path != "" {
		if err := os.WriteFile(path, []byte(page.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return page.String()
}

// part is the section of an experiment.
func part(t *testing.T, page, title string) string {
	t.Helper()
	_, after, found := strings.Cut(page, "## "+title+"\n")
	if !found {
		t.Fatalf("no section %q", title)
	}
	section, _, _ := strings.Cut(after, "\n## ")
	return section
}

func TestReportSaysWhatTheDataShowAndNoMore(t *testing.T) {
	files, err := filepath.Glob("../../tuning/experiments/*.toml")
	if err != nil || len(files) != 12 {
		t.Fatalf("%v, %v", files, err)
	}
	page := reported(t, files...)
	if !strings.Contains(page, "-report ../../tuning/experiments/*.toml` from") {
		t.Errorf("the command is not told in %.500s", page)
	}
	for title, want := range map[string][]string{
		"The noise": {"| 1 | closed loop | rate | 2.0", "| 8 | open loop at 10000 calls/s | p50 |"},
		"Yields half as often": {"with yield_every = 128 instead of 64", "closed loop: no difference beyond the noise: rate (",
			"reached, in million calls a second: 1.10 with 1 caller (-4 % from its baseline; ours:", "within the noise"},
		"A yield after each look": {"with yield_every = 1 instead of 64", "1 caller, closed loop: **rate 5", "% lower**", "**p99 ", "% longer**",
			"**CPU time ", "% more**", "8 callers, open loop at 10000 calls/s: **p50", "0.360 with 4 callers (-85 % from its baseline; ours: -5", "the same direction"},
		"No pause between looks":        {"relax = none instead of pause", "no difference beyond the noise"},
		"Goroutines locked to threads":  {"lock_os_thread = true instead of false"},
		"A wait behind a function call": {"path = cgo instead of native"},
		"Baseline":                      {"*Hypothesis.*", "*Expected.*", "callers"},
		"Aggressive spin":               {"spin_max = 100000 instead of 5000, spin_start = 10000 instead of 2000"},
		"Baseline, measured again":      {"no difference beyond the noise"},
		"Never sleeping":                {"park = never instead of sem"},
		"A sleep without a timeout":     {"park_timeout_ns = 1000000000000 instead of 100000000"},
		"Low spin":                      {"spin_max = 2000"},
		"Yields 16 times more rarely":   {"yield_every = 1024"},
	} {
		section := part(t, page, title)
		for _, text := range want {
			if !strings.Contains(section, text) {
				t.Errorf("%s: no %q in\n%s", title, text, section)
			}
		}
		if title != "A yield after each look" && strings.Contains(section, "**") {
			t.Errorf("%s: a difference where there is none:\n%s", title, section)
		}
	}
}

func TestReportOfWhatWasNotMeasured(t *testing.T) {
	c := mustParse(t, "../../tuning/experiments/00-baseline.toml", "../../tuning/experiments/01-aggressive-spin.toml")
	if err := writeReport(&strings.Builder{}, c, nil); err == nil || !strings.Contains(err.Error(), "no results") {
		t.Error(err)
	}
	page := reported(t, "../../tuning/experiments/00-baseline.toml")
	if !strings.Contains(page, "Nothing was measured twice") {
		t.Errorf("the noise is not explained:\n%s", page)
	}
	log := filepath.Join(t.TempDir(), "log.jsonl")
	only := mustParse(t, "../../tuning/experiments/00-baseline.toml", "-log", log)
	if code := measureAll(context.Background(), only, invent()); code != 0 {
		t.Fatal(code)
	}
	var text strings.Builder
	if err := writeReport(&text, c, read(t, log)); err != nil {
		t.Fatal(err)
	}
	if section := part(t, text.String(), "Aggressive spin"); !strings.Contains(section, "not measured") || strings.Contains(section, "**") {
		t.Errorf("%s", section)
	}
}

func TestVerdicts(t *testing.T) {
	of := func(median, low, high float64) result.Range {
		return result.Range{Median: median, Min: low, Max: high, Low: low, High: high, Known: true}
	}
	base := of(100, 95, 105)
	noise, known := spread(base, of(101, 97, 110))
	if !known || noise != 0.15 {
		t.Errorf("noise %v", noise)
	}
	for _, c := range []struct {
		ours result.Range
		want string
	}{
		{of(80, 78, 82), "**rate 20 % lower**"},
		{of(120, 118, 130), "**rate 20 % higher**"},
		{of(120, 90, 130), "rate (15 %)"},
		{of(110, 106, 111), "rate higher in every run, but by 10 %, less than the noise of 15 %"},
		{of(110, 104, 111), "rate (15 %)"},
		{of(350, 300, 400), "**rate 250 % higher**"},
		{result.Range{}, "rate not known"},
	} {
		if got := judge(c.ours, base, noise, known).text(figures[0]); got != c.want {
			t.Errorf("%v: %q, want %q", c.ours, got, c.want)
		}
	}
	if _, known := spread(base, result.Range{}); known {
		t.Error("a spread of what is not known")
	}
	if got := judge(base, base, 0, false).text(figures[0]); got != "rate not known" {
		t.Error(got)
	}
	names := []string{}
	for _, f := range figures {
		names = append(names, f.name)
	}
	if !slices.Equal(names, []string{"rate", "p50", "p99", "CPU time"}) {
		t.Error(names)
	}
}
