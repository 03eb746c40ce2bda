// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/floor"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

// A trip is one line of the table and how to measure a run of it.
type trip struct {
	name    string
	measure func(context.Context) (result.Cell, error)
}

// trips lists the bare ones first, then the channels.
func (c config) trips() (all []trip) {
	if c.runs == 0 {
		return nil
	}
	for _, bell := range floor.Bells {
		all = append(all, trip{"bare " + bell, func(context.Context) (result.Cell, error) { return bare(bell, c.samples) }})
	}
	for _, p := range c.pairs() {
		p.Config.Duration, p.Config.RatePerS = c.longest, c.rate
		all = append(all, trip{p.Name, func(ctx context.Context) (result.Cell, error) {
			var err error
			if p.Config.Dir, err = os.MkdirTemp("", "dx-wakeup-"); err != nil {
				return result.Cell{}, err
			}
			defer func() { _ = os.RemoveAll(p.Config.Dir) }()
			return exchange.RoundTrips(ctx, p.Config, uint64(c.samples))
		}})
	}
	return all
}

// bare measures two processes without dx on the CPUs that the sides of a channel have.
func bare(bell string, samples int) (cell result.Cell, err error) {
	cpus, err := affinity.Split()
	if err != nil {
		return cell, err
	}
	began := time.Now()
	w, err := floor.Blocking(bell, cpus.Host[0], cpus.Guest[0], samples)
	if err != nil {
		return cell, err
	}
	cell = result.Cell{Time: began.UTC(), Threads: 1, Host: "c", Guest: "c", Path: "none", Transport: "none",
		Ops: w.All, ElapsedNs: int64(time.Since(began)), Pinning: cpus.String(),
		CPUSPerMop: new(w.CPU.Seconds() / float64(w.All) * 1e6)}
	cell.SetLatency(w.Latency)
	return cell, nil
}

// measureTrips measures each in turn, run by run, so that a drift of the machine
// meets all alike.
func measureTrips(ctx context.Context, c config, e env.Environment, bar *progress.Bar) (cells []result.Cell, err error) {
	w, err := result.OpenWriter(c.out)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
	}()
	for run := 1; run <= c.runs; run++ {
		for _, t := range c.trips() {
			bar.Describe(fmt.Sprintf("run %d of %d, %s", run, c.runs, t.name))
			cell, err := t.measure(ctx)
			if ctx.Err() != nil {
				return cells, nil
			}
			if err != nil {
				return cells, fmt.Errorf("%s, run %d: %w", t.name, run, err)
			}
			cell.Experiment, cell.Variant, cell.Run, cell.EnvCommit = "wakeup", t.name, run, e.Commit()
			if err := w.Write(cell); err != nil {
				return cells, err
			}
			cells = append(cells, cell)
			bar.Add(1)
		}
	}
	return cells, nil
}
