// SPDX-License-Identifier: Apache-2.0

// Package membw measures how fast one CPU reads, writes and copies at each level of the caches and
// in memory: the floor beside which a figure of bytes is printed.
package membw

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"dx/experiments/internal/floor"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/stat"
)

// Kind is what is done with the bytes. A copied byte counts once, although it is read and written.
type Kind string

// The kinds.
const (
	Read  Kind = "read"
	Write Kind = "write"
	Copy  Kind = "copy"
)

// Kinds are all of them in the order of tables.
var Kinds = []Kind{Read, Write, Copy}

var traffic = map[Kind]floor.Kind{Read: floor.KindRead, Write: floor.KindWrite, Copy: floor.KindCopy}

// Run is one run of one measurement, as integers.
type Run struct {
	Bytes     uint64 `json:"bytes"`
	ElapsedNs int64  `json:"elapsed_ns"`
}

// BytesPerSecond returns bytes over time.
func (r Run) BytesPerSecond() float64 { return stat.Rate(r.Bytes, r.ElapsedNs) }

// Figure is one kind at one level, with its runs in the order they were made.
type Figure struct {
	Level
	Kind Kind  `json:"kind"`
	Runs []Run `json:"runs"`
}

// Rates returns the bytes a second of each run.
func (f Figure) Rates() (rates []float64) {
	for _, run := range f.Runs {
		rates = append(rates, run.BytesPerSecond())
	}
	return rates
}

// Median returns the bytes a second of the run in the middle; NaN without runs, as Min and Max.
func (f Figure) Median() float64 { return stat.Median(f.Rates()) }

// Min returns the bytes a second of the slowest run.
func (f Figure) Min() float64 { return stat.Min(f.Rates()) }

// Max returns the bytes a second of the fastest run.
func (f Figure) Max() float64 { return stat.Max(f.Rates()) }

// Baseline is all of it: every kind at every level.
type Baseline []Figure

// At returns the figure of a level and a kind.
func (b Baseline) At(level string, kind Kind) (Figure, bool) {
	i := slices.IndexFunc(b, func(f Figure) bool { return f.Name == level && f.Kind == kind })
	if i < 0 {
		return Figure{}, false
	}
	return b[i], true
}

// For returns the figure of the level whose cache holds that many bytes.
func (b Baseline) For(bytes int, kind Kind) (Figure, bool) {
	return b.At(Holding(b.Levels(), bytes), kind)
}

// Levels returns the levels, the smallest first.
func (b Baseline) Levels() (levels []Level) {
	for _, f := range b {
		if !slices.Contains(levels, f.Level) {
			levels = append(levels, f.Level)
		}
	}
	return levels
}

// Options say how to measure. The zero value of a field stands for its default.
type Options struct {
	// CPU is whose caches are asked for; the caller pins itself there, or not.
	CPU int
	// Runs of each measurement, 5.
	Runs int
	// Duration of one run, 20 ms. At least one pass is made, which in memory may take longer.
	Duration time.Duration
	// BytesMax is the largest size of a buffer: an eighth of the memory that is free, at most 1 GiB.
	// Two of them are held. A level that would need more has a Note.
	BytesMax int
	// Step is called before each run with how many there are and what it measures; nil for nothing.
	Step func(done, total int, what string)
}

// Measure measures every kind at every level, run by run in turn, so that a drift of the machine
// meets all alike. It takes about 5 s by default, most of it in memory, and ends between two runs
// with the context's error if that is done.
func Measure(ctx context.Context, o Options) (Baseline, error) {
	if o.Runs == 0 {
		o.Runs = 5
	}
	if o.Duration == 0 {
		o.Duration = 20 * time.Millisecond
	}
	if o.Runs < 0 || o.Duration < 0 || o.BytesMax < 0 {
		return nil, fmt.Errorf("membw: %d runs of %v in %d bytes: nothing may be negative", o.Runs, o.Duration, o.BytesMax)
	}
	levels, err := Levels(o.CPU, o.BytesMax)
	if err != nil {
		return nil, err
	}
	return measure(ctx, o, levels)
}

// MeasureShown is Measure with its progress, under a title.
func MeasureShown(ctx context.Context, title string, o Options) (Baseline, error) {
	var bar *progress.Bar
	o.Step = func(done, total int, what string) {
		if bar == nil {
			bar = progress.New(title, total)
		}
		bar.Describe(what)
		if done > 0 {
			bar.Add(1)
		}
	}
	b, err := Measure(ctx, o)
	if bar != nil {
		bar.Close()
	}
	return b, err
}

func measure(ctx context.Context, o Options, levels []Level) (Baseline, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var b Baseline
	largest := 0
	for _, level := range levels {
		for _, kind := range Kinds {
			b = append(b, Figure{Level: level, Kind: kind})
		}
		largest = max(largest, level.BufferBytes)
	}
	buffers, err := floor.NewBuffers(largest)
	if err != nil {
		return nil, fmt.Errorf("membw: %w", err)
	}
	defer buffers.Close()
	for i := range o.Runs * len(b) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f := &b[i%len(b)]
		if o.Step != nil {
			o.Step(i, o.Runs*len(b), fmt.Sprintf("%s, %s", f.Kind, f.Name))
		}
		moved, err := buffers.Bandwidth(traffic[f.Kind], f.BufferBytes, o.Duration)
		if err != nil {
			return nil, fmt.Errorf("membw: %s, %s: %w", f.Kind, f.Name, err)
		}
		f.Runs = append(f.Runs, Run{moved.Bytes, moved.Elapsed.Nanoseconds()})
	}
	return b, nil
}
