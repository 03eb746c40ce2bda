// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dx/experiments/internal/command"
	"dx/experiments/internal/proctest"
)

func testConfig(t *testing.T, args ...string) config {
	return proctest.Config(t, parse, append([]string{"-runs", "1", "-duration", "20ms", "-payload", "64", "-threads", "2", "-rate", "", "-idle", "0"}, args...)...)
}

// left are names of ours in shared memory.
func left(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/dev/shm/dx-peers-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// wantMeasured demands calls and times of a peer, perhaps at different distances of the CPUs.
func wantMeasured(t *testing.T, l log, peer string, payload int, rate float64) {
	t.Helper()
	var calls, times uint64
	for _, c := range l.cells {
		if c.Variant == peer && c.PayloadBytes == payload && c.Rate() == rate {
			calls, times = calls+c.Ops, times+c.RTTSamples
			if !c.Verified || c.Wrong() != nil || c.FloorRTTNs == nil || c.BareRTTNs == nil {
				t.Errorf("%+v", c)
			}
		}
	}
	if calls == 0 || times == 0 {
		t.Errorf("%s, %d bytes, %g/s: %d calls, %d times", peer, payload, rate, calls, times)
	}
}

func TestPayloadsAndASchedule(t *testing.T) {
	c := testConfig(t, "-peers", "dx-c,unix-stream", "-payload", "64,4096", "-rate", "1000")
	if code := act(context.Background(), c); code != command.OK {
		t.Fatalf("code %d", code)
	}
	l, _, err := load(c.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.peers {
		wantMeasured(t, l, p.name, 64, 0)
		wantMeasured(t, l, p.name, 4096, 0)
		wantMeasured(t, l, p.name, 64, 1000)
	}
}

func TestPlainPeersAreMeasured(t *testing.T) {
	c := testConfig(t, "-peers", plain, "-payload", "4096", "-idle", "1ms")
	if code := act(context.Background(), c); code != command.OK {
		t.Fatalf("code %d", code)
	}
	l, _, err := load(c.out)
	if err != nil || len(l.out) > 0 {
		t.Fatalf("%v, %v", l.out, err)
	}
	if len(l.idle) != len(c.peers) {
		t.Errorf("%d peers lay idle", len(l.idle))
	}
	for _, p := range c.peers {
		wantMeasured(t, l, p.name, 4096, 0)
	}
	for _, name := range []string{"table.txt", "environment.json", "rate.png", "rate.svg"} {
		if s, err := os.Stat(filepath.Join(c.out, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	page := filepath.Join(t.TempDir(), "peers.md")
	if code := act(context.Background(), testConfig(t, "-from", c.out, "-page", page)); code != command.OK {
		t.Errorf("page: code %d", code)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "(peers-rate.png)") || !strings.Contains(string(text), "unix-seqpacket") {
		t.Errorf("page: %v\n%s", err, text)
	}
	if names := left(t); len(names) > 0 {
		t.Errorf("left in shared memory: %v", names)
	}
}

// scripted is a peer whose both sides are a shell script.
func scripted(name, server, client string) peerKind {
	script := `if [ "$1" = server ]; then ` + server + `; else ` + client + `; fi`
	return peerKind{name: name, language: "sh", group: groupRPC, warmup: warmup, program: &program{folder: "scripted", needs: "nothing",
		make: func(context.Context, making) ([]string, error) { return []string{"sh", "-c", script, "sh"}, nil }}}
}

const serves = `echo ready; cat >/dev/null`

// measured are the peers of a log with a cell.
func measured(l log) (list []string) {
	for _, c := range l.cells {
		if !slices.Contains(list, c.Variant) {
			list = append(list, c.Variant)
		}
	}
	return list
}

func TestWhatCannotBeHadIsSaidAndLeftOut(t *testing.T) {
	c := testConfig(t, "-peers", "pipe,tcp")
	c.peers[1].program = &program{folder: "nowhere", needs: "the package libnothing-dev",
		make: func(context.Context, making) ([]string, error) { return nil, errors.New("cc: nothing.h is missing") }}
	c.peers = append(c.peers, scripted("unable", serves, `echo "a message is too long" >&2; exit 3`))
	if code := act(context.Background(), c); code != command.OK {
		t.Errorf("code %d", code)
	}
	l, _, err := load(c.out)
	if err != nil || !slices.Equal(measured(l), []string{"pipe"}) || len(l.out) != 2 {
		t.Fatalf("%v, %v, %v", measured(l), l.out, err)
	}
	table, err := os.ReadFile(filepath.Join(c.out, tableName))
	for _, want := range []string{"tcp: left out: it needs the package libnothing-dev: cc: nothing.h is missing",
		"unable (2 callers, 64 B): left out: a message is too long", "Missing here: tcp."} {
		if err != nil || !strings.Contains(string(table), want) {
			t.Errorf("%q is not in the table: %v", want, err)
		}
	}
}

func TestAKnownPeerThatCannotBeHadIsNamed(t *testing.T) {
	c := testConfig(t, "-peers", "pipe,styx")
	if code := act(context.Background(), c); code != command.OK {
		t.Errorf("code %d", code)
	}
	l, _, err := load(c.out)
	const want = "styx: left out: it needs the Go module github.com/arloliu/styx: the module proxy did not serve it when this was written; there is no program for it"
	if err != nil || !slices.Equal(measured(l), []string{"pipe"}) || len(l.out) != 1 || l.out[0].String() != want {
		t.Errorf("%v, %v, %v", measured(l), l.out, err)
	}
}

func TestAPeerThatFailsIsNamedAndTheOthersGoOn(t *testing.T) {
	for name, p := range map[string]peerKind{
		"its server ends at once":   scripted("broken", `echo "no such device" >&2; exit 1`, serves),
		"its client ends":           scripted("broken", serves, `echo ready; read order; echo "lost the server" >&2; exit 1`),
		"its report is none":        scripted("broken", serves, `echo ready; read order; echo nonsense; cat >/dev/null`),
		"it reports other callers":  scripted("broken", serves, `echo ready; while read order; do echo '{"calls":[1]}'; done`),
		"it says something instead": scripted("broken", `echo hello`, serves),
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t, "-peers", "pipe", "-runs", "2")
			c.peers = append([]peerKind{p}, c.peers...)
			if code := act(context.Background(), c); code != command.Failed {
				t.Errorf("code %d", code)
			}
			l, _, err := load(c.out)
			if err != nil || !slices.Equal(measured(l), []string{"pipe"}) || len(l.out) != 1 || !l.out[0].Failed {
				t.Errorf("%v, %v, %v", measured(l), l.out, err)
			}
		})
	}
}

func TestWrongAnswersMakeItFail(t *testing.T) {
	c := testConfig(t, "-peers", "pipe")
	c.peers[0] = scripted("liar", serves, `echo ready; while read order; do echo '{"calls":[5,5],"elapsed_ns":1000,"wrong":1,"round_trips":[[100,10]]}'; done`)
	if code := act(context.Background(), c); code != command.Failed {
		t.Errorf("code %d", code)
	}
}

func TestInterruptKeepsResultsAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := proctest.Start(t, proctest.Build(t), `run ([2-9]|\d{2,}) of`, "-peers", "dx-c,unix-stream", "-payload", "64", "-threads", "2", "-rate", "", "-idle", "0",
		"-runs", "1000", "-duration", "600ms", "-out", dir)
	children := proctest.Children(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != command.Interrupted {
		t.Errorf("exit: %v", err)
	}
	for _, child := range children {
		proctest.Gone(t, child)
	}
	if l, _, err := load(dir); err != nil || len(measured(l)) != 2 {
		t.Errorf("kept: %v, %v", measured(l), err)
	}
	if names := left(t); len(names) > 0 {
		t.Errorf("left in shared memory: %v", names)
	}
}

func TestFlagsThatCannotBe(t *testing.T) {
	for _, wrong := range []struct{ args, want string }{
		{"-peers pigeon", `"pigeon" is none of`},
		{"-payload 7", `"7" is no number from 8`},
		{"-payload 64,2000000", `"2000000" is no number`},
		{"-threads 0", `"0" is no number from 1`},
		{"-rate 0", `"0" is no rate`},
		{"-rate 1e9", `"1e9" is no rate`},
		{"-runs 0", "-runs 0"},
		{"-duration 1ns", "-duration 1ns"},
		{"-idle -1s", "-idle -1s"},
		{"-idle-runs 0", "-idle-runs 0"},
		{"-pin yes", `-pin "yes"`},
		{"-page x.md", "-page needs"},
		{"-from x -vm y", "-vm is for a -page"},
		{"stray", `argument "stray"`},
	} {
		_, err := parse(strings.Fields(wrong.args), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: error %v does not say %q", wrong.args, err, wrong.want)
		}
	}
}

func TestEachRunHasEveryPeerOnceInAnotherOrder(t *testing.T) {
	m := measuring{peers: all}
	var orders []string
	for run := 1; run <= 3; run++ {
		var names []string
		for _, p := range m.turn(run) {
			names = append(names, p.name)
		}
		orders = append(orders, strings.Join(names, " "))
		slices.Sort(names)
		if len(slices.Compact(names)) != len(all) {
			t.Errorf("run %d: %v", run, names)
		}
	}
	if orders[0] == orders[1] || orders[1] == orders[2] {
		t.Errorf("%v", orders)
	}
}
