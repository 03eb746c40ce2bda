// SPDX-License-Identifier: Apache-2.0

package spin

import "golang.org/x/sys/cpu"

// wfe watches the word's line, looks once, and rests.
//
//go:noescape
func wfe(word *uint64, value uint64, untilEqual bool)

// find takes WFE only where the kernel's event stream ends every rest.
func find() hardware {
	if cpu.ARM64.HasEVTSTRM {
		return hardware{"wfe", wfe}
	}
	return none
}
