// SPDX-License-Identifier: Apache-2.0

// Package frames has what experiments/frames measures: a record of each frame, figures over them, the
// charts, and the report. Every sentence of a report follows from the data: where runs differ by more
// than a margin, it says so and nothing else.
package frames

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/result"
)

// Ns is a duration in nanoseconds; Unknown is what was not measured, or belongs to a frame that
// failed. It is null in JSON and empty in CSV, never 0.
type Ns int64

// Unknown is no duration.
const Unknown Ns = -1

// Known says whether it was measured.
func (n Ns) Known() bool { return n >= 0 }

// MarshalJSON writes a number or null.
func (n Ns) MarshalJSON() ([]byte, error) {
	if !n.Known() {
		return []byte("null"), nil
	}
	return json.Marshal(int64(n))
}

// Phases are the times of one frame.
type Phases struct {
	GenerateNs    Ns `json:"generate_ns"`
	HostWriteNs   Ns `json:"host_write_ns"`
	GuestWriteNs  Ns `json:"guest_write_ns"`
	NotifyNs      Ns `json:"notify_ns"`
	CopyNs        Ns `json:"copy_ns"`
	ReadNs        Ns `json:"read_ns"`
	ExchangeNs    Ns `json:"exchange_ns"`
	TotalNs       Ns `json:"total_ns"`
	AcknowledgeNs Ns `json:"acknowledge_ns"`
	TakenUpNs     Ns `json:"taken_up_ns"`
	VerifyNs      Ns `json:"verify_ns"`
	MemcpyNs      Ns `json:"memcpy_ns"`
	ReadHotNs     Ns `json:"read_hot_ns"`
	ReadColdNs    Ns `json:"read_cold_ns"`
	StridedNs     Ns `json:"strided_ns"`
	CopyColdNs    Ns `json:"copy_cold_ns"`
	WriteColdNs   Ns `json:"write_cold_ns"`
}

// PhaseNames are theirs, as result.jsonl has them before _ns.
var PhaseNames []string

// NoPhases is a frame of which nothing is known.
var NoPhases Phases

func init() {
	phases := reflect.TypeFor[Phases]()
	for i := range phases.NumField() {
		PhaseNames = append(PhaseNames, strings.TrimSuffix(phases.Field(i).Tag.Get("json"), "_ns"))
		*NoPhases.at(i) = Unknown
	}
}

func (p *Phases) at(i int) *Ns { return reflect.ValueOf(p).Elem().Field(i).Addr().Interface().(*Ns) }

// Took returns the time of a phase.
func (p *Phases) Took(name string) Ns {
	if i := slices.Index(PhaseNames, name); i >= 0 {
		return *p.at(i)
	}
	return Unknown
}

// Values of Record.Experiment. Lines of others are left out.
const (
	Frames     = "frames"             // a frame that counts
	FirstTouch = "frames_first_touch" // the first one in new memory
)

// Wrote says whether lines of this experiment are those of frames.
func Wrote(experiment string) bool {
	return experiment == Frames || strings.HasPrefix(experiment, Frames+"_")
}

// Record is one frame: one line of result.jsonl.
type Record struct {
	Experiment string    `json:"experiment"`
	Time       time.Time `json:"time"`
	Run        int       `json:"run"`
	Frame      string    `json:"frame"` // 1080p, 1440p, 4K, or the size
	Width      int       `json:"width,omitempty"`
	Height     int       `json:"height,omitempty"`
	SizeBytes  int       `json:"size_bytes"`
	// CacheLevel is the smallest cache that holds the frame, L1d to L3, or memory; empty where the
	// machine does not tell its caches. A copy takes twice as much, a ring has its own size.
	CacheLevel string           `json:"cache_level,omitempty"`
	Variant    string           `json:"variant"`
	RingBytes  int              `json:"ring_bytes,omitempty"` // of overlapped
	ChunkBytes int              `json:"chunk_bytes,omitempty"`
	Direction  result.Direction `json:"direction"`
	// Iteration counts the frames of a folder from 1, in the order in which they were sent; 0 for
	// those of the first touch.
	Iteration int `json:"iteration"`
	// Sequence is the number inside the frame.
	Sequence uint64 `json:"sequence"`
	OK       bool   `json:"ok"`
	Failure  string `json:"failure,omitempty"`
	Phases
	// MemcpyFirst says that the memcpy came right before the transfer, and not right after: whichever
	// comes second finds the frame in warmer caches. They take turns.
	MemcpyFirst  bool   `json:"memcpy_first"`
	ReadBytes    uint64 `json:"read_bytes"` // of one full read: all of the frame
	ReadLoads    uint64 `json:"read_loads"`
	StridedBytes uint64 `json:"strided_bytes"`
	StridedLoads uint64 `json:"strided_loads"`
	// Counters are of passes of their own, one write by the sender and one copy by the receiver,
	// without a clock.
	HostCounters  *counters.Values `json:"host_counters"`
	GuestCounters *counters.Values `json:"guest_counters"`

	Flush     string `json:"flush"` // how caches were emptied: clflushopt, clflush, dc civac, evicted
	Transport string `json:"transport"`
	// Accelerator is how a virtual machine runs its guest: kvm, hvf, tcg; empty elsewhere.
	Accelerator string `json:"accelerator,omitempty"`
	Wait        string `json:"wait"`
	Pinning     string `json:"pinning"`
	EnvCommit   string `json:"env_commit"`
}

// Fail makes r a frame that failed: it has no times.
func (r *Record) Fail(err error) {
	r.OK, r.Failure = false, err.Error()
	r.Phases = NoPhases
	r.HostCounters, r.GuestCounters = nil, nil
}

// required are the keys without which a line is none of ours.
var required = []string{"experiment", "frame", "size_bytes", "variant", "iteration", "total_ns", "ok"}

// UnmarshalJSON reads a line and checks what it says. A frame that failed has no times, whatever its
// line says.
func (r *Record) UnmarshalJSON(line []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		return err
	}
	times := NoPhases
	for i, name := range PhaseNames {
		raw, found := keys[name+"_ns"]
		if !found || string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, times.at(i)); err != nil || *times.at(i) < 0 {
			return fmt.Errorf("%s_ns is %s, which is no time", name, raw)
		}
	}
	type plain Record // without this method
	if err := json.Unmarshal(line, (*plain)(r)); err != nil {
		return err
	}
	if r.Phases = times; !r.OK {
		r.Phases = NoPhases
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
	if r.OK && !r.TotalNs.Known() {
		return errors.New("ok, but without total_ns")
	}
	return nil
}
