// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time       { return c.t }
func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                { return &clock{time.Unix(1000, 0)} }
func lines(out *bytes.Buffer) []string {
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}
func plain(out *bytes.Buffer, c *clock, total int) *Bar {
	return newBar(out, false, "pingpong", total, c.now)
}

func TestPlainLinesAreTwoSecondsApart(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	b := plain(&out, c, 100)
	for i := range 50 { // a step each 100 ms
		if i == 10 {
			b.Describe("8 callers")
		}
		c.pass(100 * time.Millisecond)
		b.Add(1)
	}
	b.Close()
	want := []string{
		"pingpong (1 of 100), 10s left",
		"pingpong: 8 callers (21 of 100), 8s left",
		"pingpong: 8 callers (41 of 100), 6s left",
		"pingpong: 8 callers (50 of 100), 5s left",
	}
	if got := lines(&out); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
	if strings.ContainsAny(out.String(), "\r\033") {
		t.Errorf("control characters in a log: %q", out.String())
	}
}

func TestClosePrintsTheEndOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps int
		want  string
	}{
		{"nothing done", 0, ""},
		{"one step", 1, "pingpong (1 of 3), 0s left\n"},
		{"all steps", 3, "pingpong (1 of 3), 0s left\npingpong (3 of 3)\n"},
		{"too many steps", 5, "pingpong (1 of 3), 0s left\npingpong (3 of 3)\n"},
	} {
		var out bytes.Buffer
		b := plain(&out, newClock(), 3)
		for range c.steps {
			b.Add(1)
		}
		b.Close()
		b.Close()
		b.Add(1)
		if out.String() != c.want {
			t.Errorf("%s: %q, want %q", c.name, out.String(), c.want)
		}
	}
}

func TestANoteIsALineOfItsOwn(t *testing.T) {
	var out bytes.Buffer
	b := plain(&out, newClock(), 2)
	b.Describe("first")
	b.Note("warning: noisy")
	b.Close()
	b.Note("afterwards")
	if got := strings.Join(lines(&out), "|"); got != "pingpong: first (0 of 2)|warning: noisy|afterwards" {
		t.Errorf("%q", got)
	}
}

// screen is what a terminal shows of the last line, and the lines above it.
func screen(text string) (above []string, last string) {
	rows := strings.Split(text, "\n")
	for i, row := range rows {
		row = row[strings.LastIndex(row, "\033[2K")+1:]
		row = strings.TrimPrefix(row, "[2K")
		rows[i] = row[strings.LastIndex(row, "\r")+1:]
	}
	return rows[:len(rows)-1], rows[len(rows)-1]
}

func TestATerminalShowsABarWithTheTimeLeft(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out, true, "pingpong", 4, time.Now)
	b.Describe("8 callers, run 1")
	b.Add(1)
	_, last := screen(out.String())
	for _, want := range []string{"pingpong: 8 callers, run 1", "25%", "1/4", "█"} {
		if !strings.Contains(last, want) {
			t.Errorf("no %q in %q", want, last)
		}
	}
	if n := len([]rune(last)); n > 100 {
		t.Errorf("%d columns: %q", n, last)
	}
	b.Note("warning: noisy")
	if above, last := screen(out.String()); len(above) != 1 || above[0] != "warning: noisy" || !strings.Contains(last, "25%") {
		t.Errorf("after a note: %q, %q", above, last)
	}
}

func TestATerminalIsLeftWithACleanLine(t *testing.T) {
	for _, steps := range []int{0, 1, 4, 9} {
		var out bytes.Buffer
		b := newBar(&out, true, strings.Repeat("long ", 30), 4, time.Now)
		for range steps {
			b.Add(1)
		}
		b.Close()
		b.Close()
		if above, last := screen(out.String()); last != "" || len(above) != 0 {
			t.Errorf("after %d steps: %q and %q stay", steps, above, last)
		}
	}
}

func TestWorkThatGrowsIsNotDoneBefore(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		b := newBar(&out, terminal, "pingpong", 1, time.Now)
		b.Add(1)
		b.Grow(2)
		b.Add(1)
		if state := b.state(); !strings.Contains(state, "2 of 3") {
			t.Error(state)
		}
		b.Close()
	}
}

func TestManyGoroutinesMayReport(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out, true, "pingpong", 100, time.Now)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for range 10 {
				b.Add(1)
				b.Describe("busy")
			}
		})
	}
	group.Wait()
	b.Close()
	if b.done != 100 {
		t.Errorf("%d of 100", b.done)
	}
}
