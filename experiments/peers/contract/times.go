// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"math/bits"
	"time"
)

// Times are times of calls to eleven binary digits, as those of experiments/peers/c/times.h.
type Times struct {
	count [(shifts + 1) << digits]uint64
	used  bool
}

const (
	digits = 11
	shifts = 26
)

// Record adds one.
func (t *Times) Record(d time.Duration) {
	value := uint64(max(d, 0))
	shift := max(bits.Len64(value|1)-digits, 0)
	if shift > shifts {
		shift, value = shifts, 1<<(digits+shifts)-1
	}
	t.count[shift<<digits+int(value>>shift)]++
	t.used = true
}

// Merge adds those of others.
func (t *Times) Merge(other *Times) {
	if !other.used {
		return
	}
	for i, n := range other.count {
		t.count[i] += n
	}
	t.used = true
}

// Pairs are times in ns, and how often each was met.
func (t *Times) Pairs() (pairs [][2]uint64) {
	if !t.used {
		return nil
	}
	for i, n := range t.count {
		if n > 0 {
			shift := i >> digits
			pairs = append(pairs, [2]uint64{uint64(i&(1<<digits-1))<<shift + 1<<shift>>1, n})
		}
	}
	return pairs
}
