// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dx/experiments/internal/env"
)

// report prints the tables and writes them, the CSV files and the environment.
func report(c config, e env.Environment, l log) error {
	file, err := os.Create(filepath.Join(c.out, "table.txt"))
	if err != nil {
		return err
	}
	err = errors.Join(table(io.MultiWriter(file, os.Stdout), l), file.Close())
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.out, "environment.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := writeCSV(c.out, l.records); err != nil {
		return err
	}
	fmt.Printf("\nresults: %s (result.jsonl, four CSV files, table.txt, environment.json)\n", c.out)
	return nil
}
