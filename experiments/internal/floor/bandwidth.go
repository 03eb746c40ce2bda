// SPDX-License-Identifier: Apache-2.0

package floor

// #include "floor.h"
import "C"

import (
	"fmt"
	"syscall"
	"time"

	"dx/experiments/internal/stat"
)

// MaxBandwidthBytes is the largest buffer that Memcpy, Read and Write take.
const MaxBandwidthBytes = 1 << 30

// Kind is what is done with the bytes of a bandwidth measurement.
type Kind int

// The kinds of traffic. A copied byte counts once, although it is read and written.
const (
	KindCopy  Kind = C.FLOOR_COPY
	KindRead  Kind = C.FLOOR_READ
	KindWrite Kind = C.FLOOR_WRITE
)

// Traffic is what one bandwidth measurement moved, as integers; BytesPerSecond derives the rate.
type Traffic struct {
	// Bytes is the bytes copied, read or written, warm-up left out.
	Bytes uint64
	// Loads is the load instructions that a read took (16 bytes each, single bytes at the end); 0
	// for other kinds.
	Loads uint64
	// Elapsed is the time that all passes together took.
	Elapsed time.Duration
}

// BytesPerSecond returns bytes over time (not 2^20 and not a mean of rates).
func (t Traffic) BytesPerSecond() float64 { return stat.Rate(t.Bytes, t.Elapsed.Nanoseconds()) }

// Bandwidth passes over a buffer of that many bytes again and again for d, after a warm-up of 2 ms
// and at least once, on the calling thread. Source and destination are separate and faulted in
// before. It blocks for about d; two calls at a time disturb each other.
func Bandwidth(kind Kind, bytes int, d time.Duration) (Traffic, error) {
	if err := check(kind, bytes, MaxBandwidthBytes, d); err != nil {
		return Traffic{}, err
	}
	var out C.struct_floor_moved
	if errno := C.floor_bandwidth(C.enum_floor_traffic(kind), C.size_t(bytes), C.int64_t(d), &out); errno != 0 {
		return Traffic{}, fmt.Errorf("floor: cannot allocate two buffers of %d bytes: %w", bytes, syscall.Errno(errno))
	}
	return Traffic{uint64(out.bytes), uint64(out.loads), time.Duration(out.elapsed_ns)}, nil
}

func check(kind Kind, bytes, most int, d time.Duration) error {
	switch {
	case kind < KindCopy || kind > KindWrite:
		return fmt.Errorf("floor: kind %d: no such kind of traffic", kind)
	case bytes <= 0 || bytes > most:
		return fmt.Errorf("floor: buffer of %d bytes: must be 1 to %d", bytes, most)
	case d <= 0:
		return fmt.Errorf("floor: duration %v: must be more than 0", d)
	}
	return nil
}
