// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/env"
	"dx/experiments/internal/peer"
	"dx/libdx/tools/mapping"
)

func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func TestFlags(t *testing.T) {
	for text, want := range map[string]string{
		"-sizes 32768,1048576 -runs 3":     "",
		"-sizes 1000":                      "powers of two",
		"-sizes 16384":                     "powers of two",
		"-sizes 40000":                     "powers of two",
		"-runs 0":                          "-runs 0: 1 to",
		"-duration 0":                      "-duration 0s: 1ns to",
		"anything":                         "not a flag",
		"-sizes 32768 -guest=false -out x": "",
	} {
		_, err := parse(strings.Fields(text), &bytes.Buffer{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "Exit code") {
		t.Errorf("%v: %s", err, &help)
	}
}

// The kernel's list as Linux 6.1 prints it, and as 5.10 did not.
func TestMemoryTypesAreReadFromTheKernelsList(t *testing.T) {
	const list = `PAT memtype list:
PAT: [mem 0x0000000080000000-0x0000000080001000] uncached-minus
PAT: [mem 0x0000007000000000-0x0000007001000000] write-combining
`
	for address, want := range map[int64]string{0x80000000: "uncached-minus", 0x7000000000: "write-combining", 0x1000: ""} {
		if got := typeIn(list, address); got != want {
			t.Errorf("%#x: %q, want %q", address, got, want)
		}
	}
}

// made makes up a mapping: nanoseconds a line by loop.
func made(s subject, kind string, lineNs map[string]float64) measured {
	m := measured{s, answer{Kind: kind, Times: mapping.Times{LineNs: lineNs["load-8x1"]}}}
	for name, l := range map[string]mapping.Loop{
		"load-8x1":   {Name: "load-8x1", AccessBytes: 8, AccessesPerLine: 1},
		"load-8x8":   {Name: "load-8x8", AccessBytes: 8, AccessesPerLine: 8},
		"load-16x4":  {Name: "load-16x4", AccessBytes: 16, AccessesPerLine: 4},
		"store-16x4": {Name: "store-16x4", AccessBytes: 16, AccessesPerLine: 4},
	} {
		if ns, ok := lineNs[name]; ok {
			m.Figures = append(m.Figures, figure{l, 64000, 10, []int64{int64(ns * 10000)}})
		}
	}
	return m
}

func TestFiguresAreDerivedInOnePlace(t *testing.T) {
	f := made(subject{}, "", map[string]float64{"load-16x4": 640}).Figures[0]
	if got := f.perLine()[0]; got != 640 {
		t.Errorf("%v ns a line", got)
	}
	if got := f.perAccess(); got != 160 {
		t.Errorf("%v ns a load", got)
	}
	if got := f.bytesPerSecond(); math.Abs(got-1e8) > 1 {
		t.Errorf("%v bytes a second", got) // 64 bytes in 640 ns
	}
}

// What is written must follow from the figures: these are those of made-up machines.
func TestSentencesFollowTheFigures(t *testing.T) {
	hostPrivate := subject{"host", "write-back", private, false}
	guestPrivate := subject{"guest", "write-back", private, false}
	uc := subject{"guest", "uncached", resource, false}
	wc := subject{"guest", "write-combining", resourceWC, false}
	fast := map[string]float64{"load-8x1": 2, "load-8x8": 3, "load-16x4": 2, "store-16x4": 4}
	slow := map[string]float64{"load-8x1": 155, "load-8x8": 1240, "load-16x4": 620, "store-16x4": 400}
	again := made(uc, mapping.Cached, fast)
	again.Again = true
	for _, c := range []struct {
		name, accel string
		all         []measured
		has, hasNot []string
	}{
		{"an emulator hides it", "tcg", []measured{made(hostPrivate, mapping.Cached, fast),
			made(guestPrivate, mapping.Cached, fast), made(uc, mapping.Cached, fast), made(wc, mapping.Cached, fast), again},
			[]string{"Under tcg all kinds of mapping of the device are the same memory, cached", "hides the difference",
				"by 0 % (median of the loops), between two", "resource2: its loops take 1.00x",
				"No mapping of this run was uncached"},
			[]string{"decides what is had", "is such memory"}},
		{"the kind counts", "kvm", []measured{made(uc, "uncached", slow), made(wc, mapping.Cached, fast)},
			[]string{"Under kvm the kind that is asked for decides", "1240.00 ns (8.0x) with eight, 620.00 ns (4.0x)",
				"resource2 is such memory: a load costs 155.0 ns in this run, and cost 154.8 ns in theirs"},
			[]string{"hides the difference", "No mapping of this run"}},
		{"one kind says nothing of others", "kvm", []measured{made(uc, mapping.Cached, fast), again},
			[]string{"Only one kind"}, []string{"hides", "decides"}},
		{"the host alone", "none", []measured{made(hostPrivate, mapping.Cached, fast)},
			[]string{"3.00 ns (1.5x) with eight"}, []string{"Under", "Only one"}},
		{"what cannot be had", "tcg", []measured{{uc, answer{Unavailable: "no such thing"}}},
			[]string{"resource2 (uncached): not to be had: no such thing."}, []string{"Under"}},
	} {
		text := strings.Join(sentences(c.accel, c.all), "\n")
		for _, want := range c.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", c.name, want, text)
			}
		}
		for _, wrong := range c.hasNot {
			if strings.Contains(text, wrong) {
				t.Errorf("%s: %q is in\n%s", c.name, wrong, text)
			}
		}
	}
}

