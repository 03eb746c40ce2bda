// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/go/dx"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some-sweep.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) *File {
	t.Helper()
	f, err := Load(file(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var mistakes = []struct {
	line       int
	text, want string
}{
	{1, "spin_mix = 3", "spin_mix: unknown key"},
	{3, "threads = 1\n\nspin_mix = [1]", "spin_mix: unknown key"},
	{2, "threads = 1\n[wait]\nspin_max = 3", "wait: unknown key"},
	{2, "threads = 1\n[[wait]]\nspin_max = 3", "wait: unknown key"},
	{1, "wait.spin_max = 3", "wait: unknown key"},
	{2, "threads = 1\n[wait.host]\nspin_max = 3", "wait: unknown key"},
	{3, "hypothesis = '''spin_max =\n'''\nspin_max = -1", "spin_max: -1"},
	{2, "threads = 1\nspin_max = \"many\"", "spin_max: many"},
	{1, "spin_max = -1", "spin_max: -1"},
	{1, "spin_max = 4294967296", "spin_max: 4294967296"},
	{1, "spin_max = 1.5", "spin_max: 1.5"},
	{1, "spin_max = 2_000_000_000", "spin_max is 2000000000"},
	{2, "spin_max = 10\nspin_min = 11", "spin_min is 11"},
	{2, "spin_max = [10, 20]\nspin_min = [5, 15]", "(with spin_max 10, spin_min 15)"},
	{1, "spin_max = [1, 2, 1]", "spin_max: 1 stands there twice"},
	{1, "spin_max = []", "empty list"},
	{1, "spin_max = [[1]]", "a list within a list"},
	{1, "spin_max = [1, \"x\"]", "spin_max: x"},
	{1, "spin_max = 1979-05-27", "no value, list or range"},
	{1, "spin_max = { from = 1, to = 2 }", "a range is"},
	{1, "spin_max = { from = 1, to = 2, by = 1 }", "a range is"},
	{1, "spin_max = { from = 1, to = 2, step = 1, factor = 2 }", "a range is"},
	{1, "spin_max = { from = \"a\", to = 2, step = 1 }", "a range is"},
	{1, "spin_max = { from = 3, to = 2, step = 1 }", "from 3 is more than to 2"},
	{1, "spin_max = { from = 1, to = 2, step = 0 }", "step 0"},
	{1, "spin_max = { from = 1, to = 2, factor = 1 }", "factor 1"},
	{1, "spin_max = { from = 0, to = 2, factor = 2 }", "from 0"},
	{1, "spin_max = { from = 1, to = 9999, step = 1 }", "more than 1000"},
	{1, "spin_max = { from = 1, to = 2, step = 0.5 }", "spin_max: 1 is"},
	{1, "spin_max = { from = -inf, to = inf, step = 1 }", "finite"},
	{1, "park = \"sofa\"", "never, futex, sem"},
	{1, "park = 1", "park: 1 is no name"},
	{1, "park = \"doorbell\"", "needs the transport unix"},
	{1, "preset = \"turbo\"", "turbo"},
	{1, "preset = 3", "preset: 3"},
	{1, "park = \"doorbell\"\n# end", "park: doorbell needs"},
	{1, "poll_ns = 1", "poll_ns is 1"},
	{1, "threads = 0", "threads: 0: 1 to 4096"},
	{1, "threads = \"8\"", "threads: 8"},
	{1, "host = \"rust\"", "host"},
	{1, "host = true", "host: true is no string"},
	{3, "host = \"c\"\nguest = \"c\"\npath = \"cgo\"", "both sides are C"},
	{1, "lock_os_thread = 1", "lock_os_thread: 1"},
	{1, "rate = -1", "rate: -1"},
	{1, "rate = \"fast\"", "rate: fast"},
	{1, "rate = nan", "rate"},
	{1, "repeats = 0", "repeats: 0"},
	{1, "repeats = \"5\"", "repeats: 5"},
	{1, "duration = 5", "duration: 5"},
	{1, "duration = \"1ns\"", "duration: 1ns"},
	{1, "title = 5", "title: 5"},
	{1, "hypothesis = \"\"", "hypothesis"},
	{1, "earlier = 5", "earlier: 5"},
	{1, "earlier = { one = 5 }", "earlier: one = 5"},
	{1, "histograms = 1", "histograms: 1"},
	{2, "threads = { from = 1, to = 500, step = 1 }\npayload = { from = 0, to = 500, step = 1 }", "more than 20000 cells"},
	{2, "threads = 1\nthreads = 2", "already been defined"},
	{2, "threads = 1\nspin_max = ", "expected value"},
}

func TestMistakesNameFileAndLine(t *testing.T) {
	for _, c := range mistakes {
		path := file(t, c.text)
		_, err := Load(path)
		if where := fmt.Sprintf("%s:%d: ", path, c.line); err == nil || !strings.HasPrefix(err.Error(), where) ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v does not say line %d and %q", c.text, err, c.line, c.want)
		}
	}
	if _, err := Load("no-such.toml"); err == nil || !strings.Contains(err.Error(), "no-such.toml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestListsAndRangesAreExpanded(t *testing.T) {
	for text, want := range map[string]string{
		"7":                                     "7",
		"[1, 8]":                                "1 8",
		"{ from = 1, to = 4, step = 1 }":        "1 2 3 4",
		"{ from = 1, to = 10, step = 4 }":       "1 5 9",
		"{ from = 5, to = 5, step = 3 }":        "5",
		"{ from = 1, to = 64, factor = 4 }":     "1 4 16 64",
		"{ from = 1, to = 4_000, factor = 10 }": "1 10 100 1000",
		"{ from = 1, to = 4, factor = 1.3 }":    "1 2 3 4",
		"[1, { from = 2, to = 4, factor = 2 }]": "1 2 4",
		"[{ from = 1, to = 2, step = 1 }, {from=8,to=9,step = 1}]": "1 2 8 9",
	} {
		var got []string
		for _, c := range load(t, "threads = "+text).Cells {
			got = append(got, fmt.Sprint(c.Config.Threads))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	rates := load(t, "rate = { from = 0.5, to = 2, step = 0.5 }").Cells
	if len(rates) != 4 || rates[3].Config.RatePerS != 2 {
		t.Errorf("%+v", rates)
	}
}

func TestCellsAreAllCombinations(t *testing.T) {
	f := load(t, `
title = "A title"
hypothesis = """
that words
are joined"""
expect = "so"
compare = "baseline"
earlier = { 1 = 1.05e6, 8 = 99 }
repeats = 3
threads = [1, 8]
spin_max = [100, 5000]
preset = "latency"
duration = "20ms"
rate = [0, 500]
park = "sem"
lock_os_thread = true
`)
	if f.Name != "some-sweep" || f.Title != "A title" || f.Hypothesis != "that words are joined" || f.Expect != "so" ||
		f.Compare != "baseline" || f.Earlier["8"] != 99 || f.Repeats != 3 || len(f.Cells) != 8 {
		t.Fatalf("%+v", f)
	}
	keys := map[string]bool{}
	for i, c := range f.Cells {
		keys[c.Key] = true
		threads, spinMax, rate := []int{1, 8}[i/4], []uint32{100, 5000}[i/2%2], []float64{0, 500}[i%2]
		w := c.Config.Wait
		if c.Config.Threads != threads || w.SpinMax != spinMax || c.Config.RatePerS != rate ||
			c.Config.Duration != 20*time.Millisecond || !c.Config.LockOSThread || w.Park != dx.ParkSem || w.Burst != 8 ||
			c.Preset != "latency" || c.Variant != fmt.Sprintf("spin_max %d", spinMax) {
			t.Errorf("cell %d: %+v", i, c)
		}
		if w.SpinMin > w.SpinStart || w.SpinStart > w.SpinMax {
			t.Errorf("cell %d does not fit spin_max: %+v", i, w)
		}
	}
	if len(keys) != 8 {
		t.Errorf("%d different keys", len(keys))
	}
}

func TestParametersAreAllThatMakesACell(t *testing.T) {
	params := load(t, "park = \"sem\"\nrate = 500").Cells[0].Parameters()
	for _, key := range Keys() {
		if _, there := params[key]; !there && key != "preset" { // which is all of its parameters
			t.Errorf("%s is missing", key)
		}
	}
	if params["park"] != "sem" || params["rate"] != "500" || params["spin_max"] != "10000" {
		t.Errorf("%v", params)
	}
}

func TestKeysNameEverythingThatMatters(t *testing.T) {
	base := load(t, "threads = 8").Cells[0].Key
	if again := load(t, "# other words\ntitle = \"x\"\nrepeats = 9\nthreads = 8").Cells[0].Key; again != base {
		t.Error("a title changes the key")
	}
	for _, text := range []string{"threads = 7", "threads = 8\nspin_max = 9", "threads = 8\nduration = \"20ms\"",
		"threads = 8\nverify = true", "threads = 8\nlock_os_thread = true", "threads = 8\nprocs = 2"} {
		if load(t, text).Cells[0].Key == base {
			t.Errorf("%q has the same key", text)
		}
	}
}

func TestPresetsAreSweepsOfOneCell(t *testing.T) {
	for _, name := range dx.PresetNames() {
		f, err := Load("../../../tuning/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		want, err := dx.Preset(name)
		if err != nil || len(f.Cells) != 1 || f.Cells[0].Config.Wait != want {
			t.Errorf("%s: %v, %+v", name, err, f.Cells)
		}
	}
}

func TestPresetMayBeAFileBesideTheSweep(t *testing.T) {
	path := file(t, "preset = [\"mine.toml\", \"balanced\"]")
	mine := filepath.Join(filepath.Dir(path), "mine.toml")
	if err := os.WriteFile(mine, []byte("spin_max = 4242"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil || f.Cells[0].Config.Wait.SpinMax != 4242 || f.Cells[1].Config.Wait.SpinMax != 10000 {
		t.Errorf("%v, %+v", err, f)
	}
}

// The files of this repository can be measured, and say what they are for.
func TestSweepFilesOfTheRepository(t *testing.T) {
	paths, err := filepath.Glob("../../../tuning/*/*.toml")
	if err != nil || len(paths) < 12 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	names := map[string]bool{}
	for _, path := range paths {
		f, err := Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if f.Hypothesis == "" || f.Expect == "" || f.Title == f.Name || f.Repeats < 5 {
			t.Errorf("%s lacks a title, a hypothesis, what to expect, or repeats", path)
		}
		if names[f.Name] {
			t.Errorf("two files are called %s", f.Name)
		}
		names[f.Name] = true
		if f.Compare != "" && !slices.Contains(paths, filepath.Join(filepath.Dir(path), f.Compare+".toml")) {
			t.Errorf("%s compares with %s, which is not there", path, f.Compare)
		}
	}
}

// A log stays of use as long as keys stay: parameters that are added must not count
// where they are as they always were.
func TestKeysOfOlderResultsStillCount(t *testing.T) {
	file, err := Load("../../../tuning/experiments/00-baseline.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range file.Cells {
		if cell.Config.Threads == 1 && cell.Config.RatePerS == 0 && cell.Key != "38a273f1cbce00be" {
			t.Errorf("the key of one caller's baseline was 38a273f1cbce00be once, is %s", cell.Key)
		}
	}
}
