// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/result"
)

// value is a figure that a heat map can show.
type value struct {
	name, title, what string
	of                func(result.Summary) result.Range
	scale             float64
	format            func(float64) string
	logarithmic       bool
}

var values = []value{
	{"ops", "Round trips per second", "million round trips per second", func(s result.Summary) result.Range { return s.OpsPerS }, 1e-6, result.FormatSig3, false},
	{"p50", "p50 of a call", "p50 of a call", func(s result.Summary) result.Range { p50, _, _, _, _ := s.Latency(); return p50 }, 1, result.FormatNs, true},
	{"p99", "p99 of a call", "p99 of a call", func(s result.Summary) result.Range { _, _, p99, _, _ := s.Latency(); return p99 }, 1, result.FormatNs, true},
	{"cpu", "CPU time", "CPU seconds of both sides per million round trips", func(s result.Summary) result.Range { return s.CPUSPerMop }, 1, result.FormatSig3, true},
	{"fairness", "Fairness", "operations of the slowest caller / of the fastest", func(s result.Summary) result.Range { return s.Fairness }, 1, result.FormatSig3, false},
}

func valueNames() (names []string) {
	for _, v := range values {
		names = append(names, v.name)
	}
	return names
}

// units of parameters, for the axes.
var units = map[string]string{
	"spin_min": "looks", "spin_max": "looks", "spin_start": "looks", "spin_inc": "looks", "spin_dec": "looks",
	"yield_every": "looks", "burst": "calls", "park_timeout_ns": "ns", "poll_ns": "ns", "payload": "bytes",
	"threads": "callers", "rate": "calls/s", "procs": "GOMAXPROCS",
}

// field is one heat map's share of the data.
type field struct {
	file string
	load workload
}

func (d *drawing) heat(lines []line) {
	planes, groups := d.planes(lines)
	others := 0
	for _, p := range planes {
		x, y := d.x, d.y
		name := fmt.Sprintf("heat, %s, %v", p.file, p.load)
		if x == "" {
			varied := varied(groups[p])
			if len(varied) != 2 {
				others++
				continue
			}
			x, y = varied[0], varied[1]
		}
		figure := d.figure(p.load.rate)
		h, err := heatMap(groups[p], x, y, figure)
		if err != nil {
			d.skip(name, err.Error())
			continue
		}
		h.Title = fmt.Sprintf("%s: %s, %v", figure.title, p.file, p.load)
		h.Footer = d.footer
		d.save(name+", "+figure.name, h.Save)
	}
	if others > 0 {
		d.skip("heat", fmt.Sprintf("%d groups of results in which not exactly two numbers vary; -x and -y choose", others))
	}
}

// planes groups by experiment and load, of which what an axis shows is left out.
func (d *drawing) planes(lines []line) (order []field, groups map[field][]line) {
	groups = map[field][]line{}
	for _, l := range lines {
		p := field{l.Experiment, loadOf(l)}
		for _, axis := range []string{d.x, d.y} {
			switch axis {
			case "threads":
				p.load.threads = 0
			case "payload":
				p.load.payload = -1
			case "rate":
				p.load.rate = 0
			}
		}
		if groups[p] == nil {
			order = append(order, p)
		}
		groups[p] = append(groups[p], l)
	}
	return order, groups
}

func (d *drawing) figure(rate float64) value {
	name := cmp.Or(d.value, map[bool]string{true: "p99", false: "ops"}[rate > 0])
	return values[slices.IndexFunc(values, func(v value) bool { return v.name == name })]
}

// varied lists the numbers that a sweep varies, as its results say.
func varied(lines []line) (names []string) {
	for _, part := range strings.Split(lines[0].Variant, ", ") {
		name, number, _ := strings.Cut(part, " ")
		if _, err := strconv.ParseFloat(number, 64); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// heatMap puts each line into its field, of which it must be the only one.
func heatMap(lines []line, x, y string, figure value) (chart.HeatMap, error) {
	h := chart.HeatMap{XLabel: withUnit(x), YLabel: withUnit(y), What: figure.what,
		Format: figure.format, Logarithmic: figure.logarithmic}
	var err error
	if h.X, err = ticks(lines, x); err != nil {
		return h, err
	}
	if h.Y, err = ticks(lines, y); err != nil {
		return h, err
	}
	for range h.Y {
		h.Values = append(h.Values, slices.Repeat([]float64{math.NaN()}, len(h.X)))
	}
	for _, l := range lines {
		params := parameters(l.cells[0])
		place := &h.Values[slices.Index(h.Y, params[y])][slices.Index(h.X, params[x])]
		if !math.IsNaN(*place) {
			return h, fmt.Errorf("more than one result at %s %s, %s %s: -where chooses one", x, params[x], y, params[y])
		}
		if r := figure.of(l.Summary); r.Known {
			*place = r.Median * figure.scale
		}
	}
	return h, nil
}

// ticks are the values of a parameter, ascending.
func ticks(lines []line, name string) (list []string, err error) {
	for _, l := range lines {
		text, known := parameters(l.cells[0])[name]
		if !known {
			return nil, fmt.Errorf("results have no parameter %q", name)
		}
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		x, err1 := strconv.ParseFloat(a, 64)
		y, err2 := strconv.ParseFloat(b, 64)
		if err1 != nil || err2 != nil {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(x, y)
	})
	return list, nil
}

func withUnit(name string) string {
	if unit, known := units[name]; known {
		return name + ", " + unit
	}
	return name
}
