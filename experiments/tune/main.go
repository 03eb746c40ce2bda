// SPDX-License-Identifier: Apache-2.0

// Tune finds wait settings for this machine within a budget of time. See -h.
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

func main() {
	command.Into("tune", parse, func(c config) string { return c.out }, func(ctx context.Context, c config) int {
		return tune(ctx, c, exchange.Measure, os.Stdout)
	})
}

// tuning is one invocation.
type tuning struct {
	config
	env         env.Environment
	log         *result.Writer
	exchange    func(context.Context, exchange.Config) (result.Cell, error)
	cells       []result.Cell
	search      *search
	interrupted bool
}

// tune searches, and writes what was found until it ended.
func tune(ctx context.Context, c config, measure func(context.Context, exchange.Config) (result.Cell, error), out io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "tune:", err)
		return command.Failed
	}
	t := &tuning{config: c, env: env.Capture(".", c.out), exchange: measure}
	var err error
	if t.log, err = result.OpenWriter(c.out); err != nil {
		return fail(err)
	}
	defer t.log.Close() // every line is on the disk already
	dir, err := os.MkdirTemp("", "dx-tune-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t.base.Dir = dir
	fmt.Fprintf(os.Stderr, "tune: -seed %d, results in %s\n", c.seed, c.out)
	bar := progress.New("tune, seconds", int(c.budget.Seconds()))
	t.search = t.newSearch(bar)
	err = t.search.run(ctx)
	bar.Close()
	t.interrupted = ctx.Err() != nil
	if err != nil && !t.interrupted {
		return fail(err)
	}
	if err := t.report(out); err != nil {
		return fail(err)
	}
	switch {
	case t.interrupted:
		return command.Interrupted
	case t.search.failures > 0:
		return fail(fmt.Errorf("%d runs failed", t.search.failures))
	}
	return 0
}

func (t *tuning) newSearch(bar *progress.Bar) *search {
	random := rand.New(rand.NewPCG(t.seed, 1))
	shown := 0
	return &search{
		weights: t.weights, callers: t.callers, budget: t.budget, random: random,
		field:   func(n int) []*candidate { return contenders(random, n, t.base.Transport) },
		measure: t.measure, now: time.Now, note: func(text string) { bar.Note("tune: " + text) },
		say: func(what string, at time.Duration) {
			bar.Describe(what)
			bar.Add(int(at.Seconds()) - shown)
			shown = int(at.Seconds())
		},
		a:     &candidate{name: defaultName, wait: t.base.Wait},
		again: &candidate{name: defaultName + " again", wait: t.base.Wait},
	}
}

// measure makes a run and logs it.
func (t *tuning) measure(ctx context.Context, c *candidate, callers int, slice time.Duration, round int) (figures, error) {
	config := t.base
	config.Wait, config.Threads, config.Duration = c.wait, callers, slice
	cell, err := t.exchange(ctx, config)
	if err != nil {
		return figures{}, err
	}
	cell.Experiment, cell.Variant, cell.Run = "tune", c.name, round
	cell.EnvCommit, cell.Env = t.env.Commit(), &t.env
	cell.RTTHistogram, cell.IntendedHistogram = "", ""
	if round > 0 { // not the warm-up
		if err := t.log.Write(cell); err != nil {
			return figures{}, err
		}
		t.cells = append(t.cells, cell)
	}
	if err := cell.Wrong(); err != nil {
		return figures{}, err
	}
	return figuresOf(cell), nil
}

// figuresOf turns all figures so that more is better.
func figuresOf(cell result.Cell) figures {
	f := figures{math.NaN(), math.NaN(), math.NaN()}
	if cell.RTTP99Ns != nil {
		f[latency] = 1 / float64(max(*cell.RTTP99Ns, 1))
	}
	if cell.OpsPerS != nil {
		f[throughput] = *cell.OpsPerS
	}
	if cell.CPUSPerMop != nil {
		f[cost] = 1 / *cell.CPUSPerMop
	}
	return f
}
