// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
)

// TestMain lets the test program be the guest that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

// grids are two files with 6 and 2 cells, and 3 and 2 repeats: 22 runs.
func grids(t *testing.T) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"one": "repeats = 3\nspin_max = [10, 100, 1000]\nthreads = [1, 2]\nduration = \"10ms\"",
		"two": "repeats = 2\nrate = [0, 100]\nduration = \"10ms\"",
	} {
		path := filepath.Join(dir, name+".toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func mustParse(t *testing.T, args ...string) config {
	t.Helper()
	c, err := parse(args, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fake counts the runs of each configuration, and does something at one of them.
type fake struct {
	runs int
	at   int
	then func() error
}

func (f *fake) measure(ctx context.Context, c exchange.Config) (result.Cell, error) {
	if f.runs++; f.runs == f.at {
		if err := f.then(); err != nil {
			return result.Cell{}, err
		}
	}
	cell := result.Cell{Threads: c.Threads, Wait: c.Wait, Ops: uint64(f.runs), ElapsedNs: 1e9,
		DurationNs: int64(c.Duration)}
	if c.RatePerS > 0 {
		cell.RatePerS = &c.RatePerS
	}
	return cell, nil
}

// counted reads a log and returns how often each run of each cell is in it.
func counted(t *testing.T, log string) map[id]int {
	t.Helper()
	cells, torn, err := result.Read(log)
	if err != nil || torn {
		t.Fatal(torn, err)
	}
	count := map[id]int{}
	for _, cell := range cells {
		count[idOf(cell)]++
	}
	return count
}

func wantComplete(t *testing.T, log string, runs int) {
	t.Helper()
	count := counted(t, log)
	for name, times := range count {
		if times != 1 {
			t.Errorf("%v is there %d times", name, times)
		}
	}
	if len(count) != runs {
		t.Errorf("%d runs of %d", len(count), runs)
	}
}

// Wherever a sweep ends, the next one makes what is left, and that only.
func TestInterruptedSweepGoesOnWithoutLossOrRepetition(t *testing.T) {
	files := grids(t)
	for _, end := range []string{"cancel", "cancel when measured", "torn line"} {
		t.Run(end, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log.jsonl")
			c := mustParse(t, append(files, "-log", log)...)
			ctx, cancel := context.WithCancel(context.Background())
			f := &fake{at: 9, then: func() error {
				switch end {
				case "cancel":
					cancel()
					return ctx.Err()
				case "cancel when measured":
					cancel()
				}
				return nil
			}}
			code := measureAll(ctx, c, f.measure)
			if wrong := code != command.Interrupted; strings.HasPrefix(end, "cancel") && wrong {
				t.Errorf("exit code %d", code)
			}
			if end == "torn line" {
				cut(t, log, 50)
				f.runs--
			}
			before, made := len(read(t, log)), f.runs
			if end == "cancel" {
				made--
			}
			if before != made {
				t.Fatalf("%d results of %d complete runs", before, made)
			}
			c = mustParse(t, append(files, "-log", log)...)
			again := &fake{}
			if code := measureAll(context.Background(), c, again.measure); code != 0 || again.runs != 22-before {
				t.Errorf("exit code %d after %d and %d runs", code, before, again.runs)
			}
			wantComplete(t, log, 22)
			if measureAll(context.Background(), c, again.measure); again.runs != 22-before {
				t.Error("what was complete is measured again")
			}
		})
	}
}

// cut takes the last bytes of a file away.
func cut(t *testing.T, path string, bytes int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-bytes)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// read returns what a log has, a torn line left out.
func read(t *testing.T, log string) []result.Cell {
	t.Helper()
	cells, _, err := result.Read(log)
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

func TestShardsAreDisjointAndComplete(t *testing.T) {
	files := grids(t)
	all := map[string]int{}
	for _, j := range mustParse(t, files...).jobs() {
		all[fmt.Sprint(j.cell.Key, j.run)]--
	}
	for shard := 1; shard <= 3; shard++ {
		for _, seed := range []string{"1", "2"} {
			cells := map[string]int{}
			for _, j := range mustParse(t, append(files, "-shard", fmt.Sprintf("%d/3", shard), "-seed", seed)...).jobs() {
				cells[j.cell.Key]++
				if seed == "1" {
					all[fmt.Sprint(j.cell.Key, j.run)]++
				}
			}
			if len(cells) != 3 && len(cells) != 2 {
				t.Errorf("shard %d has %d of 8 cells", shard, len(cells))
			}
		}
	}
	if len(all) != 22 {
		t.Errorf("%d runs", len(all))
	}
	for name, count := range all {
		if count != 0 {
			t.Errorf("%s is in %d shards", name, count+1)
		}
	}
}

func TestRoundsAreInterleavedInAnOrderOfTheSeed(t *testing.T) {
	files := grids(t)
	order := func(seed string) (text string, rounds []int) {
		for _, j := range mustParse(t, append(files, "-seed", seed)...).jobs() {
			text += j.String() + "\n"
			rounds = append(rounds, j.run)
		}
		return text, rounds
	}
	one, rounds := order("1")
	for i, run := range rounds {
		if want := []int{1, 2, 3}[min(i/8, 2)]; run != want {
			t.Errorf("place %d is of round %d, want %d", i, run, want)
		}
	}
	if again, _ := order("1"); again != one {
		t.Error("the same seed makes another order")
	}
	if two, _ := order("2"); two == one {
		t.Error("another seed makes the same order")
	}
	if first, second := one[:strings.Index(one, "run 2")], one[strings.Index(one, "run 2"):]; strings.HasPrefix(
		strings.ReplaceAll(second, "run 2", "run 1"), first) {
		t.Error("each round has the same order")
	}
}

func TestFailedRunsAreToldAndMadeAgain(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log.jsonl")
	c := mustParse(t, append(grids(t), "-log", log)...)
	f := &fake{at: 3, then: func() error { return errors.New("no answer") }}
	if code := measureAll(context.Background(), c, f.measure); code != command.Failed || f.runs != 22 || len(counted(t, log)) != 21 {
		t.Errorf("exit code %d after %d runs", code, f.runs)
	}
	again := &fake{}
	if code := measureAll(context.Background(), c, again.measure); code != 0 || again.runs != 1 {
		t.Errorf("exit code %d after %d runs", code, again.runs)
	}
	wantComplete(t, log, 22)

	runs := 0
	c.log = filepath.Join(t.TempDir(), "log.jsonl")
	code := measureAll(context.Background(), c, func(context.Context, exchange.Config) (result.Cell, error) {
		runs++
		return result.Cell{}, errors.New("nothing works")
	})
	if code != command.Failed || runs != failuresMax {
		t.Errorf("exit code %d after %d runs", code, runs)
	}
}

func TestWrongAnswersMakeTheSweepFail(t *testing.T) {
	c := mustParse(t, append(grids(t), "-log", filepath.Join(t.TempDir(), "log.jsonl"), "-repeats", "1")...)
	code := measureAll(context.Background(), c, func(context.Context, exchange.Config) (result.Cell, error) {
		return result.Cell{Ops: 5, VerifyFailures: 1}, nil
	})
	if code != command.Failed || len(counted(t, c.log)) != 8 {
		t.Errorf("exit code %d", code)
	}
}

func TestResultsOfAnotherCommitDoNotCount(t *testing.T) {
	c := mustParse(t, append(grids(t), "-log", filepath.Join(t.TempDir(), "log.jsonl"))...)
	if code := measureAll(context.Background(), c, (&fake{}).measure); code != 0 {
		t.Fatal(code)
	}
	data, err := os.ReadFile(c.log)
	if err != nil {
		t.Fatal(err)
	}
	cells := read(t, c.log)
	other := bytes.ReplaceAll(data, []byte(`"git_commit":"`+cells[0].Env.GitCommit), []byte(`"git_commit":"0f`))
	if err := os.WriteFile(c.log, other, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, any := range []bool{true, false} {
		c.anyCommit = any
		f := &fake{}
		if code := measureAll(context.Background(), c, f.measure); code != 0 || (f.runs == 0) != any {
			t.Errorf("-any-commit=%v: exit code %d after %d runs", any, code, f.runs)
		}
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	files := strings.Join(grids(t), " ")
	for _, wrong := range []struct{ args, want string }{
		{"", "no file given"},
		{"no-such.toml", "no-such.toml"},
		{files + " -shard 0/2", `"0/2" is not i/n`},
		{files + " -shard 3/2", `"3/2" is not i/n`},
		{files + " -shard x", `"x" is not i/n`},
		{files + " -repeats -1", "-repeats -1"},
		{files + " -merge -n", "one at a time"},
		{files + " " + files, "have the same name"},
		{files + " -nonsense", "nonsense"},
	} {
		if _, err := parse(strings.Fields(wrong.args), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: error %v does not say %q", wrong.args, err, wrong.want)
		}
	}
}
