// SPDX-License-Identifier: Apache-2.0

// Sweep measures grids of configurations that TOML files describe, and goes on
// where it was interrupted. See -h.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

func main() { command.Main("sweep", parse, act) }

func act(ctx context.Context, c config) int {
	var err error
	switch {
	case c.merge:
		err = mergeLogs(c.log, c.args)
	case c.report:
		err = printReport(c)
	case c.plan:
		err = plan(c)
	default:
		// One virtual machine for all cells that lead into one and that it fits.
		machines := &boundary.Pool{}
		code := measureAll(ctx, c, func(ctx context.Context, of exchange.Config) (result.Cell, error) {
			of.Machines = machines
			return exchange.Measure(ctx, of)
		})
		if err = machines.Close(); err == nil {
			return code
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		return command.Failed
	}
	return 0
}

// plan says what a sweep would measure.
func plan(c config) error {
	var log []result.Cell
	if _, err := os.Stat(c.log); err == nil {
		if log, _, err = result.Read(c.log); err != nil {
			return err
		}
	}
	all := c.jobs()
	printPlan(c, all, c.remaining(all, log, env.Capture(".", c.log)))
	return nil
}

// measureAll measures what is left, and reports also what an interruption left.
func measureAll(ctx context.Context, c config, measure measureFunc) int {
	log, have, err := openLog(c.log)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep: -log:", err)
		return command.Usage
	}
	s := sweep{config: c, env: env.Capture(".", c.log), out: log, measure: measure}
	all := c.jobs()
	left := c.remaining(all, have, s.env)
	fmt.Fprintf(os.Stderr, "sweep: %s; order of -seed %d\n", progressOf(c, all, left), c.seed)
	s.bar = progress.New("sweep", len(left))
	err = s.run(ctx, left)
	s.bar.Close()
	if closeErr := log.Close(); err == nil {
		err = closeErr
	}
	if summaryErr := s.printSummary(); err == nil {
		err = summaryErr
	}
	if err == nil && s.failed > 0 {
		err = fmt.Errorf("%d runs failed", s.failed)
	}
	return command.Code(ctx, "sweep", err, "the same command goes on from what is in "+c.log)
}

// printSummary prints what the log now has of these files and this commit.
func (s *sweep) printSummary() error {
	cells, _, err := result.Read(s.log)
	if err != nil {
		return err
	}
	mine := map[string]bool{}
	for _, file := range s.files {
		for _, cell := range file.Cells {
			mine[cell.Key] = true
		}
	}
	cells = slices.DeleteFunc(cells, func(c result.Cell) bool {
		return !mine[c.CellKey] || !s.anyCommit && idOf(c).commit != s.env.GitCommit
	})
	return writeSummary(os.Stdout, cells)
}
