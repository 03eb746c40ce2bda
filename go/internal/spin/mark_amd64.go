// SPDX-License-Identifier: Apache-2.0

//go:build !race

package spin

// Mark is StoreRelease without a call: a plain store is a release here, and the compiler
// moves no store after a later call or atomic operation.
func Mark(word *uint64, value uint64) { *word = value }
