// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

// #include "dx.h"
// #include "dx_protocol.h"
import "C"

// The statuses that the Go packages name, as in dx_status.h.
const (
	OK                  = C.DX_OK
	ErrInvalid          = C.DX_ERR_INVALID
	ErrTimeout          = C.DX_ERR_TIMEOUT
	ErrStopped          = C.DX_ERR_STOPPED
	ErrPeerClosed       = C.DX_ERR_PEER_CLOSED
	ErrPeerDead         = C.DX_ERR_PEER_DEAD
	ErrNoPeer           = C.DX_ERR_NO_PEER
	ErrLost             = C.DX_ERR_LOST
	ErrRequestTooLarge  = C.DX_ERR_REQUEST_TOO_LARGE
	ErrResponseTooLarge = C.DX_ERR_RESPONSE_TOO_LARGE
	ErrBufferTooSmall   = C.DX_ERR_BUFFER_TOO_SMALL
	ErrBusy             = C.DX_ERR_BUSY
	ErrHostExists       = C.DX_ERR_HOST_EXISTS
	ErrGuestExists      = C.DX_ERR_GUEST_EXISTS
	ErrNotDx            = C.DX_ERR_NOT_DX
	ErrVersion          = C.DX_ERR_VERSION
	ErrGeometry         = C.DX_ERR_GEOMETRY
	ErrShort            = C.DX_ERR_SHORT
	ErrStale            = C.DX_ERR_STALE
	ErrPermission       = C.DX_ERR_PERMISSION
	ErrURL              = C.DX_ERR_URL
	ErrNoSlot           = C.DX_ERR_NO_SLOT
	ErrSystem           = C.DX_ERR_SYSTEM
	ErrType             = C.DX_ERR_TYPE
	ErrCancelled        = C.DX_ERR_CANCELLED
	ErrCorrupt          = C.DX_ERR_CORRUPT
	ErrEnded            = C.DX_ERR_ENDED
	ErrForked           = C.DX_ERR_FORKED
	ErrNameRemoved      = C.DX_ERR_NAME_REMOVED
)

// The types of messages, as in dx_caller.h; TypeStream is added to that of a stream.
const (
	TypePing   = C.DX_TYPE_PING
	TypeUser   = C.DX_TYPE_USER
	TypeMax    = C.DX_TYPE_MAX
	TypeStream = C.DX_TYPE_STREAM
)

// Offsets of dx_protocol.h, in bytes.
const (
	Line         = C.DX_NATIVE_LINE
	CallerWord   = C.DX_NATIVE_CALLER_WORD
	CallerBytes  = C.DX_NATIVE_CALLER_BYTES
	CallerType   = C.DX_NATIVE_CALLER_TYPE
	CallerParked = C.DX_NATIVE_CALLER_PARKED
	CallerRing   = C.DX_NATIVE_CALLER_RESPONSE_RING
	CallerSent   = C.DX_NATIVE_CALLER_SENT
	CallerTaken  = C.DX_NATIVE_CALLER_TAKEN
	ServerWord   = C.DX_NATIVE_SERVER_WORD
	ServerBytes  = C.DX_NATIVE_SERVER_BYTES
	ServerStatus = C.DX_NATIVE_SERVER_STATUS
	ServerResult = C.DX_NATIVE_SERVER_RESULT
	ServerCell   = C.DX_NATIVE_SERVER_CELL
	ServerTaken  = C.DX_NATIVE_SERVER_TAKEN
	ServerSent   = C.DX_NATIVE_SERVER_SENT
	CellArmed    = C.DX_NATIVE_CELL_ARMED
)

// States of a slot's words.
const (
	CallerReady        = C.DX_CALLER_READY
	CallerSending      = C.DX_CALLER_SENDING
	CallerCompleted    = C.DX_CALLER_COMPLETED
	CallerAbandoned    = C.DX_CALLER_ABANDONED
	ServerReady        = C.DX_SERVER_READY
	ServerProcessing   = C.DX_SERVER_PROCESSING
	ServerAcknowledged = C.DX_SERVER_ACKNOWLEDGED
)

