// SPDX-License-Identifier: Apache-2.0

// Package progress shows how far an experiment is: a bar with the time left on a terminal, a plain
// line now and then elsewhere, so that a log does not fill up.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	linesApart   = 2 * time.Second // between plain lines
	longestLabel = 40              // characters beside a bar
	barWidth     = 24
)

// Bar is one experiment's progress. Any goroutine may use it. Every method may print, and nothing
// prints in between, so that a measurement is not disturbed as long as none is called during one.
type Bar struct {
	mutex sync.Mutex
	out   io.Writer
	bar   *progressbar.ProgressBar // nil: plain lines
	now   func() time.Time

	what    string
	label   string
	done    int
	total   int
	start   time.Time
	printed time.Time // when the last plain line was
	shown   string    // what the last plain line said
	closed  bool
}

// New returns the progress of `what`, which takes total steps, on the standard error stream: a bar
// if that is a terminal, lines at least 2 s apart if not. A total below 1 counts as 1.
func New(what string, total int) *Bar {
	terminal := term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb"
	return newBar(os.Stderr, terminal, what, total, time.Now)
}

func newBar(out io.Writer, terminal bool, what string, total int, now func() time.Time) *Bar {
	b := &Bar{out: out, now: now, what: what, total: max(total, 1), start: now()}
	if terminal {
		b.bar = progressbar.NewOptions(b.total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetDescription(what),
			progressbar.OptionSetWidth(barWidth),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetRenderBlankState(true),
		)
	}
	return b
}

// Describe says which step is under way, such as "8 callers, run 2".
func (b *Bar) Describe(label string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.label = label
	b.show()
}

// Add counts n steps as done; beyond the total it stays at the total.
func (b *Bar) Add(n int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.done = min(max(b.done+n, 0), b.total)
	b.show()
}

// Grow adds n steps to the total.
func (b *Bar) Grow(n int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.total += n
	if b.bar != nil {
		b.bar.ChangeMax(b.total)
	}
}

// Note prints a line of its own, such as a warning, without tearing the bar.
func (b *Bar) Note(line string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.clear()
	fmt.Fprintln(b.out, line)
	if b.bar != nil && !b.closed {
		b.show()
	}
}

// Close removes the bar, or prints where the work ended if the last line did not say so. The cursor
// is then at the start of an empty line. Further calls print notes and nothing else.
func (b *Bar) Close() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.closed {
		return
	}
	b.clear()
	if b.bar != nil {
		b.bar.Exit() // only forgets the bar: it returns no error
	} else if b.shown != "" && b.shown != b.state() {
		b.printLine()
	}
	b.closed = true
}

// clear empties the line that the bar is on.
func (b *Bar) clear() {
	if b.bar != nil && !b.closed {
		io.WriteString(b.out, "\r\033[2K")
	}
}

func (b *Bar) show() {
	if b.closed {
		return
	}
	if b.bar == nil {
		if b.shown == "" || b.now().Sub(b.printed) >= linesApart {
			b.printLine()
		}
		return
	}
	b.bar.Describe(shorten(b.title()))
	// The last step is shown by clearing: a bar that is full ends itself and its line.
	if b.done < b.total {
		b.bar.Set(b.done) // an error of the terminal is none of the measurement
	}
}

func (b *Bar) title() string {
	if b.label == "" {
		return b.what
	}
	return b.what + ": " + b.label
}

func (b *Bar) state() string {
	return fmt.Sprintf("%s (%d of %d)", b.title(), b.done, b.total)
}

func (b *Bar) printLine() {
	now := b.now()
	b.printed, b.shown = now, b.state()
	line := b.shown
	if elapsed := now.Sub(b.start); b.done > 0 && b.done < b.total {
		left := elapsed / time.Duration(b.done) * time.Duration(b.total-b.done)
		line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	fmt.Fprintln(b.out, line)
}

func shorten(s string) string {
	if letters := []rune(s); len(letters) > longestLabel {
		return string(letters[:longestLabel-1]) + "…"
	}
	return s
}
