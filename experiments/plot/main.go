// SPDX-License-Identifier: Apache-2.0

// Plot draws results of pingpong and sweep. See -h.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"dx/experiments/internal/flags"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// config is what one invocation draws.
type config struct {
	files  []string
	out    string
	charts []string
	where  []condition
	x, y   string
	value  string
}

const usage = `plot draws results as PNG and SVG.

  go run ./experiments/plot tuning/results.jsonl -out out/charts
  go run ./experiments/plot out/pingpong-*/result.jsonl            overlaid
  go run ./experiments/plot tuning/results.jsonl -where experiment=presets
  go run ./experiments/plot tuning/results.jsonl -charts heat -x spin_start
      -y yield_every -value p99 -where experiment=spin-yield,threads=1|8

Files are those of pingpong (result.jsonl in its folder) and logs of sweep; of a
cell that was measured at several commits the last one counts. Charts:

  ops          round trips a second over callers, every file's, with the bare line
  percentiles  time of a call; of an open loop from the intended start, too; needs
               whole histograms (sweep: histograms = true)
  pareto       p99 over CPU time, the rate as size
  waits        how waits ended: spinning, after a yield, parked
  heat         a figure over two parameters, -x and -y

Conditions of -where are NAME=VALUE, or NAME=VALUE|VALUE, and all must hold; names
are the parameters of a sweep file, and experiment, the name of the file.

Exit code: 0 all right, 1 nothing could be drawn, 2 wrong flags or files.

Flags:
`

var chartNames = []string{"ops", "percentiles", "pareto", "waits", "heat"}

func main() {
	c, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(exitUsage)
	}
	data, err := load(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(exitUsage)
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "plot: -out:", err)
		os.Exit(exitUsage)
	}
	d := drawing{config: c, data: data, say: os.Stdout}
	d.all()
	if d.drawn == 0 {
		fmt.Fprintln(os.Stderr, "plot: nothing could be drawn")
		os.Exit(exitFailed)
	}
}

// parse reads the flags, which may stand between the files.
func parse(args []string, stderr io.Writer) (config, error) {
	c := config{}
	fs := flags.New("plot", usage, stderr)
	fs.StringVar(&c.out, "out", "out/charts", "folder of the charts")
	charts := fs.String("charts", strings.Join(chartNames, ","), "which to draw")
	where := fs.String("where", "", "draw only results with these parameters: NAME=VALUE,...")
	fs.StringVar(&c.x, "x", "", "horizontal parameter of heat; by itself: what a sweep varies")
	fs.StringVar(&c.y, "y", "", "vertical parameter of heat")
	fs.StringVar(&c.value, "value", "", "figure of heat: "+strings.Join(valueNames(), ", ")+"; by itself ops, in an open loop p99")
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return c, err
		}
		if args = fs.Args(); len(args) > 0 {
			c.files = append(c.files, args[0])
			args = args[1:]
		}
	}
	c.charts = strings.Split(*charts, ",")
	for _, name := range c.charts {
		if !slices.Contains(chartNames, name) {
			return c, fmt.Errorf("-charts: %q is none of: %s", name, strings.Join(chartNames, ", "))
		}
	}
	if c.value != "" && !slices.Contains(valueNames(), c.value) {
		return c, fmt.Errorf("-value: %q is none of: %s", c.value, strings.Join(valueNames(), ", "))
	}
	if (c.x == "") != (c.y == "") {
		return c, errors.New("-x and -y belong together")
	}
	if len(c.files) == 0 {
		return c, errors.New("no file given; see -h")
	}
	var err error
	c.where, err = parseWhere(*where)
	return c, err
}
