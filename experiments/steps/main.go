// SPDX-License-Identifier: Apache-2.0

// Steps measures where the time of a call goes: a bare loop between two CPUs to which the steps of the
// slot protocol are added one at a time, and then calls of dx. See -h.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/floor"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

const usage = `steps measures where the time of a call goes.

  go run ./experiments/steps
  go run ./experiments/steps -runs 100 -out out/steps

It measures a bare loop between two CPUs, and then the same loop with each step that a
call of dx takes added on top of those before it: 64 bytes each way, a fence after each
word, the fields beside the words, the look whether the other side sleeps, the server's
journal, counters, and the looks at stop flags. Then it measures one caller of dx itself,
in C and in Go. Everything takes its turn in each run, between two measurements of the
bare line, and counts for the distance that the two CPUs had then (siblings of a core,
near, far); where they moved meanwhile it does not count.

It prints a table for each distance, in ns a round trip, and leaves steps.json in -out.
Exit code: 0 all right, 1 a measurement failed, 2 wrong flags, 130 interrupted.

Flags:
`

type config struct {
	runs     int
	duration time.Duration
	out      string
}

func main() {
	command.Into("steps", parse, func(c config) string { return c.out }, func(ctx context.Context, c config) int {
		kept, err := measureAll(ctx, c)
		if len(kept.Samples) > 0 {
			err = cmp.Or(err, report(os.Stdout, c, kept))
		}
		return command.Code(ctx, "steps", err, fmt.Sprintf("%d samples are kept in %s", len(kept.Samples), c.out))
	})
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := command.Flags("steps", usage, stderr)
	fs.IntVar(&c.runs, "runs", 25, "runs, in each of which everything takes its turn")
	fs.DurationVar(&c.duration, "duration", 20*time.Millisecond, "of each step in a run; a call of dx is measured for ten times as long")
	fs.StringVar(&c.out, "out", "", "folder of the result; default out/steps-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	c.out = command.Folder(c.out, "steps")
	return c, cmp.Or(command.Within("runs", c.runs, 1, 1e6), command.Within("duration", c.duration, time.Millisecond, time.Minute))
}

// sample is one measurement between two floors.
type sample struct {
	Run      int             `json:"run"`
	What     string          `json:"what"`
	Distance result.Distance `json:"distance"`
	RTTNs    float64         `json:"rtt_ns"`
	FloorNs  float64         `json:"floor_rtt_ns"` // mean of the two
}

// log is steps.json.
type log struct {
	Environment env.Environment `json:"environment"`
	CPUs        [2]int          `json:"cpus"`
	DurationNs  int64           `json:"duration_ns"`
	Samples     []sample        `json:"samples"`
}

const (
	callInC  = "dx, a call in C"
	callInGo = "dx, a call in Go"
	// callShare is how much longer a call of dx is measured than a step.
	callShare = 10
	floorTime = 8 * time.Millisecond
)

// rows are what the table has, in its order.
func rows() []string { return append(append([]string{}, floor.Steps...), callInC, callInGo) }

func measureAll(ctx context.Context, c config) (log, error) {
	cpus, err := affinity.Split()
	if err != nil {
		return log{}, err
	}
	out := log{Environment: env.Capture("."), CPUs: [2]int{cpus.Host[0], cpus.Guest[0]}, DurationNs: int64(c.duration)}
	if out.CPUs[0] == out.CPUs[1] {
		return log{}, errors.New("a round trip between CPUs needs two, and this process may use one")
	}
	bar := progress.New("steps", c.runs)
	defer bar.Close()
	for run := 1; run <= c.runs; run++ {
		bar.Describe(fmt.Sprintf("run %d of %d", run, c.runs))
		of, err := out.measure(ctx, c, run)
		if ctx.Err() != nil {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out.Samples = append(out.Samples, of...)
		bar.Add(1)
	}
	return out, nil
}

// measure is one run.
func (l *log) measure(ctx context.Context, c config, run int) (all []sample, err error) {
	line := func() (floor.Result, error) { return floor.Measure(l.CPUs[0], l.CPUs[1], 0, floorTime) }
	before, err := line()
	if err != nil {
		return nil, err
	}
	for step, what := range floor.Steps {
		r, err := floor.MeasureSteps(l.CPUs[0], l.CPUs[1], step, c.duration)
		if err != nil {
			return nil, err
		}
		after, err := line()
		if err != nil {
			return nil, err
		}
		all = append(all, sample{run, what, result.DistanceOf(before.RTTNs, after.RTTNs), r.RTTNs, (before.RTTNs + after.RTTNs) / 2})
		if before = after; ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for what, language := range map[string]string{callInC: "c", callInGo: "go"} {
		calls, err := measureCalls(ctx, language, callShare*c.duration)
		if err != nil {
			return nil, err
		}
		for _, cell := range calls {
			for _, s := range cell.Slices {
				all = append(all, sample{run, what, cell.Distance, 1e9 / s.PerS(), (s.FloorBeforeNs + s.FloorAfterNs) / 2})
			}
		}
	}
	return all, nil
}

// measureCalls has one caller, and both sides in one language.
func measureCalls(ctx context.Context, language string, d time.Duration) ([]result.Cell, error) {
	c := exchange.Default()
	c.Threads, c.Host, c.Guest, c.Duration = 1, language, language, d
	cells, err := exchange.MeasureByDistance(ctx, c)
	for _, cell := range cells {
		err = cmp.Or(err, cell.Wrong())
	}
	return cells, err
}

// report writes the table and steps.json.
func report(w io.Writer, c config, l log) error {
	if err := table(w, l.Samples); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(c.out, "steps.json")
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "result: %s\n", path)
	return err
}
