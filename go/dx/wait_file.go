// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"errors"
	"fmt"
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
		return Wait{}, fmt.Errorf("%s: unknown key %q", nameOrPath, unknown[0].String())
	}
	if err := wait.Check(); err != nil {
		return Wait{}, fmt.Errorf("%s: %w", nameOrPath, err)
	}
	return wait, nil
}

func fileError(path string, err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s: line %d: %s", path, parse.Position.Line, parse.Message)
	}
	return fmt.Errorf("wait strategy %q is neither a preset (%s) nor a readable file: %w",
		path, strings.Join(PresetNames(), ", "), err)
}
