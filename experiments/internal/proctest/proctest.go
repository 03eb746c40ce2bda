// SPDX-License-Identifier: Apache-2.0

// Package proctest runs an experiment as the process that people run, for tests of what it leaves
// behind.
package proctest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Build makes the program of the test's own folder.
func Build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// Config is what an experiment's parse makes of flags; its results go to a folder of the test.
func Config[C any](t *testing.T, parse func([]string, io.Writer) (C, error), args ...string) C {
	t.Helper()
	c, err := parse(append([]string{"-out", t.TempDir()}, args...), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Start runs a program and returns when it says on standard error what is awaited, a regular
// expression. Lines of progress are some time apart, so that not every step is said.
func Start(t *testing.T, program, awaited string, args ...string) *exec.Cmd {
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
	lines, text := bufio.NewScanner(said), regexp.MustCompile(awaited)
	for lines.Scan() {
		if text.MatchString(lines.Text()) {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return cmd
		}
	}
	t.Fatalf("it ended without saying %q", awaited)
	return nil
}

// Children returns a descriptor for each process that a process has started and that is still
// there. It is empty for a moment while one is replaced by the next.
func Children(t *testing.T, pid int) (pidfds []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			if fd, err := unix.PidfdOpen(child, 0); err == nil {
				t.Cleanup(func() { _ = unix.Close(fd) })
				pidfds = append(pidfds, fd)
			}
		}
	}
	return pidfds
}

// Gone waits until a process has ended.
func Gone(t *testing.T, pidfd int) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("a child is still there: %v", err)
		}
		return
	}
}
