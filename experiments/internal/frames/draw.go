// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"dx/experiments/internal/chart"
)

// Chart is one picture of a folder of results: NAME.png and NAME.svg.
type Chart struct {
	Name  string
	Title string
	// Skipped says why there is no picture; empty if there is one.
	Skipped string
}

// errNothing is why a chart is left out: the data have nothing for it.
type errNothing string

func (e errNothing) Error() string { return string(e) }

// drawer is a chart before it is drawn.
type drawer struct {
	name, title string
	sheet       func(*data) (chart.Sheet, error)
}

var drawers = []drawer{
	{"bandwidth_analysis", "Bandwidth", (*data).bandwidth},
	{"latency_histogram", "How long a frame took", (*data).histogram},
	{"latency_over_time", "Frame after frame", (*data).overTime},
	{"latency_percentiles", "Percentiles", (*data).percentiles},
	{"ring_size", "Size of the ring", (*data).ring},
	{"counters", "Counters", (*data).counters},
	{"memory_levels", "What this machine's caches and memory give", (*data).levels},
}

// data is what charts are drawn from, and the report is written from.
type data struct {
	Folder
	cells []*Cell // all
	main  []*Cell // without sweeps over the ring
	lines []string
}

func dataOf(f Folder) *data {
	d := &data{Folder: f, cells: CellsOf(f.Records)}
	d.main = Main(d.cells)
	d.lines = Lines(d.main)
	return d
}

// Draw draws every chart that the data allow into dir. It ends between two charts if the context
// is done.
func Draw(ctx context.Context, f Folder, dir string) (charts []Chart, err error) {
	d := dataOf(f)
	for _, one := range drawers {
		if err := ctx.Err(); err != nil {
			return charts, err
		}
		c := Chart{Name: one.name, Title: one.title}
		sheet, err := one.sheet(d)
		if err == nil {
			sheet.Footer = f.Footer()
			base := filepath.Join(dir, one.name)
			err = sheet.Save(base+".png", base+".svg")
		}
		if nothing, ok := errors.AsType[errNothing](err); ok {
			c.Skipped = string(nothing)
		} else if err != nil {
			return charts, fmt.Errorf("%s: %w", one.name, err)
		}
		charts = append(charts, c)
	}
	return charts, nil
}

// styleOf is the number of a line's colour, the same in all charts.
func (d *data) styleOf(c *Cell) int {
	return slices.Index(d.lines, LineOf(d.main, c))
}

func (d *data) lineOf(c *Cell) string { return LineOf(d.main, c) }

// largest returns the frame that latency charts are of: 4K if it was measured, else the largest.
func (d *data) largest() (frame string, cells []*Cell) {
	bytes := 0
	for _, c := range d.main {
		if c.Good() == 0 {
			continue
		}
		if c.Frame == "4K" {
			frame = c.Frame
			break
		}
		if c.SizeBytes > bytes {
			frame, bytes = c.Frame, c.SizeBytes
		}
	}
	for _, c := range d.main {
		if c.Frame == frame && c.Good() > 0 {
			cells = append(cells, c)
		}
	}
	return frame, cells
}

var errNoFrame = errNothing("no frame was right")

const milli = 1e-6 // of ns

// formatBytes writes a size of memory with a binary unit, to four digits.
func formatBytes(bytes float64) string {
	for _, unit := range []struct {
		bytes float64
		name  string
	}{{1 << 30, " GiB"}, {1 << 20, " MiB"}, {1 << 10, " KiB"}} {
		if bytes >= unit.bytes {
			return strconv.FormatFloat(bytes/unit.bytes, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(bytes, 'f', 0, 64) + " B"
}
