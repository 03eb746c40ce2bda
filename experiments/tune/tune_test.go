// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// TestMain lets the test program be the guest that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"-goal speed":                               `-goal "speed"`,
		"-weights latency=1":                        "-weights is for -goal mix",
		"-goal mix -weights latency=0":              "nothing counts",
		"-goal mix -weights latency=1,latency=2":    "each once",
		"-goal mix -weights speed=1":                `"speed=1"`,
		"-goal mix -weights cost=-1":                `"cost=-1"`,
		"-goal mix -weights cost=NaN":               `"cost=NaN"`,
		"-threads 0":                                `"0" is no number`,
		"-threads 1,,2":                             `"" is no number`,
		"-threads 2,2":                              `"2" is no number`,
		"-budget 3s -threads 1,2":                   "-budget 3s: 6s to 24h",
		"-budget soon":                              "-budget",
		"-host java":                                `-host "java"`,
		"-payload -1":                               "-payload -1",
		"-transport pigeon":                         `-transport "pigeon"`,
		"here":                                      `"here"`,
		"-unknown":                                  "-unknown",
		"-goal mix -weights latency=1,throughput":   `"throughput"`,
		"-goal mix -weights latency=1e9":            "0 to 1000",
		"-goal mix -weights latency=1,throughput=x": `"throughput=x"`,
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %s", args, err, want)
		}
	}
}

func TestFlagsAreRead(t *testing.T) {
	c, err := parse(strings.Fields("-goal mix -weights cost=2,latency=0.5 -threads 3,1 -budget 1m -host c -payload 9"), io.Discard)
	if err != nil || c.weights != (weights{0.5, 0, 2}) || len(c.callers) != 2 || c.callers[0] != 3 || c.base.Host != "c" || c.base.Payload != 9 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCandidatesArePossibleDifferentAndWrittenAsTheyAre(t *testing.T) {
	random, twice := rand.New(rand.NewPCG(1, 1)), map[dx.Wait]bool{}
	path := filepath.Join(t.TempDir(), "tune.toml")
	for i, c := range contenders(random, 200, "unix") {
		if err := c.wait.Check(); err != nil || c.wait.Park == dx.ParkNever || twice[c.wait] {
			t.Errorf("%d: %s: %v: %+v", i, c.name, err, c.wait)
		}
		twice[c.wait] = true
		if err := writeTOML(path, c.wait, []string{"a\nspin_max = 1", "b\x00\xff", strings.Repeat("long ", 200), strings.Repeat("x", 1000)}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(readFile(t, path)) {
			if len(line) >= 200 { // where C stops reading
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		inGo, err := dx.LoadWait(path)
		if err != nil || inGo != c.wait {
			t.Errorf("Go reads %+v of %+v: %v", inGo, c.wait, err)
		}
	}
	for _, c := range contenders(random, 200, "memfd") {
		if c.wait.Park.String() == "doorbell" {
			t.Errorf("%+v", c.wait)
		}
	}
}

// The whole program with real guests, once to the end and once interrupted.
func TestProgramWritesWhatProgramsLoad(t *testing.T) {
	program := proctest.Build(t)
	dir := filepath.Join(t.TempDir(), "out")
	text, err := exec.Command(program, "-budget", "3s", "-threads", "1", "-seed", "7", "-out", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	wantResults(t, dir, string(text), "goal latency", "seed 7")

	dir = filepath.Join(t.TempDir(), "early")
	cmd := proctest.Start(t, program, "warming up", "-budget", "1h", "-threads", "1", "-out", dir)
	_ = cmd.Process.Signal(os.Interrupt)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != command.Interrupted {
		t.Errorf("exit: %v", err)
	}
	if wait, err := dx.LoadWait(filepath.Join(dir, "tune.toml")); err != nil || wait != exchange.Default().Wait {
		t.Errorf("%+v, %v", wait, err)
	}
}

// wantResults knows that a busy machine may not measure enough in so short a time, to compare
// candidates or to draw them. That is to be said, then.
func wantResults(t *testing.T, dir, printed string, said ...string) {
	t.Helper()
	least := 1
	if !strings.Contains(printed, "No candidate could be compared") {
		least = 4
		said = append(said, "(A/A)")
	}
	drawn := !strings.Contains(printed, "tune: no chart")
	if _, err := dx.LoadWait(filepath.Join(dir, "tune.toml")); err != nil {
		t.Error(err)
	}
	report := readFile(t, filepath.Join(dir, "report.txt"))
	for _, what := range said {
		if !strings.Contains(report, what) {
			t.Errorf("the report does not say %q:\n%s", what, report)
		}
	}
	for _, name := range []string{"pareto.png", "pareto.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); (err == nil && info.Size() > 0) != drawn {
			t.Errorf("%s: %v, though the program says:\n%s", name, err, printed)
		}
	}
	cells, torn, err := result.Read(filepath.Join(dir, result.FileName))
	if err != nil || torn || len(cells) < least || cells[0].Env == nil || cells[0].Variant == "" {
		t.Errorf("%d results, %v", len(cells), err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
