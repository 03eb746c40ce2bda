// SPDX-License-Identifier: Apache-2.0

// Peers measures the same exchange over dx and over what a user would pick instead, in one run. See -h.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"dx/experiments/internal/across"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

func main() {
	command.Into("peers", parse, func(c config) string { return c.out }, act)
}

// act measures, or reads what was measured, and reports.
func act(ctx context.Context, c config) int {
	if c.from != "" {
		return command.Code(ctx, "peers", again(c), "")
	}
	environment := env.Capture(".")
	l, err := measureAll(ctx, c, environment)
	if len(l.cells) > 0 {
		err = errors.Join(err, writeReport(c, environment, l))
	}
	if len(l.faults)+len(l.own) > 0 {
		err = errors.Join(err, writeTrials(c, l))
	}
	if err == nil {
		err = l.wrong()
	}
	return command.Code(ctx, "peers", err, fmt.Sprintf("what was complete is kept in %s", c.out))
}

// again reports of a folder of results once more.
func again(c config) error {
	l, environment, err := load(c.from)
	if err != nil {
		return err
	}
	if c.vm != "" {
		if l.vm, l.vmIn, err = across.Load(c.vm); err != nil {
			return err
		}
	}
	if c.page != "" {
		return writePage(c.page, environment, l)
	}
	return writeReport(c, environment, l)
}

// wrong is an error if a peer failed, or if a call of one did.
func (l log) wrong() error {
	for _, o := range l.out {
		if o.Failed {
			return fmt.Errorf("%s failed: %s", o.Peer, o.Why)
		}
	}
	for _, cell := range l.cells {
		if err := cell.Wrong(); err != nil {
			return fmt.Errorf("%s, run %d: %w", cell.Variant, cell.Run, err)
		}
	}
	return nil
}

// measureAll makes the programs and measures all peers in turn, run by run, so that a drift of the
// machine meets all alike.
func measureAll(ctx context.Context, c config, e env.Environment) (l log, err error) {
	w, err := openWriters(c.out)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	m := measuring{c: c, w: w, l: &l, commit: e.Commit()}
	if m.cpus, err = choose(c.pin); err != nil {
		return l, err
	}
	temporary, err := os.MkdirTemp("", "dx-peers-")
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	if err := m.build(ctx, temporary); err != nil {
		return l, err
	}
	if len(c.faults) > 0 {
		return l, tryFaults(ctx, &m)
	}
	if c.own {
		return l, compareOwn(ctx, &m, temporary)
	}
	visits := c.visits()
	m.bar = progress.New("peers", c.runs*len(visits)*len(m.peers))
	defer m.bar.Close()
	for run := 1; run <= c.runs; run++ {
		for _, v := range visits {
			for _, p := range m.turn(run) {
				if err := m.visit(ctx, p, v, run); err != nil || ctx.Err() != nil {
					return l, err
				}
				m.bar.Add(1)
			}
		}
	}
	return l, nil
}

// build makes the programs of the peers that were asked for; what cannot be made is left out.
func (m *measuring) build(ctx context.Context, temporary string) error {
	var programs []*program
	for _, p := range m.c.peers {
		programs = append(programs, p.program)
	}
	made, err := buildAll(ctx, programs, temporary)
	if err != nil {
		return err
	}
	m.made = made.commands
	for _, p := range m.c.peers {
		if why := made.missing[p.program]; why != "" {
			if err := m.leaveOut(leftOut{Peer: p.name, Why: why}); err != nil {
				return err
			}
			continue
		}
		m.peers = append(m.peers, p)
	}
	if len(m.peers) == 0 {
		return errors.New("not one of the peers can be had here")
	}
	return nil
}

// turn is the order of a run: another one in each, so that no peer always comes after the same.
func (m *measuring) turn(run int) []peerKind {
	first := (run - 1) * max(1, len(m.peers)/3) % len(m.peers)
	return append(append([]peerKind{}, m.peers[first:]...), m.peers[:first]...)
}

// leaveOut keeps and says what is not measured.
func (m *measuring) leaveOut(o leftOut) error {
	m.say(o.String())
	m.l.out = append(m.l.out, o)
	return m.w.out.WriteLine(o)
}

func (m *measuring) say(line string) {
	if m.bar != nil {
		m.bar.Note(line)
		return
	}
	fmt.Fprintln(os.Stderr, line)
}

// log is what was measured, and what was not.
type log struct {
	cells []result.Cell
	idle  []idleRun
	out   []leftOut
	// faults are what was tried of them.
	faults []outcome
	own    []ownRun
	// vm is what boundary measured, if the page is to show it, and vmIn where.
	vm   across.Log
	vmIn env.Environment
}

// leftOut is a peer that was not measured, or not in one visit.
type leftOut struct {
	Peer    string `json:"peer"`
	Threads int    `json:"threads,omitempty"` // 0: nowhere
	Payload int    `json:"payload_bytes,omitempty"`
	Why     string `json:"why"`
	Failed  bool   `json:"failed,omitempty"` // else it cannot do it, or cannot be had
}

func (o leftOut) String() string {
	where := ""
	if o.Threads > 0 {
		where = fmt.Sprintf(" (%s, %s)", result.Callers(o.Threads), result.FormatBytes(o.Payload))
	}
	verb := "left out"
	if o.Failed {
		verb = "FAILED"
	}
	return fmt.Sprintf("%s%s: %s: %s", o.Peer, where, verb, o.Why)
}
