// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

const legend = `
p50, MB/s: median of the runs, with the smallest and the largest; a run's own p50 needs a hundred round trips. MB: 10^6
bytes. CPU us, CPU s: of this process, of dx forward beside it and of all of QEMU together; median of the runs. of QEMU:
QEMU's part of that. x network: how many times as fast as QEMU's user networking, by the medians; in brackets where the
runs' ranges meet, so that neither is faster. Both programs are the same ones in all ways.
`

// row is what all runs say of one way, direction and number of connections.
type row struct {
	way    string
	values []float64 // one a run
	cpu    []float64 // seconds, of a trip or of 10^9 bytes
	qemu   []float64 // the part of it
}

func rowOf(all []measured, way string, d result.Direction, conns int) row {
	r := row{way: way}
	for _, m := range all {
		if m.Way != way || m.Direction != d || m.Conns != conns {
			continue
		}
		of := float64(m.Trips)
		if d == "" {
			if m.P50Ns == 0 {
				continue
			}
			r.values = append(r.values, float64(m.P50Ns))
		} else {
			of = float64(m.Bytes) / 1e9
			r.values = append(r.values, float64(m.Bytes)/1e6/m.ElapsedS)
		}
		r.cpu = append(r.cpu, m.CPU.sum()/of)
		r.qemu = append(r.qemu, m.CPU.QEMUS/m.CPU.sum())
	}
	return r
}

// table shows round trips, and transfers in each direction.
func table(all []measured) string {
	var text strings.Builder
	part(&text, "round trips of one byte", "p50\tmin\tmax\tCPU us", all, "", 1, nanoseconds, 1e6)
	for _, d := range directions {
		for _, conns := range []int{1, connsMax} {
			title := fmt.Sprintf("\n%s, connections: %d", d, conns)
			part(&text, title, "MB/s\tmin\tmax\tCPU s/GB", all, d, conns, result.FormatSig3, 1)
		}
	}
	return text.String() + legend
}

func nanoseconds(ns float64) string { return time.Duration(ns).Round(100 * time.Nanosecond).String() }

func part(text io.Writer, title, columns string, all []measured, d result.Direction, conns int, format func(float64) string, cpuUnit float64) {
	fmt.Fprintln(text, title)
	t := tabwriter.NewWriter(text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "way\truns\t%s\tof QEMU\tx network\t\n", columns)
	network := rowOf(all, viaNetwork, d, conns)
	for _, w := range ways {
		r := rowOf(all, w.name, d, conns)
		if len(r.values) == 0 {
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%.0f%%\t%s\t\n", w.name, len(r.values),
			format(stat.Median(r.values)), format(stat.Min(r.values)), format(stat.Max(r.values)),
			result.FormatSig3(cpuUnit*stat.Median(r.cpu)), 100*stat.Median(r.qemu), r.beside(network, d == ""))
	}
	_ = t.Flush() // into memory
}

// beside is how many times as fast a way was as the other one.
func (r row) beside(other row, lessIsBetter bool) string {
	if len(other.values) == 0 {
		return "-"
	}
	ratio := stat.Median(r.values) / stat.Median(other.values)
	if lessIsBetter {
		ratio = 1 / ratio
	}
	if r.way == other.way {
		return "1"
	}
	text := result.FormatSig3(ratio)
	if stat.Min(r.values) <= stat.Max(other.values) && stat.Min(other.values) <= stat.Max(r.values) {
		return "(" + text + ")"
	}
	return text
}
