// SPDX-License-Identifier: Apache-2.0

// Plot draws what pingpong, sweep and frames measured, and writes a report of it. See -h.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dx/experiments/internal/command"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/result"
)

// config is what one invocation draws.
type config struct {
	names  []string // files and folders
	out    string
	charts []string
	where  []condition
	x, y   string
	value  string
}

const usage = `plot draws results as PNG and SVG, and writes performance_report.txt and report.html.

  go run ./experiments/plot out/frames-20260102-150405
  go run ./experiments/plot out/pingpong-*                         overlaid
  go run ./experiments/plot tuning/results.jsonl -out out/charts
  go run ./experiments/plot tuning/results.jsonl -where experiment=presets
  go run ./experiments/plot tuning/results.jsonl -charts heat -x spin_start
      -y yield_every -value p99 -where experiment=spin-yield,threads=1|8

Name logs of sweep, and folders that pingpong or frames wrote, or the result.jsonl
in them. Folders and files of calls are drawn together. Of a cell that was measured
at several commits, the last one counts. Charts of calls:

  ops          round trips a second over callers, every file's, with the bare line
  percentiles  time of a call; of an open loop from the intended start, too; needs
               whole histograms (sweep: histograms = true)
  pareto       p99 over CPU time, the rate as size
  waits        how waits ended: spinning, after a yield, parked
  heat         a figure over two parameters, -x and -y

Conditions of -where are NAME=VALUE, or NAME=VALUE|VALUE, and all must hold; names
are the parameters of a sweep file, and experiment, the name of the file.

Each folder of frames has charts and a report of its own. frames writes them at its
end; write them again after a change of the report, or for another machine's results.
Its environment.json and membw.json are used if they are there. Charts of frames:

  bandwidth_analysis   distribution, scaling with size, phases, success
  latency_histogram    linear and logarithmic
  latency_over_time    frame after frame, with median and p99
  latency_percentiles  with 50, 90, 99 % marked
  ring_size            overlapped frames against one memcpy, if rings were varied
  counters             what both sides counted
  memory_levels        what each cache and the memory give

report.html is one page that needs no other file and no network. Its sentences follow
from the data: nothing is called faster unless there are 5 runs and the margin is
larger than what runs of the same thing differ by.

Exit code: 0 all right, 1 nothing could be drawn, some frames had failed or a file
could not be written, 2 wrong flags or no results, 130 interrupted.

Flags:
`

var chartNames = []string{"ops", "percentiles", "pareto", "waits", "heat"}

func main() {
	command.Main("plot", parse, func(ctx context.Context, c config) int { return act(ctx, c, os.Stdout, os.Stderr) })
}

// act draws the files of calls together, and each folder of frames by itself.
func act(ctx context.Context, c config, stdout, stderr io.Writer) int {
	calls, folders, err := kinds(c.names)
	if err == nil && len(folders) > 1 && c.out != "" {
		err = fmt.Errorf("-out: one folder of frames at a time: %q and %q", folders[0], folders[1])
	}
	if err != nil {
		fmt.Fprintln(stderr, "plot:", err)
		return command.Usage
	}
	code := command.OK
	if len(calls) > 0 {
		code = c.drawCalls(calls, stdout, stderr)
	}
	for _, folder := range folders {
		code = max(code, drawFrames(ctx, folder, cmp.Or(c.out, folder), stdout, stderr))
	}
	return code
}

// kinds tells files of calls from folders of frames. A folder stands for the results in it.
func kinds(names []string) (calls, folders []string, err error) {
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			name = filepath.Join(name, result.FileName)
		}
		kind, err := result.Experiment(name)
		switch {
		case err != nil:
			return nil, nil, err
		case frames.Wrote(kind):
			folders = append(folders, filepath.Dir(name))
		default:
			calls = append(calls, name)
		}
	}
	return calls, folders, nil
}

func (c config) drawCalls(files []string, stdout, stderr io.Writer) int {
	c.out = cmp.Or(c.out, "out/charts")
	data, err := load(c, files)
	if err == nil {
		err = os.MkdirAll(c.out, 0o755)
	}
	if err != nil {
		fmt.Fprintln(stderr, "plot:", err)
		return command.Usage
	}
	d := drawing{config: c, data: data, say: stdout}
	d.all()
	if len(d.drawn) == 0 {
		fmt.Fprintln(stderr, "plot: nothing could be drawn")
		return command.Failed
	}
	text, html, err := d.report().Write(c.out)
	if err != nil {
		fmt.Fprintln(stderr, "plot:", err)
		return command.Failed
	}
	fmt.Fprintf(stdout, "%s\n%s\n", text, html)
	return command.OK
}

func drawFrames(ctx context.Context, folder, out string, stdout, stderr io.Writer) int {
	made, err := frames.Make(ctx, folder, out)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "plot: interrupted; an older report, if there is one, is as it was")
		return command.Interrupted
	case err != nil:
		fmt.Fprintln(stderr, "plot:", err)
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
		fmt.Fprintln(stderr, "plot: some frames had failed; see", made.TextPath)
		return command.Failed
	}
	return command.OK
}

// parse reads the flags, which may stand between the names.
func parse(args []string, stderr io.Writer) (config, error) {
	c := config{}
	fs := command.Flags("plot", usage, stderr)
	fs.StringVar(&c.out, "out", "", "folder of charts and report; default out/charts for calls, and for frames the folder of the results")
	charts := fs.String("charts", strings.Join(chartNames, ","), "which charts of calls to draw")
	where := fs.String("where", "", "draw only calls with these parameters: NAME=VALUE,...")
	fs.StringVar(&c.x, "x", "", "horizontal parameter of heat; by itself: what a sweep varies")
	fs.StringVar(&c.y, "y", "", "vertical parameter of heat")
	fs.StringVar(&c.value, "value", "", "figure of heat: "+strings.Join(valueNames(), ", ")+"; by itself ops, in an open loop p99")
	var err error
	if c.names, err = command.Names(fs, args); err != nil {
		return c, err
	}
	c.charts = strings.Split(*charts, ",")
	for _, name := range c.charts {
		if err := command.OneOf("charts", name, chartNames...); err != nil {
			return c, err
		}
	}
	if c.value != "" {
		if err := command.OneOf("value", c.value, valueNames()...); err != nil {
			return c, err
		}
	}
	if (c.x == "") != (c.y == "") {
		return c, errors.New("-x and -y belong together")
	}
	if len(c.names) == 0 {
		return c, errors.New("no file or folder given; see -h")
	}
	c.where, err = parseWhere(*where)
	return c, err
}
