// SPDX-License-Identifier: Apache-2.0

package membw

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// FileName is the name of the figures within a folder of results.
const FileName = "membw.json"

// WriteFile leaves the figures in a folder of results.
func (b Baseline) WriteFile(dir string) error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, FileName), append(text, '\n'), 0o644)
}

// ReadFile returns what WriteFile left there; none, and no error, if there is no such file.
func ReadFile(dir string) (b Baseline, err error) {
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, f := range b {
		for _, run := range f.Runs {
			if run.Bytes == 0 || run.ElapsedNs <= 0 {
				return nil, fmt.Errorf("%s: %s, %s: a run of %d bytes in %d ns", path, f.Kind, f.Name, run.Bytes, run.ElapsedNs)
			}
		}
	}
	return b, nil
}
