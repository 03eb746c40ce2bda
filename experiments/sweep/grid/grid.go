// SPDX-License-Identifier: Apache-2.0

// Package grid reads the files of a sweep: TOML whose keys are those of a wait
// strategy and those of the measurement, each a value, a list, or a range. The
// cells are all combinations. Every mistake is an error with file and line.
//
//	title = "Spin limit by yields"
//	hypothesis = "what we believe"     # and expect = "what we should see then"
//	compare = "baseline"               # the file whose cells the report compares with
//	repeats = 5                        # runs of each cell
//	duration = "1s"                    # of one run
//	histograms = true                  # keep whole histograms, too
//	earlier = { 1 = 1.05e6 }           # calls/s by callers that an earlier program reached
//
//	preset = "balanced"                # a preset, or the file of one beside this one
//	spin_max = { from = 100, to = 10_000, factor = 10 }
//	yield_every = [0, 64, { from = 128, to = 1024, step = 128 }]
//	threads = [1, 8]
//	rate = [0, 20_000]                 # calls/s of an open loop; 0: a closed one
package grid

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/result"
)

// Bounds of a file.
const (
	CellsMax   = 20_000
	RepeatsMax = 1000
	valuesMax  = 1000 // of one key
)

// File is one sweep.
type File struct {
	Name       string // of the file, without folder and extension
	Path       string
	Title      string
	Hypothesis string
	Expect     string
	Compare    string             // name of the file to compare with
	Earlier    map[string]float64 // calls/s by callers, from elsewhere
	Repeats    int
	Histograms bool
	Cells      []Cell
}

// Cell is one configuration of a sweep.
type Cell struct {
	Name    string // of the file
	Variant string // what the file varies, but for what every table shows apart
	Preset  string
	Key     string // names Name and Config
	Config  exchange.Config
}

// reader is a file that is being read.
type reader struct {
	path string
	meta toml.MetaData
	raw  map[string]toml.Primitive
	keys []string // top-level keys in the order of the file
	file *File
	base exchange.Config
	axes []setting
}

// Load reads a file and expands its cells, of which there is at least one.
func Load(path string) (*File, error) {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	r := &reader{path: path, base: exchange.Default(),
		file: &File{Name: name, Path: path, Title: name, Repeats: 5}}
	var err error
	if r.meta, err = toml.DecodeFile(path, &r.raw); err != nil {
		return nil, r.fileError(err)
	}
	for _, key := range r.meta.Keys() {
		if !slices.Contains(r.keys, key[0]) {
			r.keys = append(r.keys, key[0])
		}
	}
	for _, key := range r.keys {
		if err := r.read(key); err != nil {
			return nil, err
		}
	}
	return r.file, r.expand()
}

// fileError adds the line to what the TOML library found.
func (r *reader) fileError(err error) error {
	if parse, ok := errors.AsType[toml.ParseError](err); ok {
		return fmt.Errorf("%s:%d: %s", r.path, parse.Position.Line, parse.Message)
	}
	return fmt.Errorf("sweep file: %w", err)
}

// refusal is a target that no value suits: the library then says where the value
// stands.
type refusal struct{ error }

func (r *refusal) UnmarshalTOML(any) error { return r.error }

// fail returns err with the line of a key.
func (r *reader) fail(key string, err error) error {
	return fmt.Errorf("%s:%d: %s: %w", r.path, r.line(r.raw[key]), key, err)
}

// line returns where a value stands. A table that is only the front of a dotted
// key has no place of its own: the first line of what is in it then.
func (r *reader) line(value toml.Primitive) int {
	err := r.meta.PrimitiveDecode(value, &refusal{errors.New("where?")})
	if parse, ok := errors.AsType[toml.ParseError](err); ok && parse.Position.Line > 0 {
		return parse.Position.Line
	}
	first := 0
	var inside map[string]toml.Primitive
	if r.meta.PrimitiveDecode(value, &inside) == nil {
		for _, one := range inside {
			if line := r.line(one); first == 0 || line < first {
				first = line
			}
		}
	}
	return first
}

// read takes one key.
func (r *reader) read(key string) error {
	var value any
	if err := r.meta.PrimitiveDecode(r.raw[key], &value); err != nil {
		return r.fileError(err)
	}
	var err error
	f := r.file
	switch key {
	case "title":
		f.Title, err = text(value)
	case "hypothesis":
		f.Hypothesis, err = text(value)
	case "expect":
		f.Expect, err = text(value)
	case "compare":
		f.Compare, err = text(value)
	case "histograms":
		f.Histograms, err = flag(value)
	case "repeats":
		f.Repeats, err = integer(value, 1, RepeatsMax)
	case "duration":
		r.base.Duration, err = duration(value)
	case "earlier":
		f.Earlier, err = byCallers(value)
	default:
		err = r.readAxis(key, value)
	}
	if err != nil {
		return r.fail(key, err)
	}
	return nil
}

func text(value any) (string, error) {
	s, ok := value.(string)
	if !ok || strings.TrimSpace(s) == "" {
		return "", fmt.Errorf("%v is no text", value)
	}
	return strings.Join(strings.Fields(s), " "), nil
}

func flag(value any) (bool, error) {
	b, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("%v is neither true nor false", value)
	}
	return b, nil
}

func integer(value any, low, high int) (int, error) {
	n, ok := value.(int64)
	if !ok || n < int64(low) || n > int64(high) {
		return 0, fmt.Errorf("%v is no number from %d to %d", value, low, high)
	}
	return int(n), nil
}

func duration(value any) (time.Duration, error) {
	s, ok := value.(string)
	d, err := time.ParseDuration(s)
	if !ok || err != nil || d < exchange.DurationMin || d > exchange.DurationMax {
		return 0, fmt.Errorf("%v is no duration from 10ms to 1h, such as \"1500ms\"", value)
	}
	return d, nil
}

func byCallers(value any) (map[string]float64, error) {
	table, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%v is no table of calls/s by callers, such as { 1 = 1.05e6 }", value)
	}
	rates := map[string]float64{}
	for callers, rate := range table {
		switch rate := rate.(type) {
		case int64:
			rates[callers] = float64(rate)
		case float64:
			rates[callers] = rate
		default:
			return nil, fmt.Errorf("%v is no rate", rate)
		}
		if rates[callers] <= 0 || strings.Trim(callers, "0123456789") != "" {
			return nil, fmt.Errorf("%s = %v is no rate by callers", callers, rate)
		}
	}
	return rates, nil
}

// key names a cell by everything that makes it what it is.
func (c Cell) key() string {
	config := c.Config
	config.Dir = ""
	if config.Direction == result.HostToGuest { // older results do not say it
		config.Direction = ""
	}
	if !boundary.Crosses(config.Transport) { // these mean nothing there, and older results have none
		config.GuestRelax, config.Wait.PeerTimeoutNs = "", 0
	}
	data, err := json.Marshal(struct {
		Name   string
		Config exchange.Config
	}{c.Name, config})
	if err != nil {
		panic(err) // cannot be: Check has seen the values
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
