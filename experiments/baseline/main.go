// SPDX-License-Identifier: Apache-2.0

// Baseline measures what this machine costs without dx: the round trip of a
// cache line between two CPUs, that of a bare loop that moves bytes, and the
// bandwidth of memory by size. See -h.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/floor"
	"dx/experiments/internal/membw"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

const usage = `baseline measures what this machine costs without any protocol.

  go run ./experiments/baseline
  go run ./experiments/baseline -cpus 0,1 -runs 9 -duration 50ms -out out/base

It prints the round trip between two CPUs (a bare cache line, and loops that
copy bytes in and out on both sides), the bandwidth of copying, reading and
writing by buffer size, and the same at each level of the caches and in memory,
each as the median of -runs with minimum and maximum, and leaves baseline.json
in -out. A copied byte counts once. MB is 10^6 bytes, KiB 1024. Buffers for
memory are twice the last cache where there is room: -buffer-max sets a limit.
Exit code: 0 all right, 1 a measurement failed, 2 wrong flags,
130 interrupted.

Flags:
`

// figure is one line of the result: runs in the order they were made.
type figure struct {
	What  string    `json:"what"` // round_trip, copy, read, write
	Bytes int       `json:"bytes"`
	Unit  string    `json:"unit"` // ns, bytes_per_s
	Runs  []float64 `json:"runs"`

	measure func() (float64, error)
}

type options struct {
	cpuA, cpuB int
	runs       int
	duration   time.Duration
	bufferMax  int
	out        string
}

func main() {
	command.Into("baseline", parse, func(o options) string { return o.out }, func(ctx context.Context, o options) int {
		return command.Code(ctx, "baseline", run(ctx, o, os.Stdout), "nothing is kept of unfinished runs")
	})
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := command.Flags("baseline", usage, stderr)
	cpus := fs.String("cpus", "0,1", "the two CPUs")
	fs.IntVar(&o.runs, "runs", 5, "runs of each measurement, interleaved")
	fs.DurationVar(&o.duration, "duration", 20*time.Millisecond, "of one run of one measurement")
	fs.IntVar(&o.bufferMax, "buffer-max", 0, "bytes of the largest buffer at a level; default an eighth of the free memory, at most 1 GiB")
	fs.StringVar(&o.out, "out", "", "folder of the result; default out/baseline-TIME")
	if err := command.Parse(fs, args); err != nil {
		return o, err
	}
	if n, err := fmt.Sscanf(*cpus, "%d,%d", &o.cpuA, &o.cpuB); n != 2 || err != nil {
		return o, fmt.Errorf("-cpus %q: two numbers such as 0,1", *cpus)
	}
	o.out = command.Folder(o.out, "baseline")
	return o, cmp.Or(
		command.Within("buffer-max", o.bufferMax, 0, 1<<40),
		command.Within("runs", o.runs, 1, 1e6),
		command.Within("duration", o.duration, time.Millisecond, time.Hour),
	)
}

func figures(o options) []*figure {
	var all []*figure
	for _, bytes := range []int{0, 64, 1024, 4096, 65536} {
		all = append(all, &figure{What: "round_trip", Bytes: bytes, Unit: "ns",
			measure: func() (float64, error) {
				r, err := floor.Measure(o.cpuA, o.cpuB, bytes, o.duration)
				return r.RTTNs, err
			}})
	}
	for kind, what := range []string{floor.KindCopy: "copy", floor.KindRead: "read", floor.KindWrite: "write"} {
		for bytes := 4 << 10; bytes <= 64<<20; bytes *= 4 {
			all = append(all, &figure{What: what, Bytes: bytes, Unit: "bytes_per_s", measure: func() (float64, error) {
				moved, err := floor.Bandwidth(floor.Kind(kind), bytes, o.duration)
				return moved.BytesPerSecond(), err
			}})
		}
	}
	return all
}

// run measures everything in turn, run by run, so that a drift of the machine
// meets all alike.
func run(ctx context.Context, o options, w io.Writer) error {
	all := figures(o)
	bar := progress.New("baseline", o.runs*len(all))
	defer bar.Close()
	for range o.runs {
		for _, f := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			bar.Describe(fmt.Sprintf("%s, %s", f.What, result.FormatBytes(f.Bytes)))
			value, err := f.measure()
			if err != nil {
				return err
			}
			f.Runs = append(f.Runs, value)
			bar.Add(1)
		}
	}
	bar.Close()
	levels, err := membw.MeasureShown(ctx, "baseline, levels", membw.Options{CPU: o.cpuA, Runs: o.runs, Duration: o.duration, BytesMax: o.bufferMax})
	if err != nil {
		return err
	}
	if err := table(w, all); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := levels.Table(w); err != nil {
		return err
	}
	text, err := json.MarshalIndent(struct {
		Environment env.Environment `json:"environment"`
		CPUs        [2]int          `json:"cpus"`
		Figures     []*figure       `json:"figures"`
		Levels      membw.Baseline  `json:"levels"`
	}{env.Capture("."), [2]int{o.cpuA, o.cpuB}, all, levels}, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(o.out, "baseline.json")
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nresult: %s\n", path)
	return err
}

func table(w io.Writer, all []*figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "what\tbytes\tmedian\tmin\tmax\tunit\t")
	for _, f := range all {
		scale, unit := 1.0, "ns"
		if f.Unit != "ns" {
			scale, unit = 1e-6, "MB/s"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t\n", f.What, f.Bytes,
			result.FormatSig3(stat.Median(f.Runs)*scale), result.FormatSig3(stat.Min(f.Runs)*scale),
			result.FormatSig3(stat.Max(f.Runs)*scale), unit)
	}
	return t.Flush()
}
