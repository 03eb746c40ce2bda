// SPDX-License-Identifier: Apache-2.0

// Package libdx is the C library as Go sees it: raw handles and pointers into
// shared memory. Programs use dx/go/dx instead.
//
// It lies in the folder of the C sources on purpose: the go tool rebuilds a cgo
// package when a C file in its own folder changes and only then, so that a
// changed C source reaches the next go run.
package libdx

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror
#cgo LDFLAGS: -lpthread -lrt
#include <stdlib.h>
#include "dx.h"
#include "dx_native.h"
#include "cpus.h"
*/
import "C"

import (
	"context"
	"io/fs"
	"runtime"
	"unsafe"
)

// Status is a dx_status of dx_status.h.
type Status int32

// The statuses that the Go packages name.
const (
	OK                  Status = C.DX_OK
	ErrInvalid          Status = C.DX_ERR_INVALID
	ErrTimeout          Status = C.DX_ERR_TIMEOUT
	ErrStopped          Status = C.DX_ERR_STOPPED
	ErrPeerClosed       Status = C.DX_ERR_PEER_CLOSED
	ErrPeerDead         Status = C.DX_ERR_PEER_DEAD
	ErrNoPeer           Status = C.DX_ERR_NO_PEER
	ErrLost             Status = C.DX_ERR_LOST
	ErrRequestTooLarge  Status = C.DX_ERR_REQUEST_TOO_LARGE
	ErrResponseTooLarge Status = C.DX_ERR_RESPONSE_TOO_LARGE
	ErrBufferTooSmall   Status = C.DX_ERR_BUFFER_TOO_SMALL
	ErrBusy             Status = C.DX_ERR_BUSY
	ErrHostExists       Status = C.DX_ERR_HOST_EXISTS
	ErrGuestExists      Status = C.DX_ERR_GUEST_EXISTS
	ErrNotDx            Status = C.DX_ERR_NOT_DX
	ErrVersion          Status = C.DX_ERR_VERSION
	ErrGeometry         Status = C.DX_ERR_GEOMETRY
	ErrShort            Status = C.DX_ERR_SHORT
	ErrStale            Status = C.DX_ERR_STALE
	ErrPermission       Status = C.DX_ERR_PERMISSION
	ErrURL              Status = C.DX_ERR_URL
	ErrNoSlot           Status = C.DX_ERR_NO_SLOT
	ErrSystem           Status = C.DX_ERR_SYSTEM
	ErrType             Status = C.DX_ERR_TYPE
	ErrCancelled        Status = C.DX_ERR_CANCELLED
	ErrCorrupt          Status = C.DX_ERR_CORRUPT
	ErrEnded            Status = C.DX_ERR_ENDED
)

// Offsets of dx_native.h, in bytes.
const (
	Line          = C.DX_NATIVE_LINE
	CallerWord    = C.DX_NATIVE_CALLER_WORD
	CallerBytes   = C.DX_NATIVE_CALLER_BYTES
	CallerType    = C.DX_NATIVE_CALLER_TYPE
	CallerParked  = C.DX_NATIVE_CALLER_PARKED
	CallerRing    = C.DX_NATIVE_CALLER_RESPONSE_RING
	CallerSent    = C.DX_NATIVE_CALLER_SENT
	CallerTaken   = C.DX_NATIVE_CALLER_TAKEN
	ServerWord    = C.DX_NATIVE_SERVER_WORD
	ServerBytes   = C.DX_NATIVE_SERVER_BYTES
	ServerStatus  = C.DX_NATIVE_SERVER_STATUS
	ServerResult  = C.DX_NATIVE_SERVER_RESULT
	ServerCell    = C.DX_NATIVE_SERVER_CELL
	ServerTaken   = C.DX_NATIVE_SERVER_TAKEN
	ServerSent    = C.DX_NATIVE_SERVER_SENT
	CellArmed     = C.DX_NATIVE_CELL_ARMED
	ServeThreads  = C.DX_SERVE_THREADS_MAX
	TypePing      = C.DX_TYPE_PING
	TypeUser      = C.DX_TYPE_USER
	TypeMax       = C.DX_TYPE_MAX
	RelaxNone     = C.DX_RELAX_NONE
	ParkNever     = C.DX_PARK_NEVER
	ParkPoll      = C.DX_PARK_POLL
	ParkDoorbell  = C.DX_PARK_DOORBELL
	AdaptOff      = C.DX_ADAPT_OFF
	CapacityBytes = C.DX_CAPACITY_MAX
)

// Error is a failed call of the library: what kind, and the detail.
type Error struct {
	Status Status
	Detail string
}

func (e *Error) Error() string {
	text := C.GoString(C.dx_status_string(C.dx_status(e.Status)))
	if e.Detail == "" {
		return "dx: " + text
	}
	return "dx: " + text + ": " + e.Detail
}

// Is makes two errors of one status equal for errors.Is, and a status equal to
// what the standard library calls the same thing.
func (e *Error) Is(target error) bool {
	if other, ok := target.(*Error); ok {
		return other.Status == e.Status && other.Detail == ""
	}
	switch e.Status {
	case ErrTimeout, ErrNoPeer:
		return target == context.DeadlineExceeded
	case ErrPermission:
		return target == fs.ErrPermission
	case ErrHostExists, ErrGuestExists:
		return target == fs.ErrExist
	}
	return false
}

// checked runs f, whose error text belongs to the thread it ran on.
func checked(f func() C.dx_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := f()
	if status == C.DX_OK {
		return nil
	}
	return &Error{Status(status), C.GoString(C.dx_last_error())}
}

// Wait is struct dx_wait, field by field.
type Wait struct {
	SpinMin, SpinMax, SpinStart uint32
	SpinInc, SpinDec            uint32
	YieldEvery, Burst           uint32
	Relax, Park, Adapt          uint32
	ParkTimeoutNs, PollNs       int64
	SilenceNs                   int64
	reserved                    [3]uint64
}

// The conversion below is a cast: this fails to compile if the sizes differ.
var _ = [1]struct{}{}[unsafe.Sizeof(Wait{})-C.sizeof_struct_dx_wait]

func (w *Wait) c() *C.struct_dx_wait { return (*C.struct_dx_wait)(unsafe.Pointer(w)) }

// Preset returns a named wait strategy.
func Preset(name string) (Wait, error) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var w Wait
	err := checked(func() C.dx_status { return C.dx_wait_preset(text, w.c()) })
	return w, err
}

// PresetNames lists the wait strategies that have a name.
func PresetNames() []string {
	var names []string
	for i := C.uint(0); ; i++ {
		name := C.dx_wait_preset_name(i)
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// CPUs is how many CPUs this process has, by affinity and cgroup quota.
func CPUs() int { return int(C.dx_cpus()) }

// Check says which field of w is out of its range.
func (w *Wait) Check() error {
	return checked(func() C.dx_status { return C.dx_wait_check(w.c()) })
}
