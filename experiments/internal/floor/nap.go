// SPDX-License-Identifier: Apache-2.0

package floor

// #include "nap.h"
import "C"

import (
	"fmt"
	"syscall"
	"time"
)

// Naps is what a process cost that only slept.
type Naps struct {
	Elapsed, CPU time.Duration
	Sleeps       uint64
}

// Nap lets a child process sleep again and again, after it has settled for a while
// until d has passed: system calls and nothing else. The child has ended when it
// returns, and ends if this process does.
func Nap(sleep, settle, d time.Duration) (Naps, error) {
	if sleep < time.Microsecond || settle < 0 || d < sleep {
		return Naps{}, fmt.Errorf("floor: sleeps of %v in %v after %v: at least 1us, and no longer than all of it", sleep, d, settle)
	}
	var n C.struct_floor_naps
	if errno := C.floor_nap(C.int64_t(sleep), C.int64_t(settle), C.int64_t(d), &n); errno != 0 {
		return Naps{}, fmt.Errorf("floor: a process that sleeps: %w", syscall.Errno(errno))
	}
	return Naps{time.Duration(n.elapsed_ns), time.Duration(n.cpu_ns), uint64(n.sleeps)}, nil
}
