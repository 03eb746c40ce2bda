// SPDX-License-Identifier: Apache-2.0

package frame

/*
#include <stdlib.h>
#include "../../../libdx/dx.h"
#include "guest.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"unsafe"

	"dx/experiments/internal/counters"
	"dx/go/dx"
	"dx/libdx"
)

// Serve is the guest: it attaches, writes a line to readyFD and serves on this
// thread until the host is gone.
func Serve(url string, w *libdx.Wait, readyFD int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &guestCounters{set: counters.Open(counters.Thread)}
	defer c.set.Close()
	handle := cgo.NewHandle(c)
	defer handle.Delete()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	status := C.frame_serve(text, (*C.struct_dx_wait)(unsafe.Pointer(w)), C.int(readyFD),
		C.uintptr_t(handle))
	if status == C.DX_ERR_PEER_CLOSED {
		return nil
	}
	return fmt.Errorf("serve %s: %w", url, &dx.Error{Status: dx.Status(status),
		Detail: C.GoString(C.dx_last_error())})
}
