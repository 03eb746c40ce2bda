// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"syscall"
	"time"
)

// yieldThread gives the CPU to another thread, of any process.
func yieldThread() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// napThread sleeps without the runtime's knowledge; a signal ends it early.
func napThread(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}
