// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/chart"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

// runGrid runs all cells in turn, c.runs times, so that a drift of the machine
// meets all of them alike. Each has a guest of its own.
func runGrid(ctx context.Context, c config, e env.Environment) (cells []result.Cell, err error) {
	w, err := result.OpenWriter(c.out)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
	}()
	bar := progress.New("pingpong", c.runs*len(c.cells()))
	defer bar.Close()
	machines, err := machinePool(c, bar.Note)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, machines.Close()) }()
	for run := 1; run <= c.runs+c.extend; run++ {
		if run > c.runs {
			rare := result.Rare(cells)
			if rare == "" {
				break
			}
			bar.Note(fmt.Sprintf("one more run, of at most %d: %s", c.extend, rare))
			bar.Grow(len(c.cells()))
		}
		for _, one := range c.cells() {
			one.Machines = machines
			bar.Describe(fmt.Sprintf("run %d of %d, %s", run, max(c.runs, run), describe(one)))
			distances, err := exchange.MeasureByDistance(ctx, one)
			if err != nil {
				if ctx.Err() != nil {
					return cells, nil
				}
				return cells, fmt.Errorf("%s, run %d: %w", describe(one), run, err)
			}
			for _, cell := range distances {
				cell.Experiment, cell.Run, cell.EnvCommit = "pingpong", run, e.Commit()
				if err := w.Write(cell); err != nil {
					return cells, err
				}
				cells = append(cells, cell)
			}
			bar.Add(1)
		}
	}
	return cells, nil
}

// describe names what a run measures.
func describe(c exchange.Config) string {
	what := result.Callers(c.Threads)
	if c.InFlight > 0 {
		what += fmt.Sprintf(" with %d in flight", c.InFlight)
	}
	if c.HandlerTime > 0 || c.Concurrency > 1 {
		what += fmt.Sprintf(", handlers of %v, %d at once", c.HandlerTime, max(c.Concurrency, 1))
	}
	if c.RatePerS > 0 {
		what += " at " + result.FormatRate(c.RatePerS)
	}
	return what
}

// machinePool is for one virtual machine with room for the largest cell. It is booted when the first
// one wants it.
func machinePool(c config, say func(string)) (*boundary.Pool, error) {
	pool := &boundary.Pool{Say: say}
	for _, one := range c.cells() {
		bytes, err := exchange.RegionBytes(one)
		if err != nil {
			return nil, err
		}
		pool.Bytes = max(pool.Bytes, bytes)
	}
	return pool, nil
}

// report prints the table and writes table, chart and environment.
func report(c config, e env.Environment, cells []result.Cell) error {
	table, err := os.Create(filepath.Join(c.out, "table.txt"))
	if err != nil {
		return err
	}
	err = result.Table(table, cells)
	if closeErr := table.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := result.Table(os.Stdout, cells); err != nil {
		return err
	}
	if accelerator := cells[0].Accelerator; accelerator != "" {
		e.Accelerator = accelerator
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	files := "result.jsonl, ops.png, ops.svg, table.txt, environment.json"
	err = chart.OpsVsThreads(chart.SeriesOf(result.Summarise(cells)), e.Footer(), filepath.Join(c.out, "ops.png"),
		filepath.Join(c.out, "ops.svg"))
	if depths := chart.SeriesByDepth(result.Summarise(cells)); err == nil && len(depths) > 0 {
		files += ", inflight.png, inflight.svg"
		err = chart.OpsVsDepth(depths, e.Footer(), filepath.Join(c.out, "inflight.png"), filepath.Join(c.out, "inflight.svg"))
	}
	if err == nil {
		fmt.Printf("\nresults: %s (%s)\n", c.out, files)
	}
	return err
}
