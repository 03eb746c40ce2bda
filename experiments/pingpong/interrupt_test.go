// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

// guestOf returns a descriptor for the program's guest process, of which there
// is a new one for every run.
func guestOf(t *testing.T, pid int) (pidfd int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if children := proctest.Children(t, pid); len(children) > 0 {
			return children[0]
		}
	}
	t.Fatal("no guest process")
	return -1
}

// secondRun is the second run, or one after it if that was over too soon to be said.
const secondRun = `run ([2-9]|\d{2,}) of`

func shared(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/dev/shm/dx-exchange-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestInterruptKeepsResultsAndLeavesNothing(t *testing.T) {
	program, dir := proctest.Build(t), t.TempDir()
	cmd := proctest.Start(t, program, secondRun, "-threads", "2", "-runs", "1000", "-duration", "600ms",
		"-transport", "shm", "-out", dir)
	guest := guestOf(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != command.Interrupted {
		t.Errorf("exit: %v", err)
	}
	proctest.Gone(t, guest)
	if left := shared(t); len(left) != 0 {
		t.Errorf("left in shared memory: %v", left)
	}
	cells, torn, err := result.Read(filepath.Join(dir, result.FileName))
	// A run has a cell for each distance that it met; on a starved machine there may be no call in one.
	calls := uint64(0)
	for _, cell := range cells {
		calls += cell.Ops
	}
	if err != nil || torn || calls == 0 {
		t.Errorf("kept: %d cells with %d calls, torn %v, %v", len(cells), calls, torn, err)
	}
	for _, name := range []string{"ops.png", "ops.svg", "table.txt", "environment.json"} {
		if s, err := os.Stat(filepath.Join(dir, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKilledParentTakesTheGuestWithIt(t *testing.T) {
	cmd := proctest.Start(t, proctest.Build(t), secondRun, "-threads", "1", "-runs", "1000", "-duration", "600ms",
		"-out", t.TempDir())
	guest := guestOf(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	proctest.Gone(t, guest)
}

func TestUnwritableOutIsSaidBeforeAnythingIsMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(proctest.Build(t), "-threads", "1", "-out", file+"/results")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != command.Usage || !strings.Contains(string(out), file) {
		t.Errorf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file became %q, %v", text, err)
	}
}
