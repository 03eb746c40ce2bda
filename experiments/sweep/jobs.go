// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
	"dx/experiments/sweep/grid"
)

// job is one run of one cell.
type job struct {
	cell       grid.Cell
	run        int // 1, 2, ...
	histograms bool
}

// id names a run: the same of another commit is another.
type id struct {
	key    string
	run    int
	commit string
}

// idOf is what a line of the log is.
func idOf(c result.Cell) id {
	commit := ""
	if c.Env != nil {
		commit = c.Env.GitCommit
	}
	return id{c.CellKey, c.Run, commit}
}

// jobs returns all runs of this shard: each round has every cell once, in an
// order of its own. The split depends on the files and nothing else.
func (c config) jobs() (all []job) {
	rounds := 0
	for _, file := range c.files {
		rounds = max(rounds, file.Repeats)
	}
	for run := 1; run <= rounds; run++ {
		var round []job
		number := 0
		for _, file := range c.files {
			for _, cell := range file.Cells {
				if number%c.shards == c.shard-1 && run <= file.Repeats {
					round = append(round, job{cell, run, file.Histograms})
				}
				number++
			}
		}
		order := rand.New(rand.NewPCG(c.seed, uint64(run)))
		order.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		all = append(all, round...)
	}
	return all
}

// remaining leaves out what the log has, of this commit or of any.
func (c config) remaining(all []job, log []result.Cell, e env.Environment) (left []job) {
	done := map[id]bool{}
	for _, cell := range log {
		name := idOf(cell)
		if c.anyCommit {
			name.commit = e.GitCommit
		}
		done[name] = true
	}
	for _, j := range all {
		if !done[id{j.cell.Key, j.run, e.GitCommit}] {
			left = append(left, j)
		}
	}
	return left
}

func (j job) String() string {
	text := fmt.Sprintf("run %d, %s", j.run, j.cell.Name)
	if j.cell.Variant != "" {
		text += ", " + j.cell.Variant
	}
	text += ", " + result.Callers(j.cell.Config.Threads)
	if rate := j.cell.Config.RatePerS; rate > 0 {
		text += " at " + result.FormatRate(rate)
	}
	return text
}

// estimate is about how long the jobs take: each starts and ends a guest, warms
// up, and measures floors between its slices.
func estimate(jobs []job) (total time.Duration) {
	const around = 400 * time.Millisecond
	for _, j := range jobs {
		d := j.cell.Config.Duration
		if j.cell.Config.RatePerS > 0 {
			total += d + d/25 + around
		} else {
			total += d*3/2 + d/4 + around
		}
	}
	return total.Round(time.Second)
}

// printPlan lists the cells of this shard.
func printPlan(c config, all, left []job) {
	for _, j := range all {
		if j.run == 1 {
			fmt.Printf("%s  %s\n", j.cell.Key, j.String()[len("run 1, "):])
		}
	}
	fmt.Println(progressOf(c, all, left))
}

// progressOf says how much there is to do.
func progressOf(c config, all, left []job) string {
	text := fmt.Sprintf("%d runs", len(all))
	if c.shards > 1 {
		text += fmt.Sprintf(" in shard %d of %d", c.shard, c.shards)
	}
	if done := len(all) - len(left); done > 0 {
		text += fmt.Sprintf(", %d of them are in %s", done, c.log)
	}
	return text + fmt.Sprintf("; %d to do, about %v", len(left), estimate(left))
}
