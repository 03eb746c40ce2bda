// SPDX-License-Identifier: Apache-2.0

// Soak exchanges verified calls between two processes for as long as wanted, while it kills,
// stops, closes and scribbles, and reports what went wrong: nothing should. See -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"dx/experiments/internal/env"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	if isRole() {
		os.Exit(roleMain())
	}
	c, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err == nil {
		err = result.PrepareDir(c.out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(soakAndReport(ctx, c, os.Stdout, os.Stderr))
}

// soakAndReport does all of it and returns the exit code.
func soakAndReport(ctx context.Context, c config, out, errs io.Writer) int {
	environment := env.Capture(".")
	fmt.Fprintf(errs, "soak: -seed %d\n", c.seed)
	s, err := newSoak(c)
	if err != nil {
		fmt.Fprintln(errs, "soak:", err)
		return exitUsage
	}
	s.report.Environment = environment
	s.bar = progress.New("soak", 100)
	err = s.run(ctx)
	s.bar.Close()
	s.bar = nil
	s.endAll()
	verdict, code := s.judgement(ctx, err)
	s.complete(verdict)
	err = errors.Join(s.close(), s.write(out))
	if err != nil {
		fmt.Fprintln(errs, "soak:", err)
		return exitFailed
	}
	return code
}

// judgement turns what run returned into words and an exit code. What was wrong is wrong after an
// interruption, too.
func (s *soak) judgement(ctx context.Context, err error) (verdict string, code int) {
	switch {
	case err != nil && ctx.Err() == nil && !errors.Is(err, errFailed):
		s.fail("%v", err)
		return "could not go on", exitUsage
	case len(s.report.Failures) > 0:
		return "something was wrong", exitFailed
	case ctx.Err() != nil:
		return "interrupted", exitInterrupted
	}
	return "all right", 0
}