// The predecessor's own figures, and what one constant makes of them.
func TestTheModelGivesTheirNumbers(t *testing.T) {
	text := strings.Join(theirSentences(nil), "\n")
	for _, want := range []string{"388800 lines: 60.2 ms are 154.8 ns a load", "1555200 of them, 162.0 ns each",
		"gives 241 ms for that copy (95.6 % of what it measured), 4.0x the read where it printed 4.2x",
		"16 bytes a load are 0.10 GB/s", "the other 192 ms", "stored the frame in 2.9 ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

var kinds = []string{mapping.Cached, "write-combining", "uncached", "not-cached", "unclear"}

// From the flags to the files, on the host and with every mapping of a guest.
func TestEveryMappingIsMeasuredAndWritten(t *testing.T) {
	c := config{sizes: []int{mapping.KindBytes}, runs: 2, target: 100 * time.Microsecond, guest: true,
		out: t.TempDir()}
	t.Setenv("DX_VM_ACCEL", "tcg")
	if code := measureAll(context.Background(), c); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	text, err := os.ReadFile(filepath.Join(c.out, "result.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	mappings, loops := 0, 0
	for line := range strings.Lines(string(text)) {
		var record struct {
			Record, Where, Asked, Source, Kind, Loop string
			RunsNs                                   []int64 `json:"runs_ns"`
			Unavailable                              string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		switch {
		case record.Record == "mapping":
			mappings++
			// All of it is cached, here; but a busy machine may be too slow to show that by time.
			if record.Unavailable == "" && !slices.Contains(kinds, record.Kind) {
				t.Errorf("%s", line)
			}
			if record.Unavailable != "" && record.Source != string(physical) {
				t.Errorf("%s", line)
			}
		case record.Loop == "" || len(record.RunsNs) != c.runs:
			t.Errorf("%s", line)
		default:
			loops++
		}
	}
	if mappings != len(subjectsOf(c)) || loops < 10*(mappings-1) {
		t.Errorf("%d mappings, %d loops", mappings, loops)
	}
	var e env.Environment
	text, err = os.ReadFile(filepath.Join(c.out, "environment.json"))
	if err != nil || json.Unmarshal(text, &e) != nil || e.Accelerator != "tcg" {
		t.Errorf("%v: accelerator %q", err, e.Accelerator)
	}
	for _, name := range []string{"table.txt", "mapping.png", "mapping.svg"} {
		if s, err := os.Stat(filepath.Join(c.out, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
