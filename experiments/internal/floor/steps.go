// SPDX-License-Identifier: Apache-2.0

package floor

// #include "floor.h"
import "C"

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// Steps name what is added to a bare loop, one on top of the other, until it does what a call of libdx
// does with 64 bytes each way.
var Steps = []string{
	C.FLOOR_WORD:     "the words alone",
	C.FLOOR_PAYLOAD:  "64 bytes each way, on lines of their own",
	C.FLOOR_FENCE:    "a fence after each word",
	C.FLOOR_FIELDS:   "length, type, status, result beside the words",
	C.FLOOR_SLEEPER:  "a look whether the other side sleeps",
	C.FLOOR_JOURNAL:  "the server's journal",
	C.FLOOR_COUNTERS: "counters",
	C.FLOOR_FLAGS:    "looks at stop flags and slots in use",
}

// MeasureSteps is Measure of a loop with the steps up to the one with this index.
func MeasureSteps(cpuA, cpuB, last int, d time.Duration) (Result, error) {
	switch {
	case last < 0 || last >= len(Steps):
		return Result{}, fmt.Errorf("floor: step %d: must be 0 to %d", last, len(Steps)-1)
	case cpuA == cpuB && runtime.NumCPU() > 1:
		return Result{}, fmt.Errorf("floor: both sides on CPU %d: a round trip between CPUs needs two", cpuA)
	case d <= 0:
		return Result{}, fmt.Errorf("floor: duration %v: must be more than 0", d)
	}
	var out C.struct_floor_exchange
	var errno C.int
	failure := C.floor_steps(C.int(cpuA), C.int(cpuB), C.enum_floor_step(last), C.int64_t(d), &out, &errno)
	if err := explain(failure, cpuA, cpuB, syscall.Errno(errno)); err != nil {
		return Result{}, err
	}
	return resultOf(out), nil
}
