// SPDX-License-Identifier: Apache-2.0

// Report draws and describes what frames measured. See -h.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"dx/experiments/internal/command"
	"dx/experiments/internal/flags"
	"dx/experiments/internal/framereport"
)

const usage = `report draws and describes what frames measured.

  go run ./experiments/report out/frames-20260102-150405
  go run ./experiments/report -out out/mine out/frames-20260102-150405

FOLDER is one that frames wrote: result.jsonl, and environment.json and membw.json
where they are there. Frames calls this at its end; call it again after a change of
the report, or for results of another machine.

It leaves performance_report.txt, report.html (one page that needs no other file and
no network), and each chart as PNG and SVG:

  bandwidth_analysis   distribution, scaling with size, phases, success
  latency_histogram    linear and logarithmic
  latency_over_time    frame after frame, with median and p99
  latency_percentiles  with 50, 90, 99 % marked
  ring_size            overlapped frames against one memcpy, if rings were varied
  counters             what both sides counted
  memory_levels        what each cache and the memory give

Sentences follow from the data: nothing is called faster unless there are 5 runs and
the margin is larger than what runs of the same thing differ by.

Exit code: 0 all right, 1 some frames had failed or a file could not be written,
2 wrong flags or no results, 130 interrupted.

Flags:
`

type config struct{ folder, out string }

func main() {
	command.Main("report", parse, func(ctx context.Context, c config) int { return act(ctx, c, os.Stdout, os.Stderr) })
}

// parse reads the flags, which may stand behind the folder.
func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := flags.New("report", usage, stderr)
	fs.StringVar(&c.out, "out", "", "folder of the report; default FOLDER itself")
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return c, err
		}
		if args = fs.Args(); len(args) == 0 {
			break
		}
		if c.folder != "" {
			return c, fmt.Errorf("one folder at a time: %q and %q", c.folder, args[0])
		}
		c.folder, args = args[0], args[1:]
	}
	if c.folder == "" {
		return c, errors.New("no folder given; see -h")
	}
	info, err := os.Stat(c.folder)
	if err != nil {
		return c, err
	}
	if !info.IsDir() {
		return c, fmt.Errorf("%s is no folder: name the one that holds result.jsonl", c.folder)
	}
	if c.out == "" {
		c.out = c.folder
	}
	return c, nil
}

func act(ctx context.Context, c config, stdout, stderr io.Writer) int {
	made, err := framereport.Make(ctx, c.folder, c.out)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "report: interrupted; an older report, if there is one, is as it was")
		return command.Interrupted
	case err != nil:
		fmt.Fprintln(stderr, "report:", err)
		if made.Charts == nil { // nothing to draw from
			return command.Usage
		}
		return command.Failed
	}
	for _, chart := range made.Charts {
		if chart.Skipped != "" {
			fmt.Fprintf(stdout, "%s: left out: %s\n", chart.Name, chart.Skipped)
		}
	}
	fmt.Fprintf(stdout, "%s\n%s\n", made.TextPath, made.HTMLPath)
	if made.Document.Failed {
		fmt.Fprintln(stderr, "report: some frames had failed; see", made.TextPath)
		return command.Failed
	}
	return command.OK
}
