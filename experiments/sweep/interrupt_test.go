// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dx/experiments/internal/command"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// The whole program, with real guests: Ctrl-C, kill -9, and then the rest.
func TestProgramGoesOnAfterInterruptAndKill(t *testing.T) {
	program, dir := proctest.Build(t), t.TempDir()
	file, log := filepath.Join(dir, "grid.toml"), filepath.Join(dir, "log.jsonl")
	text := "repeats = 2\nspin_max = [10, 1000]\nverify = true\nduration = \"20ms\"\nrate = [0, 1000]\nhistograms = true"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{file, "-log", log}
	cmd := proctest.Start(t, program, `\(0 of 8\)`, args...)
	_ = cmd.Process.Signal(os.Interrupt)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != command.Interrupted {
		t.Errorf("exit: %v", err)
	}
	cmd = proctest.Start(t, program, `\(0 of`, args...)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for range 5 { // a busy machine fails a run now and then, which is made again
		if err := exec.Command(program, args...).Run(); err == nil {
			break
		}
	}
	wantComplete(t, log, 8)
	cells, _, err := result.Read(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range cells {
		if cell.Ops == 0 || !cell.Verified || cell.Env == nil || cell.RTTHistogram == "" || cell.Experiment != "grid" {
			t.Errorf("%+v", cell)
		}
	}
}
