// SPDX-License-Identifier: Apache-2.0

package spin

import "sync/atomic"

// A way to wait for a store in hardware: libdx/wait_hardware.h says how, and what for.
type hardware struct {
	name string // "pause" where there is nothing
	// rest returns when *word may equal value (untilEqual) or differ from it, after
	// some microseconds at the latest; nil where there is nothing.
	rest func(word *uint64, value uint64, untilEqual bool)
}

var none = hardware{name: "pause"}

// have is what this CPU has.
var have = find()

// Hardware names what UntilRest and UntilOtherRest wait by: "umwait", "mwaitx" or
// "wfe", or "pause" where the CPU has none of them.
func Hardware() string { return have.name }

func (h *hardware) relax(word *uint64, value uint64, untilEqual bool) {
	if h.rest == nil {
		Pause()
		return
	}
	h.rest(word, value, untilEqual)
}

// Rest waits until *word may be another than seen, some microseconds at most. Where the CPU cannot, it
// is Pause.
func Rest(word *uint64, seen uint64) { have.relax(word, seen, false) }

// UntilRest is Until with rests in hardware between looks: a look then takes some
// microseconds at most, and far less when the word is written.
func UntilRest(word *uint64, want uint64, looks uint32) uint32 {
	return have.until(word, want, looks)
}

func (h *hardware) until(word *uint64, want uint64, looks uint32) uint32 {
	for n := uint32(1); n <= looks; n++ {
		if atomic.LoadUint64(word) == want {
			return n
		}
		h.relax(word, want, true)
	}
	return 0
}

// UntilOtherRest looks up to looks times, with a rest before each, and returns the
// number of the look that saw another word than seen, or 0.
func UntilOtherRest(word *uint64, seen uint64, looks uint32) uint32 {
	return have.untilOther(word, seen, looks)
}

func (h *hardware) untilOther(word *uint64, seen uint64, looks uint32) uint32 {
	for n := uint32(1); n <= looks; n++ {
		h.relax(word, seen, false)
		if atomic.LoadUint64(word) != seen {
			return n
		}
	}
	return 0
}
