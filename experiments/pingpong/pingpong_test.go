// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"dx/go/dx"
)

// TestMain lets the test program be the guest that it starts.
func TestMain(m *testing.M) {
	if isGuest() {
		os.Exit(guestMain())
	}
	os.Exit(m.Run())
}

func testConfig(t *testing.T, args ...string) config {
	t.Helper()
	c, err := parse(append([]string{"-duration", "20ms", "-runs", "1", "-out", t.TempDir()}, args...), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryPairOfLanguagesExchangesVerifiedCalls(t *testing.T) {
	for _, transport := range []string{"memfd", "shm", "file", "unix"} {
		for _, pair := range [][]string{
			{"-host", "c", "-guest", "c"},
			{"-host", "c", "-guest", "go"},
			{"-host", "go", "-guest", "c"},
			{"-host", "go", "-guest", "go"},
			{"-host", "go", "-guest", "go", "-path", "cgo"},
			{"-host", "c", "-guest", "go", "-path", "cgo"},
		} {
			t.Run(transport+" "+strings.Join(pair, " "), func(t *testing.T) {
				c := testConfig(t, append(pair, "-verify", "-transport", transport, "-payload", "61")...)
				cell, err := runCell(context.Background(), c, 3)
				if err != nil {
					t.Fatal(err)
				}
				if cell.Errors != 0 || cell.VerifyFailures != 0 || !cell.Verified || cell.Ops == 0 ||
					cell.FloorRTTNs == nil || cell.BareRTTNs == nil || cell.RTTSamples == 0 {
					t.Errorf("%+v", cell)
				}
			})
		}
	}
}

func TestEveryWaitStrategyExchangesVerifiedCalls(t *testing.T) {
	for _, wait := range [][]string{
		{"-wait", "latency"}, {"-wait", "balanced"}, {"-wait", "throughput"}, {"-wait", "low-power"},
		{"-park", "sem"}, {"-park", "poll"}, {"-park", "never"},
		{"-spin-max", "0"}, {"-spin-max", "0", "-park", "sem"},
		{"-relax", "none"}, {"-adapt", "cost"}, {"-adapt", "off", "-yield-every", "0"},
	} {
		for _, side := range []string{"go", "c"} {
			t.Run(side+strings.Join(wait, " "), func(t *testing.T) {
				c := testConfig(t, append(wait, "-verify", "-host", side, "-guest", side)...)
				cell, err := runCell(context.Background(), c, 2)
				if err != nil {
					t.Fatal(err)
				}
				if cell.Errors != 0 || cell.VerifyFailures != 0 || cell.Ops == 0 {
					t.Errorf("%+v", cell)
				}
			})
		}
	}
}

// A guest that says how long its answer is but never writes it must be found.
func TestVerificationFindsAnAnswerThatWasNeverCopied(t *testing.T) {
	c := testConfig(t, "-verify")
	host, err := openHost(c, 2)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := dx.Attach(context.Background(), fmt.Sprintf("memfd:%d", host.fd()), dx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- guest.Serve(context.Background(), dx.HandlerFunc(
			func(q *dx.Request, _ []byte) (int, int32) { return len(q.Data), 0 }))
	}()
	if err := host.open(c.payload, true); err != nil {
		t.Fatal(err)
	}
	s, err := host.slice(10*time.Millisecond, false)
	if err != nil {
		t.Fatal(err)
	}
	calls := s.calls[0] + s.calls[1]
	if calls == 0 || s.verifyFailures != calls {
		t.Errorf("%d calls, %d found wrong", calls, s.verifyFailures)
	}
	if err := host.close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, dx.ErrPeerClosed) {
		t.Error(err)
	}
	_ = guest.Close()
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for _, wrong := range []struct{ args, want string }{
		{"-threads 0", `"0" is no number of callers`},
		{"-threads 1,x", `"x" is no number of callers`},
		{"-threads 5000", "1 to 4096"},
		{"-payload -1", "-payload -1"},
		{"-payload 99999999", "-payload 99999999"},
		{"-verify -payload 4", "at least 8 bytes"},
		{"-duration 1ns", "-duration 1ns"},
		{"-runs 0", "-runs 0"},
		{"-host rust", `-host "rust" is none of: go, c`},
		{"-guest rust", `-guest "rust"`},
		{"-path fast", `-path "fast"`},
		{"-path cgo -host c -guest c", "both sides are C"},
		{"-transport tcp", `-transport "tcp"`},
		{"-pin yes", `-pin "yes"`},
		{"-procs -1", "-procs -1"},
		{"-wait nosuch", "balanced"},
		{"-spin-max x", `-spin-max: "x" is no number`},
		{"-spin-max 2000000000", "spin_max is 2000000000"},
		{"-spin-min 9 -spin-start 8", "spin_start is 8"},
		{"-park sofa", "never, futex, sem, poll"},
		{"-poll 5", `"5" is no duration`},
		{"-poll 1ns", "poll_ns is 1"},
		{"extra", `argument "extra"`},
	} {
		_, err := parse(strings.Fields(wrong.args), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: error %v does not say %q", wrong.args, err, wrong.want)
		}
	}
}

func TestSingleWaitFlagsChangeTheStrategy(t *testing.T) {
	c := testConfig(t, "-wait", "latency", "-park", "sem", "-spin-max", "10", "-poll", "1ms")
	if c.wait.Park != dx.ParkSem || c.wait.SpinMax != 10 || c.wait.SpinStart != 10 ||
		c.wait.PollNs != 1e6 || c.wait.YieldEvery != 64 {
		t.Errorf("%+v", c.wait)
	}
}
