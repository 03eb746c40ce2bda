// SPDX-License-Identifier: Apache-2.0

package dx

import "time"

const (
	// brakeRings are heard at once for each piece of news, brakeRingsMax in a row.
	brakeRings    = 4
	brakeRingsMax = 64
	brakePause    = 100 * time.Microsecond
	brakePauseMax = time.Millisecond
)

// brake slows down who is rung more often than there is news: brake.c in Go. A peer can
// write what it likes, but not what our own waits have found.
type brake struct {
	found uint64 // news, at the last look
	rings uint64 // that are still heard at once
	pause time.Duration
}

// afterRing returns how long to sleep before the next ring is listened for, mostly 0.
func (b *brake) afterRing(found uint64) time.Duration {
	b.rings = min(brakeRingsMax, b.rings+brakeRings*min(brakeRingsMax, found-b.found))
	b.found = found
	if b.rings > 0 {
		b.rings--
		b.pause = 0
		return 0
	}
	b.pause = min(max(brakePause, 2*b.pause), brakePauseMax)
	return b.pause
}
