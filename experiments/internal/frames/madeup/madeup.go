// SPDX-License-Identifier: Apache-2.0

// Package madeup writes results of frames whose right answers are known, for tests.
package madeup

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/env"
	"dx/experiments/internal/membw"
)

// Spec says what to make up. Rates are in bytes per ns, which is GB/s.
type Spec struct {
	Runs, Frames int
	// Noise is by how much a run is slower or faster than the rate: 0.01 for 1 %. Frames within a
	// run vary by the same.
	Noise float64
	// Failed is how many frames of the first cell fail.
	Failed int
	// Counted says that the machine has all counters.
	Counted bool
	// Rings is a sweep over the size of the ring.
	Rings bool
	// CopyFactor is how many times as long a cold copy takes as a cold read.
	CopyFactor float64
	// Overlap is how many times as fast as memcpy an overlapped frame is.
	Overlap float64
}

// Usual is a machine without counters on which nothing failed; just enough frames for a median.
var Usual = Spec{Runs: 5, Frames: 40, Noise: 0.01, CopyFactor: 1.8, Overlap: 1.1}

// Few is Usual with just a few frames: enough for figures, not for percentiles.
var Few = Spec{Runs: 5, Frames: 3, Noise: 0.01, CopyFactor: 1.8, Overlap: 1.1}

// Environment is the machine that all that comes from.
var Environment = env.Environment{GitCommit: "0123456789abcdef0123456789abcdef01234567", GitDirty: env.No,
	CPUModel: "Made-up CPU @ 2.50GHz", LogicalCPUs: 2, UsableCPUs: 2, SMT: env.No, Governor: env.Unknown,
	Kernel: "6.1.0-test", OS: "Debian GNU/Linux 12", Hypervisor: "KVM", Accelerator: "none", GoVersion: "go1.26.8",
	CCompiler: "gcc 12.2.0", Date: "2026-01-02T10:04:05Z", CgroupCPUQuota: "none", GOMAXPROCS: 2}

// Memcpy is the rate that everything else follows from.
const Memcpy = 5.0

var sizes = []struct {
	name  string
	bytes int
}{{"1080p", 6_220_800}, {"1440p", 11_059_200}, {"4K", 24_883_200}}

type line = map[string]any

type writer struct {
	Spec
	random    *rand.Rand
	iteration int
	out       *json.Encoder
}

// Write leaves result.jsonl, environment.json and membw.json in dir.
func Write(dir string, s Spec) error {
	file, err := os.Create(filepath.Join(dir, "result.jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	w := &writer{Spec: s, random: rand.New(rand.NewPCG(1, 2)), out: json.NewEncoder(file)}
	for run := 1; run <= s.Runs; run++ {
		for _, size := range sizes {
			for _, variant := range []string{"copy", "zero_copy", "overlapped"} {
				if err := w.cell(run, size.name, size.bytes, variant, 1<<20, s.Frames); err != nil {
					return err
				}
			}
		}
		for ring := 128 << 10; s.Rings && ring <= 32<<20; ring *= 4 {
			if err := w.cell(run, "4K", sizes[2].bytes, "overlapped", ring, max(s.Frames/4, 1)); err != nil {
				return err
			}
		}
	}
	text, err := json.Marshal(Environment)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "environment.json"), text, 0o644); err != nil {
		return err
	}
	return baseline().WriteFile(dir)
}

// cell writes one run of one cell. The runs spread evenly over the noise.
func (w *writer) cell(run int, frame string, bytes int, variant string, ring, frames int) error {
	place := 0.0
	if w.Runs > 1 {
		place = 2*float64(run-1)/float64(w.Runs-1) - 1
	}
	if err := w.out.Encode(w.frame(run, frame, bytes, variant, ring, "frames_first_touch", 0)); err != nil {
		return err
	}
	for range frames {
		w.iteration++
		if err := w.out.Encode(w.frame(run, frame, bytes, variant, ring, "frames", place)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) frame(run int, frame string, bytes int, variant string, ring int, experiment string, place float64) line {
	took := func(rate float64) int64 {
		return int64(float64(bytes) / rate * (1 + w.Noise*(place+w.random.Float64()-0.5)))
	}
	l := line{"experiment": experiment, "frame": frame, "size_bytes": bytes, "variant": variant, "run": run,
		"direction": "host-guest", "iteration": w.iteration, "ok": true, "generate_ns": took(1), "notify_ns": 900 + w.random.IntN(200),
		"verify_ns": took(0.4), "memcpy_ns": int64(float64(bytes) / Memcpy), "read_hot_ns": took(12), "read_cold_ns": took(9),
		"strided_ns": took(10), "strided_loads": bytes / 64, "read_loads": bytes / 16, "copy_cold_ns": took(9 / w.CopyFactor),
		"write_cold_ns": took(8), "transport": "memfd", "wait": "spin", "pinning": "host [0] guest [1]", "flush": "clflushopt",
		"env_commit": "commit 0123456789ab", "host_counters": w.counters(bytes), "guest_counters": w.counters(bytes),
		"host_write_ns": nil, "copy_ns": nil, "read_ns": nil}
	switch variant {
	case "copy":
		write, read := took(2*Memcpy), took(2*Memcpy)
		l["host_write_ns"], l["copy_ns"], l["total_ns"] = write, read, write+read+2000
	case "zero_copy":
		read := took(9)
		l["host_write_ns"], l["read_ns"], l["total_ns"] = 0, read, read+2000
	case "overlapped":
		factor := w.Overlap
		if ring > 2<<20 {
			factor *= 0.85
		}
		l["ring_bytes"], l["chunk_bytes"], l["total_ns"] = ring, 65536, took(Memcpy*factor)
	}
	if w.Failed > 0 && experiment == "frames" {
		w.Failed--
		l["ok"], l["failure"], l["total_ns"] = false, "the frame that arrived is not the one that was sent", nil
	}
	return l
}

func (w *writer) counters(bytes int) counters.Values {
	v := counters.Values{}.With(counters.ContextSwitches, 2).With(counters.PageFaults, 1)
	if !w.Counted {
		return v
	}
	loads := uint64(bytes / 16)
	return v.With(counters.L1DMisses, loads/4).With(counters.L1DReferences, loads).With(counters.LLCMisses, loads/8).
		With(counters.LLCReferences, loads/4).With(counters.DTLBMisses, loads/256).With(counters.DTLBReferences, loads).
		With(counters.Cycles, uint64(bytes)/2).With(counters.Instructions, uint64(bytes)/2*3)
}

func baseline() (b membw.Baseline) {
	for i, level := range []membw.Level{{Name: "L1d", CacheBytes: 48 << 10, BufferBytes: 12 << 10}, {Name: "L2", CacheBytes: 2 << 20, BufferBytes: 320 << 10},
		{Name: membw.Memory, BufferBytes: 64 << 20}} {
		for j, kind := range membw.Kinds {
			f := membw.Figure{Level: level, Kind: kind}
			for run := range 5 {
				f.Runs = append(f.Runs, membw.Run{Bytes: uint64(80-30*i-5*j-run) * 1e6, ElapsedNs: 1e6})
			}
			b = append(b, f)
		}
	}
	return b
}
