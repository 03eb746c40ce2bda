// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"

	"dx/experiments/internal/result"
)

// origin is where a result was first seen.
type origin struct {
	path string
	line int // of results, from 1
	text []byte
}

// merged collects results and refuses contradictions.
type merged struct {
	cells  []result.Cell
	runs   map[id]origin
	params map[string]origin // what a key stands for
	twice  int
}

// add takes the results of one file; the path is for messages.
func (m *merged) add(path string, cells []result.Cell) error {
	for i, cell := range cells {
		at := origin{path: path, line: i + 1}
		if cell.CellKey == "" {
			return fmt.Errorf("%s: result %d is not one of a sweep: it has no cell_key", path, at.line)
		}
		if err := m.check(cell, at); err != nil {
			return err
		}
		at.text = result.Canonical(cell)
		name := idOf(cell)
		if first, known := m.runs[name]; known {
			if !bytes.Equal(first.text, at.text) {
				return fmt.Errorf("%s, result %d, and %s, result %d, are two different results of run %d of cell %s of one commit",
					first.path, first.line, path, at.line, cell.Run, cell.CellKey)
			}
			m.twice++
			continue
		}
		m.runs[name] = at
		m.cells = append(m.cells, cell)
	}
	return nil
}

// check wants the same key to stand for the same parameters everywhere.
func (m *merged) check(cell result.Cell, at origin) error {
	at.text = result.Canonical(map[string]any{
		"experiment": cell.Experiment, "variant": cell.Variant, "wait": cell.Wait,
		"threads": cell.Threads, "payload": cell.PayloadBytes, "host": cell.Host, "guest": cell.Guest,
		"path": cell.Path, "transport": cell.Transport, "back": cell.Direction == result.GuestToHost, "rate": cell.Rate(), "lock": cell.LockOSThread,
		"duration": cell.DurationNs,
	})
	first, known := m.params[cell.CellKey]
	if !known {
		m.params[cell.CellKey] = at
		return nil
	}
	if !bytes.Equal(first.text, at.text) {
		return fmt.Errorf("%s, result %d, and %s, result %d, call different parameters cell %s",
			first.path, first.line, at.path, at.line, cell.CellKey)
	}
	return nil
}

// mergeLogs puts the results of all files into the log, behind what it has. The
// log changes only if all of them go together.
func mergeLogs(logPath string, paths []string) (err error) {
	w, have, err := openLog(logPath)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
	}()
	m := merged{runs: map[id]origin{}, params: map[string]origin{}}
	if err := m.add(logPath, have); err != nil {
		return err
	}
	before := len(m.cells)
	for _, path := range paths {
		cells, torn, err := result.Read(path)
		if err != nil {
			return err
		}
		if torn {
			fmt.Fprintf(os.Stderr, "sweep: %s ends within a line, which is left out\n", path)
		}
		if err := m.add(path, cells); err != nil {
			return err
		}
	}
	for _, cell := range m.cells[before:] {
		if err := w.Write(cell); err != nil {
			return err
		}
	}
	fmt.Printf("%s: %d results, %d of them new, %d were there twice\n", logPath, len(m.cells), len(m.cells)-before, m.twice)
	return nil
}
