// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const closedVariable = "DX_TEST_CLOSED_STDIO"

// A program that has closed its standard input gets no descriptor of ours as 0: a child, because
// that of the test is not ours to close.
func TestClosedInputIsNeverTakenByAChannel(t *testing.T) {
	if os.Getenv(closedVariable) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), closedVariable+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("with standard input closed: %v\n%s", err, out)
		}
		return
	}
	// The runtime opens its own poller once, before the number is free.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(r.Close(), w.Close()) }()
	if err := os.Stdin.Close(); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if _, err := unix.FcntlInt(0, unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			link, _ := os.Readlink("/proc/self/fd/0")
			t.Errorf("after %s descriptor 0 is %q (%v)", when, link, err)
		}
	}
	config := Config{Slots: 1, RequestBytes: 64, ResponseBytes: 64}
	for _, park := range []string{"futex", "sem", "doorbell"} {
		wait := sleeper(t, park)
		config.Wait = &wait
		host, _ := meet(t, config, echo)
		check("attaching")
		callWell(t, newCallerOf(t, host), 20)
		check("calls that park by " + park)
	}
}
