// SPDX-License-Identifier: Apache-2.0

// Frames measures how large payloads cross shared memory from a host process to
// a guest process, phase by phase, beside one memcpy of the same bytes in the same
// run. See -h.
package main

import (
	"context"
	"fmt"
	"os"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
)

func main() {
	command.Main("frames", parse, func(ctx context.Context, c config) int {
		if err := prepareDir(c.out); err != nil {
			fmt.Fprintln(os.Stderr, "frames:", err)
			return command.Usage
		}
		return measureAll(ctx, c)
	})
}

// prepareDir proves that results can be written, and that none are there already:
// iterations are numbered through a whole folder.
func prepareDir(dir string) error {
	if err := result.PrepareDir(dir); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	if info, err := os.Stat(dir + "/" + result.FileName); err == nil && info.Size() > 0 {
		return fmt.Errorf("-out: %s holds results already; take another folder", dir)
	}
	return nil
}

// measureAll measures every cell and reports also what an interruption left.
func measureAll(ctx context.Context, c config) int {
	environment := env.Capture(".")
	if err := measureMachine(ctx, c); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "frames: baseline:", err)
		return command.Failed
	}
	log, err := runAll(ctx, c, environment)
	if len(log.records) > 0 && log.records[0].Accelerator != "" {
		environment.Accelerator = log.records[0].Accelerator
	}
	if len(log.records) > 0 {
		reportErr := report(c, environment, log)
		if reportErr == nil {
			reportErr = describe(ctx, c)
		}
		if reportErr != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "frames: report:", reportErr)
			return command.Failed
		}
	}
	failed := 0
	for _, r := range log.records {
		if !r.OK {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d frames failed", failed, len(log.records))
	}
	return command.Code(ctx, "frames", err, fmt.Sprintf("%d frames are kept in %s; for charts: go run ./experiments/plot %s",
		len(log.records), c.out, c.out))
}
