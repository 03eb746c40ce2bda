// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package dx

import (
	"runtime"
	"time"
)

// Nothing waits where no channel can be open: these are here to compile.

func yieldThread() { runtime.Gosched() }

func setNonblock(int) {}

func napThread(d time.Duration) { time.Sleep(d) }

func fenceThreads() bool { return false }
