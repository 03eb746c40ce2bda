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

func main() {
	command.Into("pingpong", parse, func(c config) string { return c.out }, measureAll)
}

// measureAll measures every cell, keeps each run as soon as it is there, and
// reports also what an interruption left.
func measureAll(ctx context.Context, c config) int {
	environment := env.Capture(".")
	cells, err := runGrid(ctx, c, environment)
	if len(cells) > 0 {
		if reportErr := report(c, environment, cells); reportErr != nil {
			fmt.Fprintln(os.Stderr, "pingpong: report:", reportErr)
			return command.Failed
		}
	}
	for _, cell := range cells {
		if wrong := cell.Wrong(); err == nil && wrong != nil {
			err = fmt.Errorf("%s, run %d: %w", result.Callers(cell.Threads), cell.Run, wrong)
		}
	}
	return command.Code(ctx, "pingpong", err, fmt.Sprintf("%d complete runs are kept in %s", len(cells), c.out))
}
