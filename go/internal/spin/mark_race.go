// SPDX-License-Identifier: Apache-2.0

//go:build race

package spin

import "sync/atomic"

// Mark is StoreRelease in a way that the race detector sees.
func Mark(word *uint64, value uint64) { atomic.StoreUint64(word, value) }
