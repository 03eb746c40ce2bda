// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dx/libdx"
)

func TestPresetFilesHoldWhatThePresetsAre(t *testing.T) {
	for _, name := range PresetNames() {
		preset := mustPreset(t, name)
		file, err := LoadWait("../../tuning/" + name + ".toml")
		if err != nil {
			t.Error(err)
		} else if file != preset {
			t.Errorf("tuning/%s.toml: %+v\nthe preset: %+v", name, file, preset)
		}
	}
}

func TestWaitFilesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"spin_mix = 3\n":                     "spin_mix",
		"\nspin_max = \"many\"\n":            "line 2",
		"spin_max = -1\n":                    "line 1",
		"spin_max = 10\nspin_min = 11\n":     "spin_min is 11",
		"park = \"sofa\"\n":                  "futex",
		"preset = \"turbo\"\n":               "turbo",
		"park_timeout_ns = 1\n":              "park_timeout_ns is 1",
		"spin_max = \n":                      "line 1",
		"preset = \"latency\"\n[wait]\nx=1":  "wait",
		"preset = \"latency\"\nrelax = true": "line 2",
	} {
		path := filepath.Join(t.TempDir(), "wait.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadWait(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v does not say %q and the file", text, err, want)
		}
	}
	if _, err := LoadWait("no-such"); err == nil || !strings.Contains(err.Error(), "balanced") {
		t.Errorf("neither preset nor file: %v", err)
	}
}

func TestWaitFileChangesItsPreset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wait.toml")
	if err := os.WriteFile(path, []byte("preset = \"latency\"\npark = \"sem\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := mustPreset(t, "latency")
	want.Park = ParkSem
	if got, err := LoadWait(path); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// C reads the same folder: unit_wait_file.c.
func TestBothLanguagesReadWaitFilesAlike(t *testing.T) {
	files, err := filepath.Glob("../../libdx/tests/wait_files/*.toml")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		note := strings.TrimPrefix(strings.Split(string(text), "\n")[1], "# ")
		w, err := LoadWait(path)
		if strings.HasPrefix(filepath.Base(path), "bad-") {
			if err == nil || !strings.Contains(err.Error(), path+": "+note+":") {
				t.Errorf("%s, wrong in %s: %v", path, note, err)
			}
			continue
		}
		means := fmt.Sprintf("means: %d %d %d %d %d %d %d %d %d %d %d %d", w.SpinMin, w.SpinMax,
			w.SpinStart, w.SpinInc, w.SpinDec, w.YieldEvery, w.Burst, uint32(w.Relax),
			uint32(w.Park), uint32(w.Adapt), w.ParkTimeoutNs, w.PollNs)
		if err != nil || means != note {
			t.Errorf("%s says %q, read is %q (%v)", path, note, means, err)
		}
	}
}

func TestTheEnvironmentChoosesTheDefault(t *testing.T) {
	t.Setenv("DX_WAIT", "low-power")
	if w, err := DefaultWait(); err != nil || w != mustPreset(t, "low-power") {
		t.Errorf("%+v, %v", w, err)
	}
	t.Setenv("DX_WAIT", "low-powr")
	if _, err := Create("memfd:", Config{}); err == nil || !strings.Contains(err.Error(), "low-powr") {
		t.Errorf("wrong DX_WAIT: %v", err)
	}
}

// shortSleeper is a waiter whose every sleep is short, at its highest limit.
func shortSleeper() *waiter {
	w := &waiter{}
	wait := Wait{SpinMin: 10, SpinMax: 1000, SpinStart: 1000, SpinInc: 300, SpinDec: 300,
		Adapt: AdaptStep}
	w.init(&wait, wait.SpinMax, int64(time.Hour), &libdx.Counters{})
	return w
}

func TestTheLimitFallsWhenTheOtherSideNeverRunsWhileWeSpin(t *testing.T) {
	w := shortSleeper()
	for range 100 {
		w.adapt(time.Microsecond)
	}
	if w.limit != 0 || w.firstLooks != 0 || w.counters.SpinLimit != 0 {
		t.Fatalf("after 100 sleeps that followed wasted spins: limit %d, first looks %d, gauge %d",
			w.limit, w.firstLooks, w.counters.SpinLimit)
	}

	w.owed = time.Nanosecond // all but slept
	w.adapt(time.Microsecond)
	if w.limit != 1000 {
		t.Fatalf("after the sleep that was owed: limit %d", w.limit)
	}
	w.adapt(time.Microsecond) // wasted
	if w.limit != 0 {
		t.Fatalf("after another wasted spin: limit %d", w.limit)
	}
	w.owed = time.Nanosecond
	w.adapt(time.Microsecond)
	for range 10 {
		w.counters.Spin++ // a wait that ends in its spin
		w.adapt(0)
		w.adapt(time.Microsecond)
	}
	if w.limit != 1000 {
		t.Fatalf("where some spins are won: limit %d", w.limit)
	}
}
