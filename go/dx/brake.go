// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"time"

	"dx/libdx"
)

// brake slows down who is rung more often than there is news: wait_brake.c in Go. A peer can
// write what it likes, but not what our own waits have found.
type brake struct {
	found uint64 // news, at the last look
	rings uint64 // that are still heard at once
	pause time.Duration
}

// afterRing returns how long to sleep before the next ring is listened for, mostly 0.
func (b *brake) afterRing(found uint64) time.Duration {
	b.rings = min(libdx.BrakeRingsMax, b.rings+libdx.BrakeRingsEach*min(libdx.BrakeRingsMax, found-b.found))
	b.found = found
	if b.rings > 0 {
		b.rings--
		b.pause = 0
		return 0
	}
	b.pause = min(max(libdx.BrakePauseNs, 2*b.pause), libdx.BrakePauseMaxNs)
	return b.pause
}
