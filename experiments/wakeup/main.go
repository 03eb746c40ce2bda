// SPDX-License-Identifier: Apache-2.0

// Wakeup measures how long it takes to wake the other side of a channel when both
// sleep at once, by every way to sleep and in both languages, beside what the
// system calls alone cost; and what a channel costs on which nobody calls. See -h.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

func main() {
	command.Into("wakeup", parse, func(c config) string { return c.out }, measureAll)
}

// measureAll measures round trips, then idleness, and reports also what an
// interruption left.
func measureAll(ctx context.Context, c config) int {
	environment := env.Capture(".")
	bar := progress.New("wakeup", c.runs*len(c.trips())+c.idleRuns())
	cells, err := measureTrips(ctx, c, environment, bar)
	var idle []idleRun
	if err == nil && ctx.Err() == nil {
		idle, err = measureIdle(ctx, c, environment, bar)
	}
	bar.Close()
	if reportErr := report(c, environment, cells, idle); reportErr != nil {
		return command.Code(context.Background(), "wakeup", reportErr, "")
	}
	if err == nil {
		err = failures(cells)
	}
	return command.Code(ctx, "wakeup", err, "complete runs are kept in "+c.out)
}

func failures(cells []result.Cell) error {
	for _, cell := range cells {
		if wrong := cell.Wrong(); wrong != nil {
			return fmt.Errorf("%s, run %d: %w", cell.Variant, cell.Run, wrong)
		}
	}
	return nil
}

// report prints both tables and writes them, and the environment, to -out.
func report(c config, e env.Environment, cells []result.Cell, idle []idleRun) error {
	text := tripTable(cells) + idleTable(idle)
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(c.out, "table.txt"), []byte(text), 0o644); err != nil {
		return err
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	fmt.Printf("\n%s\nresults: %s (result.jsonl, idle.jsonl, table.txt, environment.json)\n", e.Footer(), c.out)
	return nil
}
