// SPDX-License-Identifier: Apache-2.0

// Across compares the ways from a host into a virtual machine: dx that polls, dx with
// doorbells, virtio-serial and TCP, by latency and by what they cost. See -h.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dx/experiments/internal/border"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

func main() { command.Main("across", parse, measureAll) }

// log is what was measured.
type log struct {
	cells []result.Cell
	idle  map[string]exchange.Idleness
}

func measureAll(ctx context.Context, c config) int {
	if err := result.PrepareDir(c.out); err != nil {
		fmt.Fprintln(os.Stderr, "across: -out:", err)
		return command.Usage
	}
	environment := env.Capture(".")
	all := log{idle: map[string]exchange.Idleness{}}
	err := all.measure(ctx, c, environment)
	if len(all.cells) > 0 {
		if reportErr := report(c, environment, all); err == nil {
			err = reportErr
		}
	}
	for _, cell := range all.cells {
		if err == nil && (cell.Errors > 0 || cell.Failed()) {
			err = fmt.Errorf("%s, run %d: %d failed calls, %d wrong answers", cell.Variant, cell.Run, cell.Errors,
				cell.VerifyFailures)
		}
	}
	return command.Code(ctx, "across", err, "complete runs are kept in "+c.out)
}

// measure measures each way in turn, in one machine, so that a drift meets all alike.
func (l *log) measure(ctx context.Context, c config, e env.Environment) (err error) {
	w, err := result.OpenWriter(c.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	bar := progress.New("across", (c.runs+1)*len(c.ways()))
	defer bar.Close()
	machines := &border.Pool{Say: bar.Note, Everything: true}
	defer func() { err = errors.Join(err, machines.Close()) }()
	for run := 1; run <= c.runs; run++ {
		for _, way := range c.ways() {
			bar.Describe(fmt.Sprintf("run %d of %d, %s", run, c.runs, way.name))
			way.config.Machines = machines
			for _, rate := range c.rates() {
				way.config.RatePerS = rate
				cell, err := exchange.RoundTrips(ctx, way.config, uint64(c.samples))
				if ctx.Err() != nil {
					return nil
				}
				if err != nil {
					return fmt.Errorf("%s, run %d: %w", way.name, run, err)
				}
				cell.Experiment, cell.Variant, cell.Run, cell.EnvCommit = "across", way.name, run, e.Commit()
				if err := w.Write(cell); err != nil {
					return err
				}
				l.cells = append(l.cells, cell)
			}
			bar.Add(1)
		}
	}
	return l.measureIdle(ctx, c, machines, bar)
}

// rates puts the closed loop first.
func (c config) rates() []float64 {
	if c.rate == 0 {
		return []float64{0}
	}
	return []float64{0, c.rate}
}

func (l *log) measureIdle(ctx context.Context, c config, machines *border.Pool, bar *progress.Bar) error {
	if c.idle == 0 {
		return nil
	}
	file, err := os.Create(filepath.Join(c.out, "idle.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for _, way := range c.ways() {
		bar.Describe("idle, " + way.name)
		way.config.Machines, way.config.Duration = machines, c.idle
		cost, err := exchange.Idle(ctx, way.config)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, idle: %w", way.name, err)
		}
		line, err := json.Marshal(struct {
			Way string `json:"way"`
			exchange.Idleness
		}{way.name, cost})
		if err == nil {
			_, err = file.Write(append(line, '\n'))
		}
		if err != nil {
			return err
		}
		l.idle[way.name] = cost
		bar.Add(1)
	}
	return nil
}
