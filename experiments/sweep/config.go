// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"

	"dx/experiments/internal/command"
	"dx/experiments/sweep/grid"
)

// config is what one invocation does.
type config struct {
	args      []string // sweep files, or logs to merge
	files     []*grid.File
	log       string
	shard     int // 1 to shards
	shards    int
	seed      uint64
	repeats   int // 0: as the files say
	anyCommit bool
	plan      bool
	merge     bool
	report    bool
}

const usage = `sweep measures a grid of configurations: all cells of all files once, then all
again, each time in a new order, so that a drift of the machine meets all alike.

  go run ./experiments/sweep tuning/sweep/presets.toml
  go run ./experiments/sweep tuning/experiments/*.toml      the ten experiments
  go run ./experiments/sweep -n tuning/sweep/*.toml         what, and how long

Each run of a cell becomes a line of the log as soon as it is done, with commit,
environment and all parameters. After Ctrl-C or a crash the same command goes on:
what the log has of this commit is not measured again. Charts of a log:
go run ./experiments/plot.

A file holds the keys of a wait strategy and those of the measurement, each a
value, a list or a range: { from = 1, to = 64, factor = 2 }, { from = 1, to = 9,
step = 2 }. These keys make cells:
%s
And for the whole file: title, hypothesis, expect, compare, earlier, repeats,
duration, histograms.

Many machines, each with its own log, by GNU parallel or any other scheduler;
-shard i/n takes every n-th cell, with all its repeats:

  parallel -j1 --sshlogin a,b,c,d --wd dx --return out/shard-{}.jsonl \
      go run ./experiments/sweep -shard {}/4 -log out/shard-{}.jsonl \
      tuning/sweep/spin-yield.toml ::: 1 2 3 4
  go run ./experiments/sweep -merge -log out/all.jsonl out/shard-*.jsonl

One machine measures one shard at a time: -j1 is for each login. -merge keeps what
the log has, drops lines that are there twice, and refuses two different results
of the same run of the same cell.

  go run ./experiments/sweep -report tuning/experiments/*.toml > docs/measurements/tuning.md

writes what the log says about the files: each hypothesis, our figures, and a
verdict that only a difference beyond the noise makes.

Exit code: 0 all right, 1 wrong content, failed calls, failed runs or a merge that
is refused, 2 wrong flags or files, 130 interrupted.

Flags:
`

// parse reads the flags, which may stand between the files.
func parse(args []string, stderr io.Writer) (config, error) {
	c := config{}
	fs := command.Flags("sweep", fmt.Sprintf(usage, wrap(grid.Keys())), stderr)
	shard := fs.String("shard", "1/1", "measure share i of n")
	fs.StringVar(&c.log, "log", "tuning/results.jsonl", "log of results")
	fs.Uint64Var(&c.seed, "seed", rand.Uint64N(1e6), "of the order of cells")
	fs.IntVar(&c.repeats, "repeats", 0, "runs of each cell; 0: as its file says")
	fs.BoolVar(&c.anyCommit, "any-commit", false, "take what the log has of other commits for done, too")
	fs.BoolVar(&c.plan, "n", false, "list the cells and how long they take, and end")
	fs.BoolVar(&c.merge, "merge", false, "put the given logs into -log and end")
	fs.BoolVar(&c.report, "report", false, "write a report about the files from -log and end")
	var err error
	if c.args, err = command.Names(fs, args); err != nil {
		return c, err
	}
	if c.shard, c.shards, err = parseShard(*shard); err != nil {
		return c, err
	}
	return c, c.load()
}

func wrap(words []string) string {
	var text strings.Builder
	line := " "
	for _, word := range words {
		if len(line)+len(word) > 78 {
			text.WriteString(line + "\n")
			line = " "
		}
		line += " " + word
	}
	return text.String() + line
}

func parseShard(text string) (shard, shards int, err error) {
	i, n, found := strings.Cut(text, "/")
	shard, err1 := strconv.Atoi(i)
	shards, err2 := strconv.Atoi(n)
	if !found || errors.Join(err1, err2) != nil || shard < 1 || shards > 10000 || shard > shards {
		return 0, 0, fmt.Errorf("-shard %q is not i/n, such as 1/4, 2/4, 3/4 and 4/4", text)
	}
	return shard, shards, nil
}

// load reads the sweep files.
func (c *config) load() error {
	switch {
	case len(c.args) == 0:
		return errors.New("no file given; see -h")
	case c.repeats < 0 || c.repeats > grid.RepeatsMax:
		return fmt.Errorf("-repeats %d: 1 to %d", c.repeats, grid.RepeatsMax)
	case c.merge && (c.plan || c.report) || c.plan && c.report:
		return errors.New("-n, -merge and -report: one at a time")
	case c.merge:
		return nil
	}
	byName := map[string]string{}
	for _, path := range c.args {
		file, err := grid.Load(path)
		if err != nil {
			return err
		}
		if other, twice := byName[file.Name]; twice {
			return fmt.Errorf("%s and %s have the same name: results could not be told apart", other, path)
		}
		byName[file.Name] = path
		if c.repeats > 0 {
			file.Repeats = c.repeats
		}
		c.files = append(c.files, file)
	}
	return nil
}
