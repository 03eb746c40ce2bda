// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/env"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

// runGrid runs all numbers of callers in turn, c.runs times, so that a drift of
// the machine meets all of them alike. Each number has a guest of its own.
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
	bar := progress.New("pingpong", c.runs*len(c.threads))
	defer bar.Close()
	for run := 1; run <= c.runs; run++ {
		for _, threads := range c.threads {
			bar.Describe(fmt.Sprintf("run %d of %d, %d callers", run, c.runs, threads))
			cell, err := runCell(ctx, c, threads)
			if err != nil {
				if ctx.Err() != nil {
					return cells, nil
				}
				return cells, fmt.Errorf("%d callers, run %d: %w", threads, run, err)
			}
			cell.Run = run
			cell.EnvCommit = e.Commit()
			if err := w.Write(cell); err != nil {
				return cells, err
			}
			cells = append(cells, cell)
			bar.Add(1)
		}
	}
	return cells, nil
}

// runCell starts host and guest, measures one run and ends both.
func runCell(ctx context.Context, c config, threads int) (cell result.Cell, err error) {
	cpus, err := chooseCPUs(c)
	if err != nil {
		return cell, err
	}
	defer cpus.restore()
	host, err := openHost(c, threads)
	if err != nil {
		return cell, err
	}
	guest, err := startGuest(ctx, c, host, cpus)
	defer func() {
		// In this order: the guest goes when its host has closed.
		host.stop()
		closeErr := host.close()
		if guest != nil {
			closeErr = errors.Join(closeErr, guest.end())
		}
		if err == nil {
			err = closeErr
		}
	}()
	if err != nil {
		return cell, err
	}
	unwatch := context.AfterFunc(ctx, host.stop)
	defer unwatch()
	if err := host.open(c.payload, c.verify); err != nil {
		return cell, err
	}
	began := time.Now().UTC()
	m := measurement{c: c, host: host, guest: guest, cpus: cpus, threads: threads}
	cell, err = m.run(ctx)
	cell.Time = began
	return cell, err
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
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.out, "environment.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	err = chart.OpsVsThreads(chart.SeriesOf(result.Summarise(cells)), e.Footer(), filepath.Join(c.out, "ops.png"),
		filepath.Join(c.out, "ops.svg"))
	if err == nil {
		fmt.Printf("\nresults: %s (result.jsonl, ops.png, ops.svg, table.txt, environment.json)\n", c.out)
	}
	return err
}
