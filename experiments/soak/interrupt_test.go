// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/command"
	"dx/experiments/internal/proctest"
)

// childrenOf returns the four processes of a soak: two at work, two that stand by.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if children := proctest.Children(t, pid); len(children) == 4 {
			return children
		}
	}
	t.Fatal("never four processes")
	return nil
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func TestInterruptKeepsTheReportAndLeavesNothing(t *testing.T) {
	program, before := proctest.Build(t), leftovers(t)
	for _, transport := range []string{"shm", "unix"} {
		dir := t.TempDir()
		cmd := proctest.Start(t, program, " kills, ", "-transport", transport, "-faults", "20", "-out", dir)
		children := childrenOf(t, cmd.Process.Pid)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(cmd.Wait()); code != command.Interrupted {
			t.Errorf("exit code %d", code)
		}
		for _, child := range children {
			proctest.Gone(t, child)
		}
		text, err := os.ReadFile(filepath.Join(dir, "report.json"))
		var r report
		if err != nil || json.Unmarshal(text, &r) != nil || r.Verdict != "interrupted" || r.Calls.Verified == 0 {
			t.Errorf("%v: %s", err, text)
		}
		if after := leftovers(t); !slices.Equal(before, after) {
			t.Errorf("before: %v, after: %v", before, after)
		}
	}
}

func TestProcessThatEndsByItselfIsFound(t *testing.T) {
	dir := t.TempDir()
	cmd := proctest.Start(t, proctest.Build(t), " kills, ", "-faults", "0", "-duration", "20s", "-out", dir)
	for _, child := range childrenOf(t, cmd.Process.Pid) {
		if err := unix.PidfdSendSignal(child, unix.SIGKILL, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if code := exitCode(cmd.Wait()); code != command.Failed {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.txt"))
	if err != nil || !strings.Contains(string(text), "ended by itself: signal: killed") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestUnwritableOutIsSaidAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(proctest.Build(t), "-out", file+"/results").CombinedOutput()
	if exitCode(err) != command.Usage || !strings.Contains(string(out), file) {
		t.Errorf("%v: %s", err, out)
	}
}
