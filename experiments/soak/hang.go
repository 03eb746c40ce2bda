// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// hangFile says what every thread was doing when something hung.
const hangFile = "hang.txt"

// dumpTime is how long processes have to say where they are.
const dumpTime = time.Second

// moment is when a test wants a hang.
type moment int

const (
	never   moment = iota
	settled        // once every caller has had an answer
	stopped        // at the first stop of a process, before it
)

// forceHang makes a hang if this is the moment for it: no guest answers any more when it returns.
func (s *soak) forceHang(ctx context.Context, now moment) error {
	if s.hangWhen != now {
		return nil
	}
	for _, p := range s.in("guest", active) {
		p.tell("hang")
		hangs := func() bool { return p.view().hangs }
		if err := s.await(ctx, "the hang of a guest", hangs); err != nil {
			return err
		}
	}
	s.hang = s.hangLast
	s.beginWatch()
	return nil
}

// explainHang writes down where all threads of all processes are, before they are ended.
func (s *soak) explainHang() {
	var text strings.Builder
	fmt.Fprintf(&text, "%s%s\n", time.Now().Format(time.RFC3339Nano), s.standings())
	for i := range s.ledger.Callers {
		c := &s.ledger.Callers[i]
		handled, _ := c.Handled()
		fmt.Fprintf(&text, "caller %d: %d sent, %d handled, %d right answers, mark %d of %d\n", i,
			c.Issued, handled, c.Verified, c.Mark, s.mark)
	}
	for _, p := range s.all {
		if p.view().state != ended {
			fmt.Fprintf(&text, "\n%v\n%s", p, threadsOf(p.cmd.Process.Pid))
		}
	}
	if err := os.WriteFile(filepath.Join(s.out, hangFile), []byte(text.String()), 0o644); err != nil {
		s.fail("%v", err)
	}
	for _, p := range s.all {
		p.doomed = true
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGQUIT) // a Go program then says where its goroutines are
	}
	deadline := time.After(dumpTime)
	for _, p := range s.all {
		select {
		case <-p.done:
		case <-deadline:
			return
		}
	}
}

// threadsOf is a line for each thread: its state, where it waits, in which system call.
func threadsOf(pid int) string {
	var text strings.Builder
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		read := func(name string) string {
			data, _ := os.ReadFile(filepath.Join(task, name))
			return strings.TrimSpace(string(data))
		}
		_, stat, _ := strings.Cut(read("stat"), ") ")
		state, _, _ := strings.Cut(stat, " ")
		fmt.Fprintf(&text, "  %s %s %s; %s; runs, waits, slices: %s\n", filepath.Base(task), state,
			read("wchan"), read("syscall"), read("schedstat"))
	}
	return text.String()
}
