// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
)

// config is what one invocation does.
type config struct {
	budget  time.Duration
	goal    string
	weights weights
	callers []int
	base    exchange.Config
	out     string
	seed    uint64
}

const usage = `tune finds wait settings for this machine, and says whether they are better than
the default by more than the noise.

  go run ./experiments/tune                                a minute, for low latency
  go run ./experiments/tune -goal throughput -threads 8 -budget 5m
  go run ./experiments/tune -goal mix -weights latency=2,throughput=1,cost=1
  DX_WAIT=out/tune-TIME/tune.toml PROGRAM                  what comes of it; dx.LoadWait
                                                           and dx_wait_load read it, too
Goals, each over the numbers of callers of -threads:

  latency     low p99 of a call
  throughput  many calls a second
  cost        few CPU seconds of both sides per call
  mix         all three by -weights; what is not named there counts 0

Presets and random points around them are measured for a short slice each, in mixed
order; the better half goes on with slices twice as long, until two are left. These
meet the default again, in fresh runs. A score is the geometric mean, over the
callers, of how many times better than the default; a drift of the machine cancels
out, since only runs of the same round are compared.

The default takes part under two names. The difference of the two is noise: who is
not better than both by more than that, and in more rounds than chance explains,
does not win, and tune.toml is the default. A longer -budget sees smaller gains.

All is measured in a closed loop: callers that never pause. Nothing here shows what
spinning costs a channel that is idle: strategies that never sleep are left out.

DIR has tune.toml, report.txt, pareto.png and .svg, and every run in result.jsonl.
Ctrl-C ends early and writes the best so far, marked as not confirmed, or the
default if none is beyond the noise.

Exit code: 0 all right, 1 runs failed, 2 wrong flags, 130 interrupted.

Flags:
`

// budgetPerCallers is the least that measures two candidates.
const budgetPerCallers = 3 * time.Second

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{base: exchange.Default()}
	fs := command.Flags("tune", usage, stderr)
	fs.DurationVar(&c.budget, "budget", time.Minute, "time for all runs")
	fs.StringVar(&c.goal, "goal", "latency", "latency, throughput, cost or mix")
	mix := fs.String("weights", "latency=1,throughput=1,cost=0", "of -goal mix")
	callers := fs.String("threads", "1,4,8", "numbers of callers")
	fs.StringVar(&c.base.Host, "host", c.base.Host, "language of the calling side: go, c")
	fs.StringVar(&c.base.Guest, "guest", c.base.Guest, "language of the answering side: go, c")
	fs.IntVar(&c.base.Payload, "payload", c.base.Payload, "bytes of each request and each response")
	fs.StringVar(&c.base.Transport, "transport", c.base.Transport, "memfd, shm, file, unix")
	fs.StringVar(&c.out, "out", "", "folder of results (default out/tune-TIME)")
	fs.Uint64Var(&c.seed, "seed", rand.Uint64N(1e6), "of candidates and order; the report says which it was")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	mixGiven := false
	fs.Visit(func(f *flag.Flag) { mixGiven = mixGiven || f.Name == "weights" })
	if mixGiven && c.goal != "mix" {
		return c, fmt.Errorf("-weights is for -goal mix, not %s", c.goal)
	}
	c.out = command.Folder(c.out, "tune")
	var err error
	if c.weights, err = parseGoal(c.goal, *mix); err != nil {
		return c, err
	}
	if c.callers, err = parseCallers(*callers); err != nil {
		return c, err
	}
	return c, c.check()
}

func parseGoal(goal, mix string) (w weights, err error) {
	if i := slices.Index(figureNames[:], goal); i >= 0 {
		w[i] = 1
		return w, nil
	}
	if goal != "mix" {
		return w, fmt.Errorf("-goal %q is none of: latency, throughput, cost, mix", goal)
	}
	sum := 0.0
	named := map[string]bool{}
	for part := range strings.SplitSeq(mix, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		i := slices.Index(figureNames[:], name)
		weight, err := strconv.ParseFloat(value, 64)
		if !found || i < 0 || err != nil || named[name] || !(weight >= 0 && weight <= 1000) {
			return w, fmt.Errorf("-weights %q: %q is not NAME=WEIGHT with latency, throughput or cost, each once, and 0 to 1000", mix, part)
		}
		named[name], w[i] = true, weight
		sum += weight
	}
	if sum == 0 || math.IsNaN(sum) {
		return w, fmt.Errorf("-weights %q: nothing counts", mix)
	}
	return w, nil
}

func parseCallers(text string) (list []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > exchange.ThreadsMax || slices.Contains(list, n) {
			return nil, fmt.Errorf("-threads %q: %q is no number from 1 to %d, each once", text, part, exchange.ThreadsMax)
		}
		list = append(list, n)
	}
	return list, nil
}

func (c config) check() error {
	least := budgetPerCallers * time.Duration(len(c.callers))
	if c.budget < least || c.budget > 24*time.Hour {
		return fmt.Errorf("-budget %v: %v to 24h for %d numbers of callers", c.budget, least, len(c.callers))
	}
	return exchange.FlagError(c.base.Check())
}
