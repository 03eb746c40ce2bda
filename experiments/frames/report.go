// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dx/experiments/internal/env"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/membw"
)

// report prints the tables and writes them, the CSV files and the environment.
func report(c config, e env.Environment, l log) error {
	file, err := os.Create(filepath.Join(c.out, "table.txt"))
	if err != nil {
		return err
	}
	err = errors.Join(table(io.MultiWriter(file, os.Stdout), l), file.Close())
	if err != nil {
		return err
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	if err := writeCSV(c.out, l.records); err != nil {
		return err
	}
	fmt.Printf("\nresults: %s (result.jsonl, four CSV files, table.txt, environment.json)\n", c.out)
	return nil
}

// measureMachine leaves what the caches and the memory of this machine give beside
// the results.
func measureMachine(ctx context.Context, c config) error {
	if !c.baseline {
		return nil
	}
	b, err := membw.MeasureShown(ctx, "baseline", membw.Options{})
	if err != nil {
		return err
	}
	return b.WriteFile(c.out)
}

// describe draws the charts and writes the report.
func describe(ctx context.Context, c config) error {
	made, err := frames.Make(ctx, c.out, c.out)
	if err != nil {
		return err
	}
	fmt.Printf("report: %s, %s and the charts in it as PNG and SVG\n", made.HTMLPath, made.TextPath)
	return nil
}
