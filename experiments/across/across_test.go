// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"dx/experiments/internal/result"
)

func testConfig(t *testing.T, args ...string) config {
	t.Helper()
	c, err := parse(append([]string{"-out", t.TempDir()}, args...), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// madeUp has a way at these p50.
func (l *log) madeUp(name string, p50Ns ...int64) {
	for _, ns := range p50Ns {
		l.cells = append(l.cells, result.Cell{Variant: name, RTTP50Ns: &ns})
	}
}

func TestFasterIsSaidOnlyWhereRunsDoNotMeet(t *testing.T) {
	c := testConfig(t)
	for want, theirs := range map[string][]int64{
		"TCP took 3.00 times as long as by doorbell":       {250, 300, 350},
		"TCP and doorbell do not differ":                   {120, 300, 350},
		"TCP was faster than by doorbell: 0.500 of its ti": {40, 50, 60},
	} {
		var l log
		l.madeUp(atOnce, 90, 100, 130)
		l.madeUp("TCP", theirs...)
		if text := verdicts(c, l); !strings.Contains(text, want) {
			t.Errorf("%v: %q", theirs, text)
		}
	}
}

func TestFlagsThatCannotBe(t *testing.T) {
	for _, args := range []string{"-runs 0", "-samples 0", "-longest 1ns", "-rate -1", "-idle 1ms", "-payload 7", "-pin x", "stray"} {
		if _, err := parse(strings.Fields(args), &strings.Builder{}); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}
