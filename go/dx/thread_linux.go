// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// yieldThread gives the CPU to another thread, of any process.
func yieldThread() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// setNonblock makes reads of a descriptor return at once.
func setNonblock(fd int) { _ = syscall.SetNonblock(fd, true) }

// napThread sleeps without the runtime's knowledge; a signal ends it early.
func napThread(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}

// Commands of membarrier(2).
const (
	membarrierExpedited         = 1 << 3
	membarrierRegisterExpedited = 1 << 4
)

// haveMembarrier says whether the kernel lets us.
var haveMembarrier = sync.OnceValue(func() bool { return membarrier(membarrierRegisterExpedited) })

func membarrier(command uintptr) bool {
	_, _, failed := unix.RawSyscall(unix.SYS_MEMBARRIER, command, 0, 0)
	return failed == 0
}

// fenceThreads is a fence in each thread of this process; false where the kernel has none.
func fenceThreads() bool { return haveMembarrier() && membarrier(membarrierExpedited) }
