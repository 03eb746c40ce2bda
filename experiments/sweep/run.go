// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

// failuresMax is after how many failed runs in a row something is wrong with the
// machine, and not with a cell.
const failuresMax = 5

// measureFunc is exchange.Measure, but in tests.
type measureFunc func(context.Context, exchange.Config) (result.Cell, error)

// sweep is a sweep under way.
type sweep struct {
	config
	env     env.Environment
	out     *result.Writer
	bar     *progress.Bar
	measure measureFunc
	failed  int
}

// openLog reads what is there and then appends to it. Half a line that a crash
// has left is removed, and said.
func openLog(path string) (*result.Writer, []result.Cell, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, nil, err
	}
	w, err := result.OpenLog(path)
	if err != nil {
		return nil, nil, err
	}
	if torn := w.TornBytes(); torn > 0 {
		fmt.Fprintf(os.Stderr, "sweep: %s ended within a line; its %d bytes are removed and the run is made again\n", path, torn)
	}
	cells, _, err := result.Read(path)
	if err != nil {
		_ = w.Close()
		return nil, nil, err
	}
	return w, cells, nil
}

// run measures the jobs until they or ctx end. A run that fails is not logged, so
// that it is made again next time.
func (s *sweep) run(ctx context.Context, jobs []job) error {
	dir, err := os.MkdirTemp("", "dx-sweep-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	inARow := 0
	for _, j := range jobs {
		if ctx.Err() != nil {
			return nil
		}
		s.bar.Describe(j.String())
		j.cell.Config.Dir = dir
		cell, err := s.measure(ctx, j.cell.Config)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.failed++
			s.bar.Note(fmt.Sprintf("sweep: %v: %v", j, err))
			if inARow++; inARow == failuresMax {
				return fmt.Errorf("%d runs in a row failed", failuresMax)
			}
			s.bar.Add(1)
			continue
		}
		inARow = 0
		if err := cell.Wrong(); err != nil {
			s.failed++
			s.bar.Note(fmt.Sprintf("sweep: %v: %v", j, err))
		}
		if err := s.out.Write(s.complete(cell, j)); err != nil {
			return err
		}
		s.bar.Add(1)
	}
	return nil
}

// complete adds what the measurement does not know.
func (s *sweep) complete(cell result.Cell, j job) result.Cell {
	cell.Experiment, cell.Run = j.cell.Name, j.run
	cell.Variant, cell.Preset, cell.CellKey = j.cell.Variant, j.cell.Preset, j.cell.Key
	cell.EnvCommit, cell.Env = s.env.Commit(), &s.env
	if !j.histograms {
		cell.RTTHistogram, cell.IntendedHistogram = "", ""
	}
	return cell
}
