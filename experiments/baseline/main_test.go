// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/membw"
)

func TestEveryFigureIsMeasuredAndKept(t *testing.T) {
	o, err := parse([]string{"-runs", "2", "-duration", "1ms", "-buffer-max", "8388608", "-out", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(context.Background(), o, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.out, "baseline.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Figures []figure
		Levels  membw.Baseline
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept.Figures) != len(figures(o)) {
		t.Errorf("%d figures", len(kept.Figures))
	}
	for _, f := range kept.Figures {
		if len(f.Runs) != 2 || f.Runs[0] <= 0 || f.Runs[1] <= 0 {
			t.Errorf("%+v", f)
		}
	}
	for _, f := range kept.Levels {
		if len(f.Runs) != 2 || !(f.Median() > 0) {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []string{"round_trip", membw.Memory} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s: %s", want, out.String())
		}
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"-cpus 0": "-cpus", "-runs 0": "-runs 0", "-duration 1ns": "-duration 1ns", "-buffer-max -1": "-buffer-max", "more": "more",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestInterruptedMeasurementLeavesNoResult(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o := options{cpuA: 0, cpuB: 1, runs: 1, duration: 1, out: t.TempDir()}
	if err := run(ctx, o, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if files, _ := os.ReadDir(o.out); len(files) > 0 {
		t.Errorf("%v", files)
	}
}
