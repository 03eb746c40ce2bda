// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

// #include "dx.h"
// #include "dx_native.h"
import "C"

// Each of these fails to compile if a constant is not that of the headers.
var (
	_ = [1]struct{}{}[OK-C.DX_OK]
	_ = [1]struct{}{}[ErrInvalid-C.DX_ERR_INVALID]
	_ = [1]struct{}{}[ErrTimeout-C.DX_ERR_TIMEOUT]
	_ = [1]struct{}{}[ErrStopped-C.DX_ERR_STOPPED]
	_ = [1]struct{}{}[ErrPeerClosed-C.DX_ERR_PEER_CLOSED]
	_ = [1]struct{}{}[ErrPeerDead-C.DX_ERR_PEER_DEAD]
	_ = [1]struct{}{}[ErrNoPeer-C.DX_ERR_NO_PEER]
	_ = [1]struct{}{}[ErrLost-C.DX_ERR_LOST]
	_ = [1]struct{}{}[ErrRequestTooLarge-C.DX_ERR_REQUEST_TOO_LARGE]
	_ = [1]struct{}{}[ErrResponseTooLarge-C.DX_ERR_RESPONSE_TOO_LARGE]
	_ = [1]struct{}{}[ErrBufferTooSmall-C.DX_ERR_BUFFER_TOO_SMALL]
	_ = [1]struct{}{}[ErrBusy-C.DX_ERR_BUSY]
	_ = [1]struct{}{}[ErrHostExists-C.DX_ERR_HOST_EXISTS]
	_ = [1]struct{}{}[ErrGuestExists-C.DX_ERR_GUEST_EXISTS]
	_ = [1]struct{}{}[ErrNotDx-C.DX_ERR_NOT_DX]
	_ = [1]struct{}{}[ErrVersion-C.DX_ERR_VERSION]
	_ = [1]struct{}{}[ErrGeometry-C.DX_ERR_GEOMETRY]
	_ = [1]struct{}{}[ErrShort-C.DX_ERR_SHORT]
	_ = [1]struct{}{}[ErrStale-C.DX_ERR_STALE]
	_ = [1]struct{}{}[ErrPermission-C.DX_ERR_PERMISSION]
	_ = [1]struct{}{}[ErrURL-C.DX_ERR_URL]
	_ = [1]struct{}{}[ErrNoSlot-C.DX_ERR_NO_SLOT]
	_ = [1]struct{}{}[ErrSystem-C.DX_ERR_SYSTEM]
	_ = [1]struct{}{}[ErrType-C.DX_ERR_TYPE]
	_ = [1]struct{}{}[ErrCancelled-C.DX_ERR_CANCELLED]
	_ = [1]struct{}{}[ErrCorrupt-C.DX_ERR_CORRUPT]
	_ = [1]struct{}{}[ErrEnded-C.DX_ERR_ENDED]
	_ = [1]struct{}{}[ErrForked-C.DX_ERR_FORKED]
	_ = [1]struct{}{}[ErrNameRemoved-C.DX_ERR_NAME_REMOVED]
	_ = [1]struct{}{}[Line-C.DX_NATIVE_LINE]
	_ = [1]struct{}{}[CallerWord-C.DX_NATIVE_CALLER_WORD]
	_ = [1]struct{}{}[CallerBytes-C.DX_NATIVE_CALLER_BYTES]
	_ = [1]struct{}{}[CallerType-C.DX_NATIVE_CALLER_TYPE]
	_ = [1]struct{}{}[CallerParked-C.DX_NATIVE_CALLER_PARKED]
	_ = [1]struct{}{}[CallerRing-C.DX_NATIVE_CALLER_RESPONSE_RING]
	_ = [1]struct{}{}[CallerSent-C.DX_NATIVE_CALLER_SENT]
	_ = [1]struct{}{}[CallerTaken-C.DX_NATIVE_CALLER_TAKEN]
	_ = [1]struct{}{}[ServerWord-C.DX_NATIVE_SERVER_WORD]
	_ = [1]struct{}{}[ServerBytes-C.DX_NATIVE_SERVER_BYTES]
	_ = [1]struct{}{}[ServerStatus-C.DX_NATIVE_SERVER_STATUS]
	_ = [1]struct{}{}[ServerResult-C.DX_NATIVE_SERVER_RESULT]
	_ = [1]struct{}{}[ServerCell-C.DX_NATIVE_SERVER_CELL]
	_ = [1]struct{}{}[ServerTaken-C.DX_NATIVE_SERVER_TAKEN]
	_ = [1]struct{}{}[ServerSent-C.DX_NATIVE_SERVER_SENT]
	_ = [1]struct{}{}[CellArmed-C.DX_NATIVE_CELL_ARMED]
	_ = [1]struct{}{}[ServeThreads-C.DX_SERVE_THREADS_MAX]
	_ = [1]struct{}{}[RelaxNone-C.DX_RELAX_NONE]
	_ = [1]struct{}{}[ParkNever-C.DX_PARK_NEVER]
	_ = [1]struct{}{}[ParkPoll-C.DX_PARK_POLL]
	_ = [1]struct{}{}[ParkDoorbell-C.DX_PARK_DOORBELL]
	_ = [1]struct{}{}[AdaptOff-C.DX_ADAPT_OFF]
	_ = [1]struct{}{}[CapacityBytes-C.DX_CAPACITY_MAX]
	_ = [1]struct{}{}[NoID-C.DX_NO_ID]
	_ = [1]struct{}{}[ServeCopy-C.DX_SERVE_COPY]
	_ = [1]struct{}{}[ServeThroughRestart-C.DX_SERVE_THROUGH_RESTART]
)
