// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"time"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/result"
)

// ns is a duration in nanoseconds; unknown is what was not measured, or belongs to
// a frame that failed. It is null in JSON and empty in CSV, never 0.
type ns int64

const unknown ns = -1

func (n ns) known() bool { return n >= 0 }

// MarshalJSON writes a number or null.
func (n ns) MarshalJSON() ([]byte, error) {
	if !n.known() {
		return []byte("null"), nil
	}
	return json.Marshal(int64(n))
}

// UnmarshalJSON reads it back.
func (n *ns) UnmarshalJSON(text []byte) error {
	var value *int64
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	*n = unknown
	if value != nil {
		*n = ns(*value)
	}
	return nil
}

// Values of Record.Experiment.
const (
	experiment           = "frames"             // a frame that counts
	experimentFirstTouch = "frames_first_touch" // the first one in new memory
)

// phases are the times of one frame.
type phases struct {
	GenerateNs    ns `json:"generate_ns"`
	HostWriteNs   ns `json:"host_write_ns"`
	GuestWriteNs  ns `json:"guest_write_ns"`
	NotifyNs      ns `json:"notify_ns"`
	CopyNs        ns `json:"copy_ns"`
	ReadNs        ns `json:"read_ns"`
	ExchangeNs    ns `json:"exchange_ns"`
	TotalNs       ns `json:"total_ns"`
	AcknowledgeNs ns `json:"acknowledge_ns"`
	VerifyNs      ns `json:"verify_ns"`
	MemcpyNs      ns `json:"memcpy_ns"`
	ReadHotNs     ns `json:"read_hot_ns"`
	ReadColdNs    ns `json:"read_cold_ns"`
	StridedNs     ns `json:"strided_ns"`
	CopyColdNs    ns `json:"copy_cold_ns"`
	WriteColdNs   ns `json:"write_cold_ns"`
}

var noPhases = phases{unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown,
	unknown, unknown, unknown, unknown, unknown, unknown, unknown}

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
	phases
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

// fail makes r a frame that failed: it has no times.
func (r *Record) fail(err error) {
	r.OK, r.Failure = false, err.Error()
	r.phases = noPhases
	r.HostCounters, r.GuestCounters = nil, nil
}
