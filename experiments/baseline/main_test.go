// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryFigureIsMeasuredAndKept(t *testing.T) {
	o, err := parse([]string{"-runs", "2", "-duration", "1ms", "-out", t.TempDir()}, io.Discard)
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
	var kept struct{ Figures []figure }
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
	if !strings.Contains(out.String(), "round_trip") {
		t.Errorf("table: %s", out.String())
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"-cpus 0": "-cpus", "-runs 0": "-runs 0", "-duration 1ns": "-duration 1ns", "more": "more",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
