// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

// A file that exports to C must not define anything in C, so that this
// function has a file of its own.

/*
#include <stddef.h>
#include <stdint.h>
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

//export dxGoServe
func dxGoServe(handle C.uintptr_t, kind, slot C.uint32_t, request unsafe.Pointer, bytes C.size_t,
	response unsafe.Pointer, capacity C.size_t, used *C.size_t) C.int32_t {
	f := cgo.Handle(handle).Value().(ServeFunc)
	n, status := f(uint32(kind), uint32(slot), unsafe.Slice((*byte)(request), int(bytes)),
		unsafe.Slice((*byte)(response), int(capacity)))
	*used = C.size_t(n) // of HandlerLeft, DX_NATIVE_LEFT
	return C.int32_t(status)
}
