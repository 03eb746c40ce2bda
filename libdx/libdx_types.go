// SPDX-License-Identifier: Apache-2.0

package libdx

import "unsafe"

// What is known without the C library, so that programs compile where it is not.

// Status is a dx_status of dx_status.h.
type Status int32

// Error is a failed call of the library: what kind, and the detail.
type Error struct {
	Status Status
	Detail string
}

func (e *Error) Error() string {
	text := e.Status.Text()
	if e.Detail == "" {
		return "dx: " + text
	}
	return "dx: " + text + ": " + e.Detail
}

// PeerInfo is struct dx_peer_info.
type PeerInfo struct {
	Peer, Place, Places, ID uint32
	Session, Kernel         uint64
	PID, Remote             uint32
	_                       [4]uint64
}

// ArmedPark is the park kind in what Arm returned.
func ArmedPark(armed uint32) uint32 { return armed >> ArmedKindShift & ArmedKindMask }

// Counters are those of the region that a caller or a serving thread writes, field by field.
type Counters struct {
	Calls, RequestBytes, ResponseBytes uint64
	Looks, Spin, Yield, Park           uint64
	Errors, Timeouts, Parks, ParkNs    uint64
	Spurious, Rings, Rescued, Yields   uint64
	SpinLimit                          uint64
}

// Stats is a copy of a struct dx_stats.
type Stats Counters

// HistogramBuckets is how many buckets a histogram has.
const HistogramBuckets = 1152

// Unscaled is DX_UNSCALED: after so many times without a scale it is asked for again.
const Unscaled = 1024

// HistogramLines is a histogram in the region, as histogram.h has it.
type HistogramLines struct {
	_            uint64
	SumNs, MaxNs uint64
	_            [5]uint64
	Counts       [HistogramBuckets]uint64
}

// Histogram is struct dx_histogram.
type Histogram struct {
	Count, SumNs, MaxNs uint64
	Reserved            [5]uint64
	Counts              [HistogramBuckets]uint64
}

// CallerView is struct dx_native_caller.
type CallerView struct {
	Line, ServerLine, Cells unsafe.Pointer
	Counters                *Counters
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

// ServerView is struct dx_native_server.
type ServerView struct {
	CallerLines, ServerLines, Cells unsafe.Pointer
	Counters                        *Counters
	Serving                         *uint64
	SlotsUsed                       *uint32
	Payload                         unsafe.Pointer
	PayloadStride, ResponseOffset   uint64
	CellsCount, Cell, Base, Count   uint32
	SharedCell                      uint32
	SpinMax                         uint32
	SpinMaxNs                       int64
}
