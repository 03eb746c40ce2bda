// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// LoadWait returns a wait strategy by preset name or from a TOML file with the
// keys of Wait. A file may begin with preset = "NAME" and then holds what
// differs from it; without one it differs from balanced. Unknown keys, wrong
// types and impossible values are errors that name the file and the key.
func LoadWait(nameOrPath string) (Wait, error) {
	if slices.Contains(PresetNames(), nameOrPath) {
		return Preset(nameOrPath)
	}
	var base struct {
		Preset string `toml:"preset"`
	}
	if _, err := toml.DecodeFile(nameOrPath, &base); err != nil {
		return Wait{}, fileError(nameOrPath, err)
	}
	if base.Preset == "" {
		base.Preset = "balanced"
	}
	wait, err := Preset(base.Preset)
	if err != nil {
		return Wait{}, fmt.Errorf("%s: %w", nameOrPath, err)
	}
	file := struct {
		Preset string `toml:"preset"`
		*Wait
	}{Wait: &wait}
	meta, err := toml.DecodeFile(nameOrPath, &file)
	if err != nil {
		return Wait{}, fileError(nameOrPath, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0]
		if len(unknown) > 1 && len(unknown[1]) > len(key) {
			key = unknown[1] // the first key of a table is as wrong as its table
		}
		return Wait{}, fmt.Errorf("%s: unknown key %q", lineOf(nameOrPath, key[len(key)-1]), key.String())
	}
	if err := wait.Check(); err != nil {
		return Wait{}, fmt.Errorf("%s: %w", lineOf(nameOrPath, fieldOf(err)), err)
	}
	return wait, nil
}

// DefaultWait returns what is used where no strategy is given: what the
// environment variable DX_WAIT names, as for LoadWait, or else balanced.
func DefaultWait() (Wait, error) {
	chosen := os.Getenv("DX_WAIT")
	if chosen == "" {
		return Preset("balanced")
	}
	wait, err := LoadWait(chosen)
	if err != nil {
		return Wait{}, fmt.Errorf("DX_WAIT: %w", err)
	}
	return wait, nil
}

// fieldOf returns the key that the error of a check is about.
func fieldOf(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	_, rest, _ := strings.Cut(e.Detail, "wait strategy: ")
	field, _, _ := strings.Cut(rest, " ")
	return field
}

// lineOf returns the file, and the line in which a key stands if it is found.
func lineOf(path, key string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return path
	}
	for i, line := range strings.Split(string(text), "\n") {
		name, _, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); name == key && ok || name == "["+key+"]" {
			return fmt.Sprintf("%s: line %d", path, i+1)
		}
	}
	return path
}

func fileError(path string, err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s: line %d: %s", path, parse.Position.Line, parse.Message)
	}
	var line int
	if n, _ := fmt.Sscanf(err.Error(), "toml: line %d", &line); n == 1 {
		return fmt.Errorf("%s: line %d: %w", path, line, err)
	}
	return fmt.Errorf("wait strategy %q is neither a preset (%s) nor a readable file: %w",
		path, strings.Join(PresetNames(), ", "), err)
}
