// SPDX-License-Identifier: Apache-2.0

package floor

// #include "blocking.h"
import "C"

import (
	"fmt"
	"syscall"
	"time"

	"dx/experiments/internal/stat"
)

// Bells are the ways to wake another process that Blocking measures.
var Bells = []string{"futex", "eventfd", "pipe"}

// MaxTrips is the largest number of round trips that Blocking takes.
const MaxTrips = 1 << 20

// Woken is one measurement of round trips of two wake-ups each.
type Woken struct {
	Latency *stat.Latency
	// CPU is the time of both processes for All round trips, the warm-up included.
	CPU time.Duration
	All uint64
}

// Blocking wakes a child process on cpuB from a thread on cpuA, which then sleeps
// until the child wakes it, and times so many round trips after up to 1,000 for
// warming up: system calls and nothing else. Processes and thread have ended when
// it returns.
func Blocking(bell string, cpuA, cpuB, trips int) (Woken, error) {
	kind := -1
	for i, name := range Bells {
		if name == bell {
			kind = i
		}
	}
	if kind < 0 || trips < 1 || trips > MaxTrips {
		return Woken{}, fmt.Errorf("floor: %d round trips by %q: 1 to %d, by one of %v", trips, bell, MaxTrips, Bells)
	}
	for _, cpu := range []int{cpuA, cpuB} {
		if cpu < 0 || cpu >= cpus {
			return Woken{}, fmt.Errorf("floor: CPU %d does not exist: numbers go from 0 to %d", cpu, cpus-1)
		}
	}
	ns := make([]uint32, trips)
	var cpu C.int64_t
	var all C.uint32_t
	errno := C.floor_blocking(C.enum_floor_bell(kind), C.int(cpuA), C.int(cpuB), C.uint32_t(trips),
		(*C.uint32_t)(&ns[0]), &cpu, &all)
	if errno != 0 {
		return Woken{}, fmt.Errorf("floor: waking a process by %s: %w", bell, syscall.Errno(errno))
	}
	w := Woken{Latency: stat.NewLatency(), CPU: time.Duration(cpu), All: uint64(all)}
	for _, n := range ns {
		w.Latency.Record(int64(n))
	}
	return w, nil
}
