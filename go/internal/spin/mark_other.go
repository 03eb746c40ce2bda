// SPDX-License-Identifier: Apache-2.0

//go:build !race && !amd64

package spin

// Mark is StoreRelease.
func Mark(word *uint64, value uint64) { StoreRelease(word, value) }
