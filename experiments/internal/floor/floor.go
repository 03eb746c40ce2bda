// SPDX-License-Identifier: Apache-2.0

// Package floor measures what this machine costs without any protocol: the round trip of a cache
// line between two CPUs, and the bandwidth of copying, reading and writing memory. Every other
// figure of the experiments is printed beside these.
package floor

// #cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -pthread
// #cgo LDFLAGS: -pthread
// #include "floor.h"
import "C"

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

const (
	// MaxExchangeBytes is the largest payload that Measure takes.
	MaxExchangeBytes = 1 << 20
	// MaxExchangeSlots is the largest number of exchanges at a time that MeasureSlots takes.
	MaxExchangeSlots = 4096
	// cpus is how many CPU numbers the C library's affinity mask holds.
	cpus = 1024
)

// Result is one measurement of the round trip between two CPUs.
type Result struct {
	// RTTNs is the mean round trip in nanoseconds: Elapsed over Loops.
	RTTNs float64
	// Loops is how many round trips were complete, warm-up left out.
	Loops uint64
	// Elapsed is the time that Loops took.
	Elapsed time.Duration
}

// Measure returns the round trip between two threads pinned to cpuA and cpuB, for d after a warm-up
// of 2 ms. With bytes 0 only a sequence word goes each way, on a cache line of its own. With more,
// side A also copies that many bytes from private memory into shared memory before it publishes its
// word; side B copies them out, copies as many in, and answers; side A copies those out.
//
// The shared memory is an anonymous allocation of this process. Caches know physical addresses
// only, so the lines travel as they would between two processes that map one file.
//
// It blocks for about d and leaves no thread behind. If another program keeps one of the CPUs busy
// the figure grows, and after d and five seconds more without any answer it is an error. Nothing of the
// calling thread is changed. Both sides on one CPU are an error where there are two. Two calls at a time are allowed but disturb each other.
func Measure(cpuA, cpuB int, bytes int, d time.Duration) (Result, error) {
	return MeasureSlots(cpuA, cpuB, bytes, 1, d)
}

// MeasureSlots is Measure with so many exchanges under way at a time, each with words and bytes of its
// own: side A goes round and sends the next request where it finds an answer, side B goes round and
// answers. RTTNs is then the time that passes for each round trip, not what one takes.
func MeasureSlots(cpuA, cpuB int, bytes, slots int, d time.Duration) (Result, error) {
	if cpuA == cpuB && runtime.NumCPU() > 1 {
		return Result{}, fmt.Errorf("floor: both sides on CPU %d: a round trip between CPUs needs two", cpuA)
	}
	return exchange(cpuA, cpuB, bytes, slots, d)
}

// exchange is Measure without the demand for two CPUs, so that a test can force them onto one.
func exchange(cpuA, cpuB int, bytes, slots int, d time.Duration) (Result, error) {
	for _, cpu := range []int{cpuA, cpuB} {
		if cpu < 0 || cpu >= cpus {
			return Result{}, fmt.Errorf("floor: CPU %d does not exist: numbers go from 0 to %d", cpu, cpus-1)
		}
	}
	if bytes < 0 || bytes > MaxExchangeBytes {
		return Result{}, fmt.Errorf("floor: payload of %d bytes: must be 0 to %d", bytes, MaxExchangeBytes)
	}
	if slots < 1 || slots > MaxExchangeSlots {
		return Result{}, fmt.Errorf("floor: %d exchanges at a time: must be 1 to %d", slots, MaxExchangeSlots)
	}
	if d <= 0 {
		return Result{}, fmt.Errorf("floor: duration %v: must be more than 0", d)
	}
	var out C.struct_floor_exchange
	var errno C.int
	failure := C.floor_exchange(C.int(cpuA), C.int(cpuB), C.size_t(bytes), C.size_t(slots), C.int64_t(d), &out, &errno)
	if err := explain(failure, cpuA, cpuB, syscall.Errno(errno)); err != nil {
		return Result{}, err
	}
	return resultOf(out), nil
}

func resultOf(out C.struct_floor_exchange) Result {
	return Result{
		RTTNs:   float64(out.elapsed_ns) / float64(out.loops),
		Loops:   uint64(out.loops),
		Elapsed: time.Duration(out.elapsed_ns),
	}
}

func explain(failure C.enum_floor_failure, cpuA, cpuB int, errno syscall.Errno) error {
	switch failure {
	case C.FLOOR_OK:
		return nil
	case C.FLOOR_PIN_A:
		return pinError(cpuA, errno)
	case C.FLOOR_PIN_B:
		return pinError(cpuB, errno)
	case C.FLOOR_STARVED:
		return fmt.Errorf("floor: no answer between CPU %d and CPU %d for five seconds: another program keeps one of them busy", cpuA, cpuB)
	case C.FLOOR_MEMORY:
		return fmt.Errorf("floor: cannot allocate the buffers: %w", errno)
	default:
		return fmt.Errorf("floor: cannot start a thread: %w", errno)
	}
}

func pinError(cpu int, errno syscall.Errno) error {
	if errno == syscall.EINVAL {
		return fmt.Errorf("floor: CPU %d does not exist, is offline, or is not among those this process may use: %w", cpu, errno)
	}
	return fmt.Errorf("floor: cannot pin a thread to CPU %d: %w", cpu, errno)
}
