// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/frames/madeup"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// TestMain draws coarsely: what the pictures look like is the matter of package
// chart.
func TestMain(m *testing.M) {
	chart.DPI = 30
	os.Exit(m.Run())
}

// made is a made-up run of a sweep.
func made(t *testing.T, name string, threads, run int, rate float64, spin, yield int) result.Cell {
	t.Helper()
	l := stat.NewLatency()
	for i := range int64(20_000) {
		l.Record(300 + i%100 + int64(threads*spin)*(i%1000/999))
	}
	c := result.Cell{Experiment: name, Threads: threads, Run: run, PayloadBytes: 64, Host: "go", Guest: "go", Path: "native",
		Time: time.Unix(int64(run), 0), Transport: "memfd", Ops: uint64(2e6 - float64(spin*yield) + float64(run)), ElapsedNs: 1e9,
		CPUSPerMop: new(1 + float64(yield)/100), FloorRTTNs: new(250.0), BareRTTNs: new(300.0),
		Waits:   result.Waits{Host: &result.WaitCounts{Spin: 90, Yield: 7, Park: 3}, Guest: &result.WaitCounts{Spin: 1}},
		Wait:    map[string]any{"spin_start": spin, "yield_every": yield, "relax": "pause"},
		Variant: fmt.Sprintf("spin_start %d, yield_every %d", spin, yield), CellKey: fmt.Sprint(name, threads, rate, spin, yield),
		Env: &env.Environment{CPUModel: "Made-up CPU", LogicalCPUs: 2, UsableCPUs: 2, Kernel: "6.1", Hypervisor: "none", GitCommit: "0123456789abcdef", GitDirty: "no"},
	}
	if rate > 0 {
		c.RatePerS = &rate
		c.SetIntended(l, l)
	}
	c.Derive()
	c.SetLatency(l)
	return c
}

