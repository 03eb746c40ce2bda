// SPDX-License-Identifier: Apache-2.0

package spin

const (
	extendedLeaf = 0x80000000
	waitpkg      = 1 << 5  // of leaf 7
	monitorx     = 1 << 29 // of leaf 0x80000001
)

// cpuid returns two of the four registers of a leaf's first part.
func cpuid(leaf uint32) (eax, ecx uint32)

// umwait and mwaitx watch the word's line, look once, and rest.
//
//go:noescape
func umwait(word *uint64, value uint64, untilEqual bool)

//go:noescape
func mwaitx(word *uint64, value uint64, untilEqual bool)

func find() hardware {
	var leaf7, extended uint32
	if last, _ := cpuid(0); last >= 7 {
		_, leaf7 = cpuid(7)
	}
	if last, _ := cpuid(extendedLeaf); last > extendedLeaf {
		_, extended = cpuid(extendedLeaf + 1)
	}
	return choose(leaf7, extended)
}

func choose(leaf7, extended uint32) hardware {
	switch {
	case leaf7&waitpkg != 0:
		return hardware{"umwait", umwait}
	case extended&monitorx != 0:
		return hardware{"mwaitx", mwaitx}
	}
	return none
}
