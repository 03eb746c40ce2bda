// SPDX-License-Identifier: Apache-2.0

package libdx

import (
	"context"
	"io/fs"
	"unsafe"
)

// What is known without the C library, so that programs compile where it is not:
// libdx_constants.go holds the constants against the headers.

// Status is a dx_status of dx_status.h.
type Status int32

// The statuses that the Go packages name.
const (
	OK                  Status = 0
	ErrInvalid          Status = -1
	ErrTimeout          Status = -2
	ErrStopped          Status = -3
	ErrPeerClosed       Status = -4
	ErrPeerDead         Status = -5
	ErrNoPeer           Status = -6
	ErrLost             Status = -7
	ErrRequestTooLarge  Status = -8
	ErrResponseTooLarge Status = -9
	ErrBufferTooSmall   Status = -10
	ErrBusy             Status = -11
	ErrHostExists       Status = -12
	ErrGuestExists      Status = -13
	ErrNotDx            Status = -14
	ErrVersion          Status = -15
	ErrGeometry         Status = -16
	ErrShort            Status = -17
	ErrStale            Status = -18
	ErrPermission       Status = -19
	ErrURL              Status = -20
	ErrNoSlot           Status = -21
	ErrSystem           Status = -22
	ErrType             Status = -23
	ErrCancelled        Status = -24
	ErrCorrupt          Status = -25
	ErrEnded            Status = -26
	ErrForked           Status = -27
	ErrNameRemoved      Status = -28
)

// Offsets of dx_native.h, in bytes.
const (
	Line          = 64
	CallerWord    = 0
	CallerBytes   = 8
	CallerType    = 12
	CallerParked  = 16
	CallerRing    = 20
	CallerSent    = 24
	CallerTaken   = 32
	ServerWord    = 0
	ServerBytes   = 8
	ServerStatus  = 12
	ServerResult  = 16
	ServerCell    = 20
	ServerTaken   = 24
	ServerSent    = 32
	CellArmed     = 0
	ServeThreads  = 16
	RelaxNone     = 0
	ParkNever     = 0
	ParkPoll      = 3
	ParkDoorbell  = 4
	AdaptOff      = 0
	CapacityBytes = 1 << 30
)

// NoID is DX_NO_ID.
const NoID = 1<<32 - 1

// Error is a failed call of the library: what kind, and the detail.
type Error struct {
	Status Status
	Detail string
}

func (e *Error) Error() string {
	text := e.Status.text()
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

// Wait is struct dx_wait, field by field.
type Wait struct {
	SpinMin, SpinMax, SpinStart uint32
	SpinInc, SpinDec            uint32
	YieldEvery, Burst           uint32
	Relax, Park, Adapt          uint32
	ParkTimeoutNs, PollNs       int64
	PeerTimeoutNs               int64
	reserved                    [3]uint64
}

// PeerInfo is struct dx_peer_info.
type PeerInfo struct {
	Peer, Place, Places, ID uint32
	Session, Kernel         uint64
	PID, Remote             uint32
}

// ArmedPark is the park kind in what Arm returned.
func ArmedPark(armed uint32) uint32 { return armed >> 1 & 7 }

// Stats is struct dx_stats, field by field.
type Stats struct {
	Calls, RequestBytes, ResponseBytes uint64
	Looks, Spin, Yield, Park           uint64
	Errors, Timeouts, Parks, ParkNs    uint64
	Spurious, Rings, Rescued, Yields   uint64
	SpinLimit                          uint64
}

// CallerView is struct dx_native_caller.
type CallerView struct {
	Line, ServerLine, Cells unsafe.Pointer
	Counters                *Stats
	Request, Response       unsafe.Pointer
	CellsCount, Cell        uint32
	SharedCell, Slot        uint32
	Epoch, Sequence         uint32
	SpinMax                 uint32
	SpinMaxNs               int64
	Begun, Abandoned        bool
}

// HandlerLeft, in place of the bytes of a response, says that the handler did not return: the
// request is answered with ErrLost, and ServeC ends with nil.
const HandlerLeft = -1

// ServeFunc answers one request; it returns the bytes of the response and the
// handler's status. It must return: nothing may unwind the frames of C below it.
type ServeFunc func(kind, slot uint32, request, response []byte) (int, int32)

// Flags of ServeC, as in enum dx_serve_flag.
const (
	ServeCopy           = 1
	ServeThroughRestart = 2
)

// ServerView is struct dx_native_server.
type ServerView struct {
	CallerLines, ServerLines, Cells unsafe.Pointer
	Counters                        *Stats
	Serving                         *uint64
	SlotsUsed                       *uint32
	Payload                         unsafe.Pointer
	PayloadStride, ResponseOffset   uint64
	CellsCount, Cell, Base, Count   uint32
	SharedCell                      uint32
	SpinMax                         uint32
	SpinMaxNs                       int64
}
