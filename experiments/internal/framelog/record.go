// SPDX-License-Identifier: Apache-2.0

// Package framelog reads what experiments/frames leaves in a folder, and sums it up for charts and
// reports.
package framelog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/env"
	"dx/experiments/internal/membw"
	"dx/experiments/internal/result"
)

// Values of Record.Experiment. Lines of others are left out.
const (
	Frames     = "frames"
	FirstTouch = "frames_first_touch"
)

// Wrote says whether lines of this experiment are those of frames.
func Wrote(experiment string) bool {
	return experiment == Frames || strings.HasPrefix(experiment, Frames+"_")
}

// Record is one frame: one line of result.jsonl.
type Record struct {
	Experiment string           `json:"experiment"`
	Run        int              `json:"run"`
	Frame      string           `json:"frame"`
	SizeBytes  int              `json:"size_bytes"`
	Variant    string           `json:"variant"`
	Direction  result.Direction `json:"direction"`
	RingBytes  int              `json:"ring_bytes"`
	ChunkBytes int              `json:"chunk_bytes"`
	Iteration  int              `json:"iteration"`
	OK         bool             `json:"ok"`
	Failure    string           `json:"failure"`

	StridedLoads  uint64           `json:"strided_loads"`
	ReadLoads     uint64           `json:"read_loads"`
	HostCounters  *counters.Values `json:"host_counters"`
	GuestCounters *counters.Values `json:"guest_counters"`

	Flush     string `json:"flush"`
	Transport string `json:"transport"`
	Wait      string `json:"wait"`
	Pinning   string `json:"pinning"`
	EnvCommit string `json:"env_commit"`

	// Ns are the phases: every key of the line that ends in _ns and is a number, without that end.
	Ns map[string]int64 `json:"-"`
}

// required are the keys without which a line is none of ours.
var required = []string{"experiment", "frame", "size_bytes", "variant", "iteration", "total_ns", "ok"}

// UnmarshalJSON reads a line and checks what it says.
func (r *Record) UnmarshalJSON(line []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		return err
	}
	type plain Record // without this method
	if err := json.Unmarshal(line, (*plain)(r)); err != nil {
		return err
	}
	if r.Experiment != "" && r.Experiment != Frames && r.Experiment != FirstTouch {
		return nil
	}
	for _, key := range required {
		if _, found := keys[key]; !found {
			return fmt.Errorf("no %s: not a line of frames", key)
		}
	}
	if r.SizeBytes <= 0 || r.Frame == "" || r.Variant == "" || r.Iteration < 0 || r.Run < 0 || r.RingBytes < 0 {
		return fmt.Errorf("frame %q, variant %q, size_bytes %d, run %d, iteration %d: not a line of frames",
			r.Frame, r.Variant, r.SizeBytes, r.Run, r.Iteration)
	}
	return r.phases(keys)
}

// phases collects times. A frame that failed has none, whatever its line says.
func (r *Record) phases(keys map[string]json.RawMessage) error {
	r.Ns = map[string]int64{}
	for key, raw := range keys {
		name, isTime := strings.CutSuffix(key, "_ns")
		if !isTime || string(raw) == "null" || !r.OK {
			continue
		}
		var took int64
		if err := json.Unmarshal(raw, &took); err != nil || took < 0 {
			return fmt.Errorf("%s is %s, which is no time", key, raw)
		}
		r.Ns[name] = took
	}
	if _, known := r.Ns["total"]; r.OK && !known {
		return errors.New("ok, but without total_ns")
	}
	return nil
}

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

// EnvironmentName is the name of the file that tells machine and commit.
const EnvironmentName = "environment.json"

// Read reads a folder of results, or its result.jsonl.
func Read(path string) (Folder, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	f := Folder{Path: path}
	name := filepath.Join(path, result.FileName)
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return f, fmt.Errorf("%s has no %s: name a folder that frames wrote, such as out/frames-20260102-150405", path, result.FileName)
	}
	if err != nil {
		return f, err
	}
	if err := f.parse(text); err != nil {
		return f, fmt.Errorf("%s:%w", name, err)
	}
	if len(f.Records) == 0 {
		return f, fmt.Errorf("%s has no frame in it: nothing was measured", name)
	}
	if f.Baseline, err = membw.ReadFile(path); err != nil {
		return f, err
	}
	return f, f.readEnvironment()
}

func (f *Folder) parse(text []byte) error {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			if line[len(line)-1] != '\n' && !json.Valid(line) { // an interrupted run leaves that
				f.Torn = true
				return nil
			}
			return fmt.Errorf("%d: %w", number, err)
		}
		switch r.Experiment {
		case Frames:
			f.Records = append(f.Records, r)
		case FirstTouch:
			f.FirstTouch = append(f.FirstTouch, r)
		}
	}
	return nil
}

func (f *Folder) readEnvironment() error {
	name := filepath.Join(f.Path, EnvironmentName)
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &f.Environment); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
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
