// SPDX-License-Identifier: Apache-2.0

// Boundary compares the ways from a host into a virtual machine: dx that polls, dx with
// doorbells, virtio-serial, TCP and vsock, by latency and by what they cost. See -h.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"dx/experiments/internal/across"
	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

func main() {
	command.Into("boundary", parse, func(c config) string { return c.out }, measureAll)
}

func measureAll(ctx context.Context, c config) int {
	ways, out, err := c.available(ctx, func(text string) { fmt.Fprintln(os.Stderr, text) })
	switch {
	case ctx.Err() != nil:
		return command.Code(ctx, "boundary", err, "nothing was measured")
	case err != nil:
		fmt.Fprintf(os.Stderr, "boundary: %v\n", err)
		return command.Usage
	}
	environment := env.Capture(".")
	all, err := measure(ctx, c, environment, ways, out)
	if len(all.Cells) > 0 {
		if reportErr := report(c, environment, all); err == nil {
			err = reportErr
		}
	}
	for _, cell := range all.Cells {
		if wrong := cell.Wrong(); err == nil && wrong != nil {
			err = fmt.Errorf("%s, run %d: %w", cell.Variant, cell.Run, wrong)
		}
	}
	return command.Code(ctx, "boundary", err, "complete runs are kept in "+c.out)
}

// measure measures each way in turn, in one machine, so that a drift meets all alike.
func measure(ctx context.Context, c config, e env.Environment, ways []way, out []across.LeftOut) (l across.Log, err error) {
	w, err := openWriters(c.out, e)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	bar := progress.New("boundary", c.runs*len(ways))
	defer bar.Close()
	for _, o := range out {
		bar.Note(o.String())
		if err := w.leaveOut(&l, o); err != nil {
			return l, err
		}
	}
	vsock := slices.ContainsFunc(ways, func(w way) bool { return w.config.Transport == exchange.TransportVsock })
	machines := &boundary.Pool{Say: bar.Note, Everything: true, Vsock: vsock}
	defer func() { err = errors.Join(err, machines.Close()) }()
	m := measuring{c, w, bar, machines, &l}
	for run := 1; run <= c.runs; run++ {
		for _, way := range turn(ways, run) {
			if err := m.way(ctx, way, run); err != nil || ctx.Err() != nil {
				return l, err
			}
			bar.Add(1)
		}
		if c.lieIdle(run) {
			if err := m.alone(ctx, run, ways[0].config); err != nil || ctx.Err() != nil {
				return l, err
			}
		}
	}
	return l, nil
}

// measuring is what the steps of a measurement share.
type measuring struct {
	c        config
	w        writers
	bar      *progress.Bar
	machines *boundary.Pool
	l        *across.Log
}

func (m measuring) way(ctx context.Context, w way, run int) error {
	m.bar.Describe(fmt.Sprintf("run %d of %d, %s", run, m.c.runs, w.name))
	w.config.Machines = m.machines
	outcome, err := m.c.visit(w, run).Measure(ctx, w.config)
	if err == nil {
		err = m.w.visited(m.l, w.name, run, outcome)
	}
	return explain(ctx, err, w.name, run)
}

// alone comes at the end of a run: a machine that has just booted is still busy with that.
func (m measuring) alone(ctx context.Context, run int, c exchange.Config) error {
	m.bar.Describe(fmt.Sprintf("run %d of %d, %s", run, m.c.runs, across.MachineAlone))
	c.Machines, c.Duration = m.machines, m.c.idle
	cost, err := exchange.IdleMachine(ctx, c)
	if err == nil {
		err = m.w.idled(m.l, across.MachineAlone, run, cost)
	}
	return explain(ctx, err, across.MachineAlone, run)
}

// explain says where an error came from; an interruption is none.
func explain(ctx context.Context, err error, name string, run int) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%s, run %d: %w", name, run, err)
}

// writers keep what was measured as soon as it was.
type writers struct {
	cells, idle, out *result.Writer
	environment      env.Environment
}

func openWriters(dir string, e env.Environment) (w writers, err error) {
	w.environment = e
	if w.cells, err = result.OpenWriter(dir); err != nil {
		return w, err
	}
	if w.idle, err = result.OpenLog(filepath.Join(dir, across.IdleName)); err != nil {
		return w, errors.Join(err, w.cells.Close())
	}
	if w.out, err = result.OpenLog(filepath.Join(dir, across.LeftOutName)); err != nil {
		return w, errors.Join(err, w.cells.Close(), w.idle.Close())
	}
	return w, nil
}

func (w writers) close() error { return errors.Join(w.cells.Close(), w.idle.Close(), w.out.Close()) }

func (w writers) visited(l *across.Log, name string, run int, v exchange.Visited) error {
	cells := []result.Cell{v.Closed}
	if v.Open != nil {
		cells = append(cells, *v.Open)
	}
	for _, cell := range cells {
		cell.Experiment, cell.Variant, cell.Run, cell.EnvCommit = across.Experiment, name, run, w.environment.Commit()
		if err := w.cells.Write(cell); err != nil {
			return err
		}
		l.Cells = append(l.Cells, cell)
	}
	if v.Idle == nil {
		return nil
	}
	return w.idled(l, name, run, *v.Idle)
}

func (w writers) idled(l *across.Log, name string, run int, cost exchange.Idleness) error {
	one := across.IdleRun{Way: name, Run: run, Idleness: cost, EnvCommit: w.environment.Commit()}
	l.Idle = append(l.Idle, one)
	return w.idle.WriteLine(one)
}

func (w writers) leaveOut(l *across.Log, o across.LeftOut) error {
	l.Out = append(l.Out, o)
	return w.out.WriteLine(o)
}