// plane is a file with two parameters, two numbers of callers and two loads.
func plane(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".jsonl")
	w, err := result.OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	for run := range 2 {
		for _, threads := range []int{1, 8} {
			for _, spin := range []int{100, 1000} {
				for _, yield := range []int{1, 10} {
					for _, rate := range []float64{0, 5000} {
						if err := w.Write(made(t, name, threads, run+1, rate, spin, yield)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
	}
	return path
}

// draw runs the program's parts and returns what it said.
func draw(t *testing.T, args ...string) (string, int) {
	t.Helper()
	c, err := parse(args, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := load(c, c.names)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	d := drawing{config: c, data: data, say: &said}
	d.all()
	return said.String(), len(d.drawn)
}

// texts returns the picture's texts, and checks that both formats are there.
func texts(t *testing.T, base string) string {
	t.Helper()
	file, err := os.Open(base + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := png.Decode(file); err != nil {
		t.Errorf("%s: %v", base, err)
	}
	svg, err := os.ReadFile(base + ".svg")
	if err != nil {
		t.Fatal(err)
	}
	return string(svg)
}

func TestEveryChartIsDrawnWithItsAxesMachineAndCommit(t *testing.T) {
	dir := t.TempDir()
	said, drawn := draw(t, plane(t, dir, "plane"), "-out", dir, "-where", "spin_start=100|1000")
	if drawn != 1+2+4+8+4 || strings.Contains(said, "left out: chart") {
		t.Errorf("%d charts:\n%s", drawn, said)
	}
	for name, want := range map[string][]string{
		"ops":                                {"million round trips per second", "callers", "spin_start 1000, yield_every 10", "bare cache line", "bare loop, 64 B"},
		"percentiles-8-callers-64-b":         {"percentile of the calls", "time of a call", "closed loop", "5000 calls/s, from the intended start", "from the real start"},
		"pareto-8-callers-64-b":              {"CPU seconds", "p99 of a call", "million/s", "8 callers"},
		"waits-spin_start-100-yield_every-1": {"callers: waits of the callers", "share of the waits"},
		"heat-plane-1-caller-64-b-ops":       {"spin_start, looks", "yield_every, looks", "million round trips per second", "1 caller"},
		"heat-plane-8-callers-64-b-open-loop-at-5000-calls-s-p99": {"p99 of a call", "open loop at 5000 calls/s"},
	} {
		svg := texts(t, filepath.Join(dir, name))
		for _, text := range append(want, "Made-up CPU, 2 CPUs, kernel 6.1, commit 0123456789ab") {
			if !strings.Contains(svg, text) {
				t.Errorf("%s: no %q", name, text)
			}
		}
	}
}

func TestSeveralFilesAreOverlaid(t *testing.T) {
	dir := t.TempDir()
	earlier := filepath.Join(dir, "earlier-run")
	if err := os.Mkdir(earlier, 0o755); err != nil {
		t.Fatal(err)
	}
	// As pingpong leaves it: without what only a sweep knows.
	c := made(t, "pingpong", 4, 1, 0, 1, 1)
	c.Variant, c.CellKey, c.Env = "", "", nil
	w, err := result.OpenWriter(earlier)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(c); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	text, err := json.Marshal(env.Environment{CPUModel: "Older CPU", Kernel: "5.0", LogicalCPUs: 4, UsableCPUs: 4})
	if err == nil {
		err = os.WriteFile(filepath.Join(earlier, "environment.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, drawn := draw(t, plane(t, dir, "plane"), "-charts", "ops", filepath.Join(earlier, result.FileName), "-out", dir); drawn != 1 {
		t.Fatalf("%d charts", drawn)
	}
	svg := texts(t, filepath.Join(dir, "ops"))
	for _, want := range []string{"earlier-run: pingpong", "plane: plane, spin_start 100", "earlier-run: Older CPU", "plane: Made-up CPU", "earlier-run: bare cache line"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestConditionsChooseResults(t *testing.T) {
	dir := t.TempDir()
	path := plane(t, dir, "plane")
	c, err := parse([]string{path, "-where", "threads=8,rate=0,spin_start=100|7,yield_every=1|10,relax=pause"}, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := load(c, c.names)
	if err != nil || len(data.sets[0].cells) != 4 {
		t.Errorf("%d results, %v", len(data.sets[0].cells), err)
	}
	c.where[0].name = "colour"
	if _, err := load(c, c.names); err == nil || !strings.Contains(err.Error(), `no parameter "colour"`) {
		t.Error(err)
	}
}

// A field of the map that two results claim would show one of them at random.
func TestHeatMapsWantOneResultForEachField(t *testing.T) {
	dir := t.TempDir()
	said, drawn := draw(t, plane(t, dir, "plane"), "-out", dir, "-charts", "heat", "-x", "threads", "-y", "yield_every")
	if drawn != 0 || !strings.Contains(said, "more than one result at threads 1, yield_every 1") {
		t.Errorf("%d charts: %s", drawn, said)
	}
	said, drawn = draw(t, filepath.Join(dir, "plane.jsonl"), "-out", dir, "-charts", "heat", "-x", "threads", "-y", "yield_every",
		"-where", "spin_start=100", "-value", "cpu")
	if drawn != 2 {
		t.Errorf("%d charts: %s", drawn, said)
	}
}

func TestOlderCommitsOfACellAreLeftOut(t *testing.T) {
	old, fresh, other := made(t, "a", 1, 1, 0, 1, 1), made(t, "a", 1, 2, 0, 1, 1), made(t, "b", 1, 1, 0, 1, 1)
	fresh.Env = &env.Environment{GitCommit: "feed"}
	kept, left := result.Newest([]result.Cell{old, fresh, other})
	if left != 1 || len(kept) != 2 || kept[0].Run != 2 || kept[1].Experiment != "b" {
		t.Errorf("%d left out of %+v", left, kept)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"":                  "no file or folder given",
		"a.jsonl -charts x": `"x" is none of: ops`,
		"a.jsonl -value x":  `"x" is none of: ops`,
		"a.jsonl -x x":      "belong together",
		"a.jsonl -where x":  `"x" is not NAME=VALUE`,
	} {
		if _, err := parse(strings.Fields(args), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not say %q", args, err, want)
		}
	}
}

func TestExitCodesTellWhatHappenedToFrames(t *testing.T) {
	ctx := context.Background()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	good, failed, empty, damaged := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	one := madeup.Few
	one.Frames = 2
	bad := one
	bad.Failed = 1
	if madeup.Write(good, one) != nil || madeup.Write(failed, bad) != nil ||
		os.WriteFile(filepath.Join(empty, "result.jsonl"), nil, 0o644) != nil ||
		os.WriteFile(filepath.Join(damaged, "result.jsonl"), []byte("{}\n{\"x\n{}\n"), 0o644) != nil {
		t.Fatal("cannot make results up")
	}
	for _, c := range []struct {
		name   string
		ctx    context.Context
		dir    string
		code   int
		stderr string
	}{
		{"good", ctx, good, command.OK, ""},
		{"failed frames", ctx, failed, command.Failed, "some frames had failed"},
		{"empty file", ctx, empty, command.Usage, "nothing was measured"},
		{"damaged file", ctx, damaged, command.Usage, "result.jsonl:1: no experiment"},
		{"no file", ctx, t.TempDir(), command.Usage, "name a folder that an experiment wrote"},
		{"interrupted", cancelled, good, command.Interrupted, "interrupted"},
	} {
		var stdout, stderr bytes.Buffer
		code := act(c.ctx, config{names: []string{c.dir}, out: t.TempDir()}, &stdout, &stderr)
		if code != c.code || !strings.Contains(stderr.String(), c.stderr) || (stderr.Len() == 0) != (c.stderr == "") {
			t.Errorf("%s: code %d, %q", c.name, code, stderr.String())
		}
		if (c.code <= command.Failed) != strings.Contains(stdout.String(), "report.html") {
			t.Errorf("%s: %q", c.name, stdout.String())
		}
	}
}

func TestFlagsMayStandBehindTheFolderAndErrorsAreNamed(t *testing.T) {
	c, err := parse([]string{"a", "-out", "elsewhere", "b"}, os.Stderr)
	if err != nil || strings.Join(c.names, " ") != "a b" || c.out != "elsewhere" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := parse([]string{"a", "-nonsense"}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "not defined") {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := madeup.Write(dir, madeup.Few); err != nil {
		t.Fatal(err)
	}
	for want, names := range map[string][]string{"one folder of frames at a time": {dir, dir}, "no such file": {dir + "/none"}} {
		var stderr bytes.Buffer
		if code := act(context.Background(), config{names: names, out: "elsewhere"}, &stderr, &stderr); code != command.Usage || !strings.Contains(stderr.String(), want) {
			t.Errorf("%v: %d, %s", names, code, stderr.String())
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, &help); err == nil || !strings.Contains(help.String(), "go run ./experiments/plot out/frames") {
		t.Errorf("%v: %s", err, help.String())
	}
}

// The folder of frames has its report in itself, and the calls theirs beside their charts.
func TestCallsAndFramesAreDrawnAtOnce(t *testing.T) {
	frames, calls := t.TempDir(), t.TempDir()
	t.Chdir(calls)
	one := madeup.Few
	one.Frames = 2
	if err := madeup.Write(frames, one); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := config{names: []string{plane(t, calls, "plane"), filepath.Join(frames, "result.jsonl")}, charts: []string{"ops"}}
	if code := act(context.Background(), c, &out, &out); code != command.OK {
		t.Fatalf("%d: %s", code, out.String())
	}
	for name, wants := range map[string][]string{
		"out/charts/performance_report.txt": {"Calls through shared memory", "Figures of plane", "spin_start 1000, yield_every 10", "pacing", "M/s million round trips a second", "ops.svg"},
		"out/charts/report.html":            {"Made-up CPU", "data:image/"},
		frames + "/performance_report.txt":  {"Frames through shared memory"},
	} {
		text, err := os.ReadFile(name)
		for _, want := range wants {
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("%s: %v, no %q", name, err, want)
			}
		}
	}
}
