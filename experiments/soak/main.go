// SPDX-License-Identifier: Apache-2.0

// Soak exchanges verified calls between two processes for as long as wanted, while it kills,
// stops, closes and scribbles, and reports what went wrong: nothing should. See -h.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/progress"
)

func main() {
	command.Into("soak", parse, func(c config) string { return c.out }, func(ctx context.Context, c config) int {
		return soakAndReport(ctx, c, os.Stdout, os.Stderr)
	})
}

// soakAndReport does all of it and returns the exit code.
func soakAndReport(ctx context.Context, c config, out, errs io.Writer) int {
	environment := env.Capture(".")
	fmt.Fprintf(errs, "soak: -seed %d\n", c.seed)
	s, err := newSoak(c)
	if err != nil {
		fmt.Fprintln(errs, "soak:", err)
		return command.Usage
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
		return command.Failed
	}
	return code
}

// judgement turns what run returned into words and an exit code. What was wrong is wrong after an
// interruption, too.
func (s *soak) judgement(ctx context.Context, err error) (verdict string, code int) {
	switch {
	case err != nil && ctx.Err() == nil && !errors.Is(err, errFailed):
		s.fail("%v", err)
		return "could not go on", command.Usage
	case len(s.report.Failures) > 0:
		return "something was wrong", command.Failed
	case ctx.Err() != nil:
		return "interrupted", command.Interrupted
	}
	return "all right", 0
}
