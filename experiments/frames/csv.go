// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// The four CSV files hold the frames of the variant copy from host to guest, under the columns that
// earlier experiments had, so that what reads those reads these. An iteration number
// is that of result.jsonl and means the same frame in every file. Times of a frame
// that failed are empty, as is a counter that the machine does not have.

// column is one column: its name, and its value for a frame.
type column struct {
	name string
	of   func(r *frames.Record) string
}

// duration makes the columns NAME_ns and NAME_us or NAME_ms of a phase.
func duration(name, unit, phase string) []column {
	per := map[string]float64{"us": 1e3, "ms": 1e6}[unit]
	return []column{
		{name + "_ns", func(r *frames.Record) string {
			if took := r.Took(phase); took.Known() {
				return strconv.FormatInt(int64(took), 10)
			}
			return ""
		}},
		{name + "_" + unit, func(r *frames.Record) string {
			if took := r.Took(phase); took.Known() {
				return decimal(float64(took) / per)
			}
			return ""
		}},
	}
}

// speed makes the column NAME_mbps: MB/s, 10^6 bytes a second.
func speed(name, phase string) column {
	return column{name + "_mbps", func(r *frames.Record) string {
		return decimal(stat.Rate(uint64(r.SizeBytes), int64(r.Took(phase))) / 1e6)
	}}
}

var (
	iterationColumn = column{"iteration", func(r *frames.Record) string { return strconv.Itoa(r.Iteration) }}
	frameColumn     = column{"frame_type", func(r *frames.Record) string { return r.Frame }}
	successColumn   = column{"success", func(r *frames.Record) string {
		if r.OK {
			return "1"
		}
		return "0"
	}}
)

func latencyColumns() (all []column) {
	all = append(all, iterationColumn)
	for _, d := range [][2]string{
		{"host_memcpy", "host_write"},
		{"roundtrip", "exchange"},
		{"guest_memcpy", "copy"},
		{"guest_verify", "verify"},
		{"guest_hot_cache", "read_hot"},
		{"guest_cold_cache", "read_cold"},
		{"guest_second_pass", "copy_cold"},
		{"guest_cached_verify", "verify"},
		{"notification_est", "notify"}, // measured, and not estimated
		{"total", "total"},
	} {
		all = append(all, duration(d[0], "us", d[1])...)
	}
	return append(all, successColumn)
}

func bandwidthColumns() (all []column) {
	number := func(name string, of func(*frames.Record) int) column {
		return column{name, func(r *frames.Record) string { return strconv.Itoa(of(r)) }}
	}
	all = append(all, iterationColumn, frameColumn,
		number("width", func(r *frames.Record) int { return r.Width }),
		number("height", func(r *frames.Record) int { return r.Height }),
		number("bpp", func(r *frames.Record) int { return bitsPerPixel }),
		number("size_bytes", func(r *frames.Record) int { return r.SizeBytes }),
		column{"size_mb", func(r *frames.Record) string { return decimal(float64(r.SizeBytes) / 1e6) }})
	all = append(append(all, duration("host_memcpy", "ms", "host_write")...), speed("host_memcpy", "host_write"))
	all = append(all, duration("roundtrip", "ms", "exchange")...)
	all = append(append(all, duration("guest_memcpy", "ms", "copy")...), speed("guest_memcpy", "copy"))
	all = append(all, duration("guest_verify", "ms", "verify")...)
	all = append(append(all, duration("total", "ms", "total")...), speed("total", "total"))
	return append(all, successColumn)
}

func counterColumns(side string, of func(*frames.Record) *counters.Values) (all []column) {
	count := func(name string, e counters.Event) column {
		return column{side + "_" + name, func(r *frames.Record) string {
			if v := of(r); v != nil {
				if n, ok := v.Count(e); ok {
					return strconv.FormatUint(n, 10)
				}
			}
			return ""
		}}
	}
	rate := func(name string, f func(v counters.Values, bytes uint64) (float64, bool)) column {
		return column{side + "_" + name, func(r *frames.Record) string {
			if v := of(r); v != nil {
				if x, ok := f(*v, uint64(r.SizeBytes)); ok {
					return decimal(x)
				}
			}
			return ""
		}}
	}
	return []column{
		count("l1_cache_misses", counters.L1DMisses), count("l1_cache_references", counters.L1DReferences),
		rate("l1_miss_rate", func(v counters.Values, _ uint64) (float64, bool) { return v.L1DMissRate() }),
		count("llc_misses", counters.LLCMisses), count("llc_references", counters.LLCReferences),
		rate("llc_miss_rate", func(v counters.Values, _ uint64) (float64, bool) { return v.LLCMissRate() }),
		count("tlb_misses", counters.DTLBMisses), count("cpu_cycles", counters.Cycles),
		count("instructions", counters.Instructions),
		rate("ipc", func(v counters.Values, _ uint64) (float64, bool) { return v.IPC() }),
		rate("cycles_per_byte", func(v counters.Values, bytes uint64) (float64, bool) { return v.CyclesPerByte(bytes) }),
		count("context_switches", counters.ContextSwitches),
	}
}

func performanceColumns(first ...column) []column {
	all := append(first, counterColumns("host", func(r *frames.Record) *counters.Values { return r.HostCounters })...)
	return append(all, counterColumns("guest", func(r *frames.Record) *counters.Values { return r.GuestCounters })...)
}

// csvFiles are the four files: name, columns, and whether they hold every size or the
// largest one only, as there is no column that tells sizes apart.
func csvFiles() []csvFile {
	return []csvFile{
		{"latency_results.csv", latencyColumns(), true},
		{"latency_performance.csv", performanceColumns(iterationColumn), true},
		{"bandwidth_results.csv", bandwidthColumns(), false},
		{"bandwidth_performance.csv", performanceColumns(iterationColumn, frameColumn), false},
	}
}

type csvFile struct {
	name        string
	columns     []column
	largestOnly bool
}

// inCSV says whether the columns, which name host and guest, mean what this frame did.
func inCSV(r *frames.Record) bool {
	return r.Variant == variantCopy && r.Direction == result.HostToGuest
}

func writeCSV(dir string, records []frames.Record) error {
	largest := 0
	for i := range records {
		if inCSV(&records[i]) {
			largest = max(largest, records[i].SizeBytes)
		}
	}
	var failures []error
	for _, f := range csvFiles() {
		failures = append(failures, f.write(dir, records, largest))
	}
	return errors.Join(failures...)
}

func (f csvFile) write(dir string, records []frames.Record, largest int) (err error) {
	file, err := os.Create(filepath.Join(dir, f.name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	row := make([]string, len(f.columns))
	for i, c := range f.columns {
		row[i] = c.name
	}
	_ = w.Write(row) // Error tells
	for i := range records {
		r := &records[i]
		if !inCSV(r) || f.largestOnly && r.SizeBytes != largest {
			continue
		}
		for i, c := range f.columns {
			row[i] = c.of(r)
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error()
}

func decimal(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}
