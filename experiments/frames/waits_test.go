// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/frame"
)

// A frame takes some exchanges, and each is a wait of both sides; what is said of them is what the
// strategy does.
func TestCountersOfWaitsProveTheRegime(t *testing.T) {
	sleeps := filepath.Join(t.TempDir(), "sleeps.toml")
	if err := os.WriteFile(sleeps, []byte("spin_min = 0\nspin_start = 0\nspin_max = 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for wait, parks := range map[string]bool{"spin": false, sleeps: true} {
		_, l := measured(t, "-sizes", "64KiB", "-frames", "4", "-runs", "1", "-wait", wait)
		if len(l.waits) != 6 {
			t.Fatalf("%s: %d lines", wait, len(l.waits))
		}
		for _, r := range l.waits {
			// On one CPU a side that comes to run finds what it would wait for, and the other one waits.
			if r.Host.Total()+r.Guest.Total() < 4*3 || r.Host.Park+r.Guest.Park > 0 != parks {
				t.Errorf("%s: %+v", wait, r)
			}
		}
		var text bytes.Buffer
		waitsTable(&text, l.waits)
		if strings.Contains(text.String(), "parking") != parks {
			t.Errorf("%s:\n%s", wait, text.String())
		}
	}
}

func TestRegimes(t *testing.T) {
	for want, w := range map[string]frame.Waits{
		"not waiting": {}, "spinning": {Spin: 3}, "spinning, yielding": {Spin: 3, Yield: 1}, "parking (25 %)": {Spin: 3, Park: 1},
	} {
		if got := regime(w); got != want {
			t.Errorf("%+v is %q, want %q", w, got, want)
		}
	}
}
