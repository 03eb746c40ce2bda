// SPDX-License-Identifier: Apache-2.0

// Frames measures how large payloads cross shared memory from a host process to
// a guest process, phase by phase, beside one memcpy of the same bytes in the same
// run. See -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	boundary.Init()
	if isGuest() {
		os.Exit(guestMain())
	}
	c, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err == nil {
		err = prepareDir(c.out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "frames:", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(measureAll(ctx, c))
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
		return exitFailed
	}
	log, err := runAll(ctx, c, environment)
	if len(log.records) > 0 && log.records[0].Accelerator != "" {
		environment.Accelerator = log.records[0].Accelerator
	}
	interrupted := ctx.Err() != nil
	if len(log.records) > 0 {
		reportErr := report(c, environment, log)
		if reportErr == nil {
			reportErr = describe(ctx, c)
		}
		if reportErr != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "frames: report:", reportErr)
			return exitFailed
		}
	}
	failed := 0
	for _, r := range log.records {
		if !r.OK {
			failed++
		}
	}
	switch {
	case interrupted:
		fmt.Fprintf(os.Stderr, "frames: interrupted; %d frames are kept in %s; for charts: go run ./experiments/plot %s\n",
			len(log.records), c.out, c.out)
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, "frames:", err)
		return exitFailed
	case failed > 0:
		fmt.Fprintf(os.Stderr, "frames: %d of %d frames failed\n", failed, len(log.records))
		return exitFailed
	}
	return 0
}
