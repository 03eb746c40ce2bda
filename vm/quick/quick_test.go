// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"dx/vm/machine"
)

// TestMain lets the test program be the guest's init, and what it runs.
func TestMain(m *testing.M) {
	Init()
	switch os.Getenv("DX_QUICK_TEST") {
	case "":
		os.Exit(m.Run())
	case "hello":
		fmt.Println("hello")
		fmt.Fprintln(os.Stderr, "trouble")
		os.Exit(3)
	case "cpus":
		fmt.Print(runtime.NumCPU())
		os.Exit(0)
	case "wait":
		fmt.Println("waiting")
		for {
			_ = syscall.Pause() // what blocks without a system call, Go takes for a deadlock
		}
	}
}

// bootTime is generous: other tests may use the CPUs.
const bootTime = time.Hour

func boots(t *testing.T, c Config) *Guest {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	c.Accel = machine.TCG
	g, err := Boot(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Kill)
	return g
}

func TestGuestRunsCommandsAndPowersOff(t *testing.T) {
	g := boots(t, Config{})
	t.Logf("booted in %v", g.BootTime)
	for range 2 {
		var out, errs bytes.Buffer
		c, err := g.Start([]string{Self}, []string{"DX_QUICK_TEST=hello"}, &out, &errs)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil || err.Error() != "exit status 3" {
			t.Error(err)
		}
		if out.String() != "hello\n" || errs.String() != "trouble\n" {
			t.Errorf("it said %q and %q", &out, &errs)
		}
	}
	var cpus bytes.Buffer
	c, err := g.Start([]string{Self}, []string{"DX_QUICK_TEST=cpus"}, &cpus, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil || cpus.String() != "2" {
		t.Errorf("the guest has %s CPUs, %v", &cpus, err)
	}
	c, err = g.Start([]string{"/nothing"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	if err := g.PowerOff(ctx); err != nil {
		t.Error(err)
	}
}

func TestKilledGuestEndsItsCommands(t *testing.T) {
	g := boots(t, Config{})
	said := make(chan string, 1)
	run := func() *Command {
		c, err := g.Start([]string{Self}, []string{"DX_QUICK_TEST=wait"},
			pipe(func(p []byte) { said <- string(p) }), nil)
		if err != nil {
			t.Fatal(err)
		}
		<-said
		return c
	}
	signalled := run()
	if err := signalled.Signal(syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	if err := signalled.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := signalled.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Error(err)
	}
	left := run()
	g.Kill()
	if err := left.Wait(); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	if _, err := g.Start([]string{Self}, nil, nil, nil); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}
