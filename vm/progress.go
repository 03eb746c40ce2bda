// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows the steps of a start: on a terminal one line that is renewed, elsewhere a line at
// the begin of each step and now and then. It is a debian.Progress.
type progress struct {
	mutex    sync.Mutex
	out      io.Writer
	terminal bool
	now      func() time.Time

	what  string
	about time.Duration // that the step takes; 0: unknown
	part  float64       // of it that is done, if known
	begun time.Time
	told  time.Time
	stop  chan struct{}
}

const (
	renewal    = 500 * time.Millisecond // of the line on a terminal
	linesApart = 10 * time.Second
)

func newProgress() *progress {
	p := &progress{out: os.Stderr, now: time.Now, stop: make(chan struct{}),
		terminal: term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb"}
	go func() {
		tick := time.NewTicker(renewal)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.renew()
			}
		}
	}()
	return p
}

// Step begins a step; the one before has ended.
func (p *progress) Step(what string, about time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.finish()
	p.what, p.about, p.part, p.begun = what, about, 0, p.now()
	p.tell()
}

// Done says how much of the step is done.
func (p *progress) Done(part float64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.part = part
}

// Note prints a line of its own.
func (p *progress) Note(line string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.finish()
	fmt.Fprintln(p.out, "vm:", line)
}

// Close ends the last step.
func (p *progress) Close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.finish()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
}

func (p *progress) renew() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.what != "" && (p.terminal || p.now().Sub(p.told) >= linesApart) {
		p.tell()
	}
}

func (p *progress) tell() {
	p.told = p.now()
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[2Kvm: %s", p.line())
		return
	}
	fmt.Fprintf(p.out, "vm: %s\n", p.line())
}

// finish leaves on a terminal what the step took, if that was long enough to wonder.
func (p *progress) finish() {
	if p.terminal && p.what != "" {
		fmt.Fprint(p.out, "\r\033[2K")
		if took := p.now().Sub(p.begun); took > 2*time.Second {
			fmt.Fprintf(p.out, "vm: %s: %.0f s\n", p.what, took.Seconds())
		}
	}
	p.what = ""
}

// line says what is done and, where it can be told, how long it will take yet.
func (p *progress) line() string {
	elapsed := p.now().Sub(p.begun)
	text := p.what
	if elapsed >= time.Second {
		text += fmt.Sprintf(", %.0f s", elapsed.Seconds())
	}
	switch left := p.left(elapsed); {
	case left > 0 && p.part > 0:
		text += fmt.Sprintf(", %.0f %%, about %.0f s left", 100*p.part, left.Seconds())
	case left > 0:
		text += fmt.Sprintf(", about %.0f s left", left.Seconds())
	case p.about > 0:
		text += ", longer than usual"
	}
	return text
}

// left is by what is done once that says something, else by what the step usually takes.
func (p *progress) left(elapsed time.Duration) time.Duration {
	if p.part > 0.1 {
		return max(time.Second, time.Duration(float64(elapsed)*(1-p.part)/p.part))
	}
	return p.about - elapsed
}
