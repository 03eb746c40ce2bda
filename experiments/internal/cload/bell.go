// SPDX-License-Identifier: Apache-2.0

package cload

// #include <stdlib.h>
// #include "../../../libdx/dx.h"
// #include "bell.h"
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// Bell is one side of the bare doorbell, see bell.h. One goroutine at a time.
type Bell struct{ bell *C.struct_bell }

// CreateBell is the host's side, at a URL whose guest is a machine with doorbells.
func CreateBell(url string, bytes int) (*Bell, error) {
	return openBell("create ", url, func(text *C.char, b **C.struct_bell) C.int { return C.bell_create(text, C.uint32_t(bytes), b) })
}

// AttachBell is the guest's side.
func AttachBell(url string, bytes int) (*Bell, error) {
	return openBell("attach ", url, func(text *C.char, b **C.struct_bell) C.int { return C.bell_attach(text, C.uint32_t(bytes), b) })
}

func openBell(what, url string, open func(*C.char, **C.struct_bell) C.int) (*Bell, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	b := &Bell{}
	if status := open(text, &b.bell); status != C.DX_OK {
		return nil, failure(what+url, status)
	}
	return b, nil
}

// Calls makes round trips for d, at most room of them, and returns their times in nanoseconds.
func (b *Bell) Calls(d time.Duration, room int) ([]uint32, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	times := make([]uint32, room)
	var status C.int
	made := C.bell_calls(b.bell, C.int64_t(d), (*C.uint32_t)(&times[0]), C.uint64_t(room), &status)
	if status != C.DX_OK {
		return nil, failure("bare doorbell", status)
	}
	return times[:made], nil
}

// Serve answers until the host closes.
func (b *Bell) Serve() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if status := C.bell_serve(b.bell); status != C.DX_ERR_PEER_CLOSED {
		return failure("bare doorbell", status)
	}
	return nil
}

// Close gives the channel back.
func (b *Bell) Close() { C.bell_close(b.bell) }
