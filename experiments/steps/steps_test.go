// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// TestMain lets the test program be the guest that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func TestEveryStepAndCallIsMeasured(t *testing.T) {
	c := proctest.Config(t, parse, "-runs", "1", "-duration", "5ms")
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		t.Fatal(err)
	}
	kept, err := measureAll(t.Context(), c)
	if runtime.NumCPU() < 2 {
		if err == nil || !strings.Contains(err.Error(), "needs two") {
			t.Errorf("with one CPU: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range rows() {
		found := false
		for _, s := range kept.Samples {
			found = found || s.What == what && s.RTTNs > 0 && s.Distance != ""
		}
		if !found {
			t.Errorf("no sample of %q", what)
		}
	}
	if err := report(t.Output(), c, kept); err != nil {
		t.Fatal(err)
	}
	var read log
	text, err := os.ReadFile(filepath.Join(c.out, "steps.json"))
	if err != nil || json.Unmarshal(text, &read) != nil || len(read.Samples) != len(kept.Samples) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestTheTableTellsDistancesApart(t *testing.T) {
	var text strings.Builder
	words, bytes := rows()[0], rows()[1]
	all := []sample{{1, words, result.Near, 70, 99}, {1, bytes, result.Near, 80, 101}, {2, bytes, result.Near, 90, 100},
		{1, callInC, result.Near, 120, 100}, {1, words, result.Far, 400, 410}, {1, callInC, result.Moved, 1, 300}}
	if err := table(&text, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"near CPUs; a line: 100 ns [99-101]", "far CPUs; a line: 410 ns", "85.0", "+15.0", "+35.0", "1 of 6 samples"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range []string{"-runs 0", "-duration 1us", "here"} {
		if _, err := parse(strings.Fields(args), &strings.Builder{}); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
