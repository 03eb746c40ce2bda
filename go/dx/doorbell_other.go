// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package dx

// takeRings has nothing to take: only Linux has doorbells.
func takeRings(uintptr) bool { return false }
