// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// runsIn is how often each run of each cell is in a log.
func runsIn(t *testing.T, log string) map[string]int {
	t.Helper()
	cells, torn, err := result.Read(log)
	if err != nil || torn {
		t.Fatalf("%s: torn %v, %v", log, torn, err)
	}
	runs := map[string]int{}
	for _, cell := range cells {
		if cell.Ops == 0 {
			t.Errorf("%s: a run without calls: %s", log, cell.Variant)
		}
		runs[fmt.Sprintf("%s, %d callers, key %s, run %d", cell.Variant, cell.Threads, cell.CellKey, cell.Run)]++
	}
	return runs
}

// TestGNUParallelRunsTheSharesOfASweep is the example of -h, but for the other
// machines: a real scheduler starts real shares, and what they measured is together
// what one process measures alone.
func TestGNUParallelRunsTheSharesOfASweep(t *testing.T) {
	if _, err := exec.LookPath("parallel"); err != nil {
		t.Fatal("GNU parallel is missing: the Debian package is called parallel, and ./run check installs it")
	}
	program, dir := proctest.Build(t), t.TempDir()
	file := filepath.Join(dir, "grid.toml")
	text := "repeats = 2\nspin_max = [10, 100, 1000]\nthreads = [1, 2]\nduration = \"20ms\""
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "PARALLEL_HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	shard := filepath.Join(dir, "shard-{}.jsonl")
	run("parallel", "--will-cite", "-j1", "--halt", "soon,fail=1",
		program, "-shard", "{}/4", "-log", shard, file, ":::", "1", "2", "3", "4")
	shards, err := filepath.Glob(filepath.Join(dir, "shard-*.jsonl"))
	if err != nil || len(shards) != 4 {
		t.Fatalf("%d logs: %v", len(shards), err)
	}
	merged, whole := filepath.Join(dir, "all.jsonl"), filepath.Join(dir, "whole.jsonl")
	run(program, append([]string{"-merge", "-log", merged}, shards...)...)
	run(program, "-log", whole, file)

	together, alone := runsIn(t, merged), runsIn(t, whole)
	if len(alone) != 12 || !maps.Equal(together, alone) {
		t.Errorf("merged: %q\nalone: %q", slices.Sorted(maps.Keys(together)), slices.Sorted(maps.Keys(alone)))
	}
	for _, one := range shards {
		if n := len(runsIn(t, one)); n == 0 || n == 12 {
			t.Errorf("%s has %d of 12 runs: no share", filepath.Base(one), n)
		}
	}
}
