// SPDX-License-Identifier: Apache-2.0

package frame

// A file that exports to C must not define anything in C, so that these
// functions have a file of their own.

/*
#include <stddef.h>
#include <stdint.h>
*/
import "C"

import (
	"encoding/json"
	"runtime/cgo"
	"unsafe"

	"dx/experiments/internal/counters"
)

// guestCounters counts on the guest's only thread.
type guestCounters struct {
	set    *counters.Set
	before counters.Sample
}

//export dxFrameCountBegin
func dxFrameCountBegin(handle C.uintptr_t) {
	c := cgo.Handle(handle).Value().(*guestCounters)
	c.before = c.set.Sample()
}

//export dxFrameCountEnd
func dxFrameCountEnd(handle C.uintptr_t, text unsafe.Pointer, room C.size_t) C.size_t {
	c := cgo.Handle(handle).Value().(*guestCounters)
	values := c.set.Since(c.before)
	written, err := json.Marshal(values)
	if err != nil || len(written) > int(room) {
		return 0 // no valid text: the host says that this frame failed
	}
	return C.size_t(copy(unsafe.Slice((*byte)(text), int(room)), written))
}
