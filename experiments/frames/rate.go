// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"

	"dx/experiments/internal/stat"
)

// moved is bytes and the time that they took: what every rate of this experiment is
// derived from, here and nowhere else. A mean rate is the sum of bytes over the sum
// of time, not a mean of rates.
type moved struct {
	bytes uint64
	ns    int64
	count int
}

// add counts a frame, unless its time is unknown.
func (m *moved) add(bytes int, took ns) {
	if took.known() {
		m.bytes += uint64(bytes)
		m.ns += int64(took)
		m.count++
	}
}

// rate returns bytes a second; NaN if nothing was moved.
func (m moved) rate() float64 {
	if m.count == 0 {
		return math.NaN()
	}
	return stat.Rate(m.bytes, m.ns)
}

// gbps returns GB/s: 10^9 bytes a second.
func (m moved) gbps() float64 { return m.rate() / 1e9 }

// mbps returns MB/s: 10^6 bytes a second.
func (m moved) mbps() float64 { return m.rate() / 1e6 }

// one is a single frame's.
func one(bytes int, took ns) (m moved) {
	m.add(bytes, took)
	return m
}
