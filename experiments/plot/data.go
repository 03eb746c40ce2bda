// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
)

// set is what was measured in one file.
type set struct {
	label string
	cells []result.Cell
}

// data is all of it.
type data struct {
	sets   []set
	footer string
}

// condition is one of -where.
type condition struct {
	name   string
	values []string
}

func parseWhere(text string) (list []condition, err error) {
	if text == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		name, values, found := strings.Cut(part, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("-where: %q is not NAME=VALUE", part)
		}
		list = append(list, condition{strings.TrimSpace(name), strings.Split(values, "|")})
	}
	return list, nil
}

// parameters are what can be chosen from, as the text of JSON.
func parameters(c result.Cell) map[string]string {
	list := map[string]string{
		"experiment": c.Experiment, "preset": c.Preset, "threads": strconv.Itoa(c.Threads),
		"payload": strconv.Itoa(c.PayloadBytes), "host": c.Host, "guest": c.Guest, "path": c.Path,
		"transport": c.Transport, "rate": strconv.FormatFloat(c.Rate(), 'f', -1, 64), "pace": c.Pace,
		"procs": strconv.Itoa(c.Procs), "lock_os_thread": strconv.FormatBool(c.LockOSThread),
		"verify": strconv.FormatBool(c.Verified),
	}
	if wait, ok := c.Wait.(map[string]any); ok {
		for name, value := range wait {
			if number, ok := value.(float64); ok {
				value = strconv.FormatFloat(number, 'f', -1, 64)
			}
			list[name] = fmt.Sprint(value)
		}
	}
	return list
}

func (c condition) holds(params map[string]string) bool {
	return slices.Contains(c.values, params[c.name])
}

// load reads the files and keeps what -where asks for.
func load(c config, files []string) (data, error) {
	d := data{}
	var footers []string
	for _, path := range files {
		cells, torn, err := result.Read(path)
		if err != nil {
			return d, err
		}
		if torn {
			fmt.Fprintf(os.Stderr, "plot: %s ends within a line, which is left out\n", path)
		}
		cells, old := result.Newest(cells)
		if old > 0 {
			fmt.Fprintf(os.Stderr, "plot: %s: %d results of older commits are left out\n", path, old)
		}
		if cells, err = c.chosen(cells); err != nil {
			return d, fmt.Errorf("%s: %w", path, err)
		}
		d.sets = append(d.sets, set{labelOf(path), cells})
		for _, footer := range footersOf(path, cells) {
			if len(files) > 1 {
				footer = labelOf(path) + ": " + footer
			}
			if !slices.Contains(footers, footer) {
				footers = append(footers, footer)
			}
		}
	}
	d.footer = strings.Join(footers, "; ")
	return d, nil
}

// chosen keeps the cells for which all conditions hold.
func (c config) chosen(cells []result.Cell) (kept []result.Cell, err error) {
	for _, cell := range cells {
		params := parameters(cell)
		for _, condition := range c.where {
			if _, known := params[condition.name]; !known {
				return nil, fmt.Errorf("-where: results have no parameter %q", condition.name)
			}
		}
		if !slices.ContainsFunc(c.where, func(condition condition) bool { return !condition.holds(params) }) {
			kept = append(kept, cell)
		}
	}
	return kept, nil
}

// labelOf names a file by its folder, if it has the name that all have.
func labelOf(path string) string {
	if filepath.Base(path) == result.FileName {
		if absolute, err := filepath.Abs(path); err == nil {
			return filepath.Base(filepath.Dir(absolute))
		}
	}
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// footersOf tells machine and commit: of each result, or of the file beside them.
func footersOf(path string, cells []result.Cell) (footers []string) {
	add := func(e env.Environment) {
		if footer := e.Footer(); !slices.Contains(footers, footer) {
			footers = append(footers, footer)
		}
	}
	for _, cell := range cells {
		if cell.Env != nil {
			add(*cell.Env)
		}
	}
	if len(footers) > 0 {
		return footers
	}
	if e, err := env.Load(filepath.Dir(path)); err == nil && e != nil {
		add(*e)
		return footers
	}
	for _, cell := range cells { // machine unknown; the commit at least
		if footer := "machine unknown, " + cell.EnvCommit; !slices.Contains(footers, footer) {
			footers = append(footers, footer)
		}
	}
	return footers
}
