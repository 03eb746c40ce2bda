// SPDX-License-Identifier: Apache-2.0

// Pingpong measures how many calls a second two processes exchange through dx,
// how long a call takes, and what that costs, beside what the bare cache line
// costs in the same run. See -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/result"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	if exchange.IsGuest() {
		os.Exit(exchange.GuestMain())
	}
	c, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pingpong:", err)
		os.Exit(exitUsage)
	}
	if err := result.PrepareDir(c.out); err != nil {
		fmt.Fprintln(os.Stderr, "pingpong: -out:", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(measureAll(ctx, c))
}

// measureAll measures every cell, keeps each run as soon as it is there, and
// reports also what an interruption left.
func measureAll(ctx context.Context, c config) int {
	environment := env.Capture(".")
	cells, err := runGrid(ctx, c, environment)
	interrupted := ctx.Err() != nil
	if len(cells) > 0 {
		if reportErr := report(c, environment, cells); reportErr != nil {
			fmt.Fprintln(os.Stderr, "pingpong: report:", reportErr)
			return exitFailed
		}
	}
	switch {
	case interrupted:
		fmt.Fprintf(os.Stderr, "pingpong: interrupted; %d complete runs are kept in %s\n", len(cells), c.out)
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, "pingpong:", err)
		return exitFailed
	}
	for _, cell := range cells {
		if cell.Failed() || cell.Errors > 0 {
			fmt.Fprintf(os.Stderr, "pingpong: %d callers, run %d: %d failed calls, %d wrong answers\n",
				cell.Threads, cell.Run, cell.Errors, cell.VerifyFailures)
			return exitFailed
		}
	}
	return 0
}
