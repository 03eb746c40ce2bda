// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dx/experiments/internal/env"
	"dx/experiments/internal/membw"
	"dx/experiments/internal/result"
)

// Folder is what a run of frames left.
type Folder struct {
	Path string
	// Records are the frames that count, in the order of the file; FirstTouch those in new memory.
	Records, FirstTouch []Record
	// Torn says that the last line was cut short and is left out.
	Torn bool
	// Environment is nil, and Baseline empty, if the folder has none.
	Environment *env.Environment
	Baseline    membw.Baseline
}

// Read reads a folder of results, or its result.jsonl.
func Read(path string) (Folder, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	f := Folder{Path: path}
	name := filepath.Join(path, result.FileName)
	var err error
	f.Torn, err = result.ReadLines(name, func(line []byte) error {
		var r Record
		err := json.Unmarshal(line, &r)
		switch {
		case err != nil:
		case r.Experiment == Frames:
			f.Records = append(f.Records, r)
		case r.Experiment == FirstTouch:
			f.FirstTouch = append(f.FirstTouch, r)
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return f, fmt.Errorf("%s has no %s: name a folder that frames wrote, such as out/frames-20260102-150405", path, result.FileName)
	}
	if err != nil {
		return f, err
	}
	if len(f.Records) == 0 {
		return f, fmt.Errorf("%s has no frame in it: nothing was measured", name)
	}
	if f.Baseline, err = membw.ReadFile(path); err != nil {
		return f, err
	}
	f.Environment, err = env.Load(path)
	return f, err
}

// Footer tells machine and commit in one line.
func (f Folder) Footer() string {
	if f.Environment != nil {
		return f.Environment.Footer()
	}
	footer := "machine unknown"
	if commit := f.Records[0].EnvCommit; commit != "" {
		footer += ", " + commit
	}
	return footer
}
