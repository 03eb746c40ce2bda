// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportTellsHowFarTheDefaultIsFromTheBest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.toml")
	text := "repeats = 5\npreset = \"balanced\"\nyield_every = [1, 64]\nthreads = [1, 8]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	section := part(t, reported(t, path), "How to choose")
	for _, want := range []string{
		"| search | 1 | closed loop | rate | 2.0", "| yield_every 64 |", "0 %: it is the best",
	} {
		if !strings.Contains(section, want) {
			t.Errorf("no %q in\n%s", want, section)
		}
	}
	// The made-up machine halves the rate of yield_every = 1: it cannot be the best.
	if strings.Contains(section, "| yield_every 1 |") {
		t.Errorf("the worst is called the best:\n%s", section)
	}

	if err := os.WriteFile(path, []byte(strings.Replace(text, "[1, 64]", "[1, 32]", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if section := part(t, reported(t, path), "How to choose"); !strings.Contains(section, "not measured") {
		t.Errorf("a default that was not measured:\n%s", section)
	}
}

func TestDistanceOfTheDefault(t *testing.T) {
	for _, c := range []struct {
		v    verdict
		want string
	}{
		{verdict{}, "0 %: it is the best"},
		{verdict{difference: 0.04}, "4 %: near"},
		{verdict{difference: 0.2, noise: 0.3}, "20 %: within the noise"},
		{verdict{difference: -0.2, noise: 0.1, beyond: true}, "**20 %**"},
	} {
		if got := distance(c.v); got != c.want {
			t.Errorf("%+v: %q, want %q", c.v, got, c.want)
		}
	}
}