// Results that a server's library reports.
const (
	ResultOK              = C.DX_RESULT_OK
	ResultTooLarge        = C.DX_RESULT_TOO_LARGE
	ResultLost            = C.DX_RESULT_LOST
	ResultCancelled       = C.DX_RESULT_CANCELLED
	ResultType            = C.DX_RESULT_TYPE
	ResultRequestTooLarge = C.DX_RESULT_REQUEST_TOO_LARGE
	ResultCorrupt         = C.DX_RESULT_CORRUPT
)

// How words are packed: of a slot, of a worker's journal, of a flow's progress, of a cell.
const (
	EpochShift        = C.DX_WORD_EPOCH_SHIFT
	StateShift        = C.DX_WORD_STATE_SHIFT
	StateMask         = C.DX_WORD_STATE_MASK
	JournalEpochShift = C.DX_JOURNAL_EPOCH_SHIFT
	JournalEpochMask  = C.DX_JOURNAL_EPOCH_MASK
	JournalSlotShift  = C.DX_JOURNAL_SLOT_SHIFT
	StreamEnd         = C.DX_STREAM_END
	ParkedProgress    = C.DX_PARKED_PROGRESS
	ArmedBit          = C.DX_CELL_ARMED
	ArmedKindShift    = C.DX_CELL_KIND_SHIFT
	ArmedKindMask     = C.DX_CELL_KIND_MASK
	RingsStep         = C.DX_CELL_STEP
)

// How a side behaves; times in ns.
const (
	Batch           = C.DX_BATCH
	LivenessNs      = C.DX_LIVENESS_NS
	LivenessLinkNs  = C.DX_LIVENESS_LINK_NS
	IdleSleepNs     = C.DX_IDLE_SLEEP_NS
	WastedWaits     = C.DX_WASTED_WAITS
	OwedSleep       = C.DX_OWED_SLEEP
	BrakeRingsEach  = C.DX_BRAKE_RINGS_EACH
	BrakeRingsMax   = C.DX_BRAKE_RINGS_MAX
	BrakePauseNs    = C.DX_BRAKE_PAUSE_NS
	BrakePauseMaxNs = C.DX_BRAKE_PAUSE_MAX_NS
)

// Enumerations of dx_wait.h.
const (
	RelaxNone     = C.DX_RELAX_NONE
	RelaxPause    = C.DX_RELAX_PAUSE
	RelaxHardware = C.DX_RELAX_HARDWARE
)

const (
	ParkNever    = C.DX_PARK_NEVER
	ParkFutex    = C.DX_PARK_FUTEX
	ParkSem      = C.DX_PARK_SEM
	ParkPoll     = C.DX_PARK_POLL
	ParkDoorbell = C.DX_PARK_DOORBELL
)

const (
	AdaptOff  = C.DX_ADAPT_OFF
	AdaptStep = C.DX_ADAPT_STEP
	AdaptCost = C.DX_ADAPT_COST
	AdaptLoad = C.DX_ADAPT_LOAD
)

// Of dx_channel.h and dx_serve.h.
const (
	NoID                = C.DX_NO_ID
	ServeThreads        = C.DX_SERVE_THREADS_MAX
	ServeCopy           = C.DX_SERVE_COPY
	ServeThroughRestart = C.DX_SERVE_THROUGH_RESTART
)

// States of the other side, as in dx_peer.h.
const (
	PeerNone   = C.DX_PEER_NONE
	PeerAlive  = C.DX_PEER_ALIVE
	PeerClosed = C.DX_PEER_CLOSED
	PeerDead   = C.DX_PEER_DEAD
)

// Whose counters, as in dx_stats.h.
const (
	HistogramHostCalls     = C.DX_HISTOGRAM_HOST_CALLS
	HistogramGuestHandlers = C.DX_HISTOGRAM_GUEST_HANDLERS
	HistogramGuestCalls    = C.DX_HISTOGRAM_GUEST_CALLS
	HistogramHostHandlers  = C.DX_HISTOGRAM_HOST_HANDLERS
	HistogramHostWakes     = C.DX_HISTOGRAM_HOST_WAKES
	HistogramGuestWakes    = C.DX_HISTOGRAM_GUEST_WAKES

	StatsHostCallers  = C.DX_STATS_HOST_CALLERS
	StatsGuestServers = C.DX_STATS_GUEST_SERVERS
	StatsGuestCallers = C.DX_STATS_GUEST_CALLERS
	StatsHostServers  = C.DX_STATS_HOST_SERVERS
)
