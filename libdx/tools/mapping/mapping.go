// SPDX-License-Identifier: Apache-2.0

// Package mapping times single loads and stores through mapped memory, and tells by that what kind
// of memory it is. It is the same code that dx doctor uses.
package mapping

// #cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
// #include "kind.h"
// #include "loops.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// LineBytes is the size of a cache line.
const LineBytes = C.MAPPING_LINE_BYTES

// KindBytes is how much memory KindOf reads.
const KindBytes = C.MAPPING_KIND_BYTES

// Loop is one way to go over memory. The zero value is of no use: see Loops.
type Loop struct {
	// Name says what it does: "load-8x4" is four loads of 8 bytes in each line.
	Name string `json:"loop"`
	// Operation is load, store, memcpy-out (of the mapping) or memcpy-in.
	Operation string `json:"operation"`
	// AccessBytes is the width of an access, AccessesPerLine how many go to each line; 0 for memcpy,
	// which chooses itself.
	AccessBytes     int `json:"access_bytes"`
	AccessesPerLine int `json:"accesses_per_line"`
	// Streaming marks MOVNTDQA, and stores around the cache.
	Streaming bool `json:"streaming"`

	c *C.struct_mapping_loop
}

// Loops lists those that this CPU can run, in the order in which they are to be shown.
func Loops() []Loop {
	operations := []string{"load", "store", "memcpy-out", "memcpy-in"}
	var all []Loop
	first := (*C.struct_mapping_loop)(unsafe.Pointer(&C.mapping_loops)) // an array of unknown length
	for c := first; c.name != nil; c = next(c) {
		l := Loop{C.GoString(c.name), operations[c.operation], int(c.access_bytes), int(c.per_line),
			bool(c.streaming), c}
		if C.mapping_loop(c.name) != nil {
			all = append(all, l)
		}
	}
	return all
}

func next(c *C.struct_mapping_loop) *C.struct_mapping_loop {
	return (*C.struct_mapping_loop)(unsafe.Add(unsafe.Pointer(c), unsafe.Sizeof(*c)))
}

// Writes says whether the loop changes what is mapped.
func (l Loop) Writes() bool { return l.Operation == "store" || l.Operation == "memcpy-in" }

// Accesses returns how many loads or stores one pass makes; 0 for memcpy.
func (l Loop) Accesses(bytes int) int { return bytes / LineBytes * l.AccessesPerLine }

// TouchedBytes returns how many bytes one pass loads, stores or copies.
func (l Loop) TouchedBytes(bytes int) int {
	if l.AccessesPerLine == 0 {
		return bytes
	}
	return l.Accesses(bytes) * l.AccessBytes
}

// Time makes that many passes, one after the other, and returns the nanoseconds they took together.
// Both memories have the same size, a multiple of a line, and begin at a line.
func (l Loop) Time(mapped, private []byte, passes int) int64 {
	if len(mapped) == 0 || len(mapped)%LineBytes != 0 || len(private) < len(mapped) || passes < 1 {
		panic(fmt.Sprintf("mapping: %d bytes mapped, %d private, %d passes", len(mapped), len(private), passes))
	}
	return int64(C.mapping_loop_time(l.c, unsafe.Pointer(&mapped[0]), unsafe.Pointer(&private[0]),
		C.size_t(len(mapped)), C.int(passes)))
}

// Times are nanoseconds per line, each the best of several passes over KindBytes.
type Times struct {
	FirstNs  float64 `json:"first_ns"`  // one load of 8 bytes a line, the first pass
	LineNs   float64 `json:"line_ns"`   // the same again
	Loads8Ns float64 `json:"loads8_ns"` // eight loads of 8 bytes a line
	StreamNs float64 `json:"stream_ns"` // four MOVNTDQA a line; 0: there is no such instruction
}

// Cached is the kind of memory that is read from a cache the second time. The other kinds are
// "write-combining", "uncached", "not-cached" (one of these two) and "unclear".
const Cached = "cached"

// KindOf reads the first KindBytes of mapped memory, for 20 ms at most, and tells of what kind it is.
func KindOf(mapped []byte) (Times, string) {
	var c C.struct_mapping_times
	mapped = mapped[:KindBytes]
	C.mapping_kind_time(unsafe.Pointer(&mapped[0]), KindBytes, &c)
	return Times{float64(c.first_ns), float64(c.line_ns), float64(c.loads8_ns), float64(c.stream_ns)},
		C.GoString(C.mapping_kind_name(C.mapping_kind_of(&c)))
}
