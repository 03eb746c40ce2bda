// SPDX-License-Identifier: Apache-2.0

// Pingpong measures how many calls a second two processes exchange through dx,
// how long a call takes, and what that costs, beside what the bare cache line
// costs in the same run. See -h.
package main

import (
	"context"
	"fmt"
	"os"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
)

func main() { command.Main("pingpong", parse, measureAll) }

// measureAll measures every cell, keeps each run as soon as it is there, and
// reports also what an interruption left.
func measureAll(ctx context.Context, c config) int {
	if err := result.PrepareDir(c.out); err != nil {
		fmt.Fprintln(os.Stderr, "pingpong: -out:", err)
		return command.Usage
	}
	environment := env.Capture(".")
	cells, err := runGrid(ctx, c, environment)
	if len(cells) > 0 {
		if reportErr := report(c, environment, cells); reportErr != nil {
			fmt.Fprintln(os.Stderr, "pingpong: report:", reportErr)
			return command.Failed
		}
	}
	kept := fmt.Sprintf("%d complete runs are kept in %s", len(cells), c.out)
	if code := command.Code(ctx, "pingpong", err, kept); code != command.OK {
		return code
	}
	for _, cell := range cells {
		if cell.Failed() || cell.Errors > 0 {
			fmt.Fprintf(os.Stderr, "pingpong: %d callers, run %d: %d failed calls, %d wrong answers\n",
				cell.Threads, cell.Run, cell.Errors, cell.VerifyFailures)
			return command.Failed
		}
	}
	return 0
}
