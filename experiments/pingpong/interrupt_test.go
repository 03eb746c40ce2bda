// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/result"
)

// build makes the program once for the tests that need it as a process.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pingpong")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// start runs the program and returns when it says on standard error what is
// awaited.
func start(t *testing.T, program, awaited string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), awaited) {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return cmd
		}
	}
	t.Fatalf("it ended without saying %q", awaited)
	return nil
}

// guestOf returns a descriptor for the program's guest process, of which there
// is a new one for every run.
func guestOf(t *testing.T, pid int) (pidfd int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			for _, child := range strings.Fields(string(text)) {
				guest, err := strconv.Atoi(child)
				if err != nil {
					t.Fatal(err)
				}
				if fd, err := unix.PidfdOpen(guest, 0); err == nil {
					t.Cleanup(func() { _ = unix.Close(fd) })
					return fd
				}
			}
		}
	}
	t.Fatal("no guest process")
	return -1
}

// gone waits until the process has ended.
func gone(t *testing.T, pidfd int) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 10000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("the guest is still there: %v", err)
		}
		return
	}
}

func shared(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/dev/shm/dx-pingpong-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestInterruptKeepsResultsAndLeavesNothing(t *testing.T) {
	program, dir := build(t), t.TempDir()
	cmd := start(t, program, "run 2 of", "-threads", "2", "-runs", "1000", "-duration", "600ms",
		"-transport", "shm", "-out", dir)
	guest := guestOf(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("exit: %v", err)
	}
	gone(t, guest)
	if left := shared(t); len(left) != 0 {
		t.Errorf("left in shared memory: %v", left)
	}
	cells, torn, err := result.Read(filepath.Join(dir, result.FileName))
	if err != nil || torn || len(cells) == 0 || cells[0].Ops == 0 {
		t.Errorf("kept: %d cells, torn %v, %v", len(cells), torn, err)
	}
	for _, name := range []string{"ops.png", "ops.svg", "table.txt", "environment.json"} {
		if s, err := os.Stat(filepath.Join(dir, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKilledParentTakesTheGuestWithIt(t *testing.T) {
	cmd := start(t, build(t), "run 2 of", "-threads", "1", "-runs", "1000", "-duration", "600ms",
		"-out", t.TempDir())
	guest := guestOf(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, guest)
}

func TestUnwritableOutIsSaidBeforeAnythingIsMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t), "-threads", "1", "-out", file+"/results")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), file) {
		t.Errorf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file became %q, %v", text, err)
	}
}
