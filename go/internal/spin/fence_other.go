// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package spin

// FenceBy is Fence.
func FenceBy(*uint32) { Fence() }
