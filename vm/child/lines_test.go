// SPDX-License-Identifier: Apache-2.0

package child

import (
	"strings"
	"testing"
)

func TestLinesAreHandedOnWhole(t *testing.T) {
	l := NewLines()
	for _, part := range []string{"one\ntw", "o", "\n\nthree"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, want := range []string{"one", "two", ""} {
		if got := <-l.C(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	select {
	case line := <-l.C():
		t.Errorf("half a line came: %q", line)
	default:
	}
}

func TestAProcessCannotMakeUsKeepMuch(t *testing.T) {
	l := NewLines()
	if _, err := l.Write([]byte(strings.Repeat("x", lineMax))); err != nil || len(<-l.C()) != lineMax {
		t.Error("a line without end is not cut")
	}
	for range linesMax {
		if _, err := l.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Write([]byte("\n")); err == nil {
		t.Error("lines that nobody takes are kept without bound")
	}
}
