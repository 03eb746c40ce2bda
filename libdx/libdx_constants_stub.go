// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

package libdx

// The names of libdx_constants.go. What they stand for matters only where there is a region: here
// they differ from each other, so that programs compile.

// The statuses that the Go packages name, as in dx_status.h.
const (
	OK = -iota
	ErrInvalid
	ErrTimeout
	ErrStopped
	ErrPeerClosed
	ErrPeerDead
	ErrNoPeer
	ErrLost
	ErrRequestTooLarge
	ErrResponseTooLarge
	ErrBufferTooSmall
	ErrBusy
	ErrHostExists
	ErrGuestExists
	ErrNotDx
	ErrVersion
	ErrGeometry
	ErrShort
	ErrStale
	ErrPermission
	ErrURL
	ErrNoSlot
	ErrSystem
	ErrType
	ErrCancelled
	ErrCorrupt
	ErrEnded
	ErrForked
	ErrNameRemoved
)

// The types of messages are what users see of these, and as in dx_caller.h.
const (
	TypePing   = 0
	TypeUser   = 128
	TypeMax    = 65535
	TypeStream = 65536
)

// Offsets of dx_protocol.h, in bytes.
const (
	Line = iota
	CallerWord
	CallerBytes
	CallerType
	CallerParked
	CallerRing
	CallerSent
	CallerTaken
	ServerWord
	ServerBytes
	ServerStatus
	ServerResult
	ServerCell
	ServerTaken
	ServerSent
	CellArmed
)

// States of a slot's words.
const (
	CallerReady = iota
	CallerSending
	CallerCompleted
	CallerAbandoned
	ServerReady
	ServerProcessing
	ServerAcknowledged
)

// Results that a server's library reports.
const (
	ResultOK = iota
	ResultTooLarge
	ResultLost
	ResultCancelled
	ResultType
	ResultRequestTooLarge
	ResultCorrupt
)

// How words are packed: of a slot, of a worker's journal, of a flow's progress, of a cell.
const (
	EpochShift = iota
	StateShift
	StateMask
	JournalEpochShift
	JournalEpochMask
	JournalSlotShift
	StreamEnd
	ParkedProgress
	ArmedBit
	ArmedKindShift
	ArmedKindMask
	RingsStep
)

// How a side behaves; times in ns.
const (
	Batch = iota
	LivenessNs
	LivenessLinkNs
	IdleSleepNs
	WastedWaits
	OwedSleep
	BrakeRingsEach
	BrakeRingsMax
	BrakePauseNs
	BrakePauseMaxNs
)

// Enumerations of dx_wait.h.
const (
	RelaxNone = iota
	RelaxPause
	RelaxHardware
)

const (
	ParkNever = iota
	ParkFutex
	ParkSem
	ParkPoll
	ParkDoorbell
)

const (
	AdaptOff = iota
	AdaptStep
	AdaptCost
	AdaptLoad
)

// Of dx_channel.h and dx_serve.h.
const (
	NoID = iota
	ServeThreads
	ServeCopy
	ServeThroughRestart
)

// States of the other side.
const (
	PeerNone = iota
	PeerAlive
	PeerClosed
	PeerDead
)

// Whose counters.
const (
	HistogramHostCalls = iota
	HistogramGuestHandlers
	HistogramGuestCalls
	HistogramHostHandlers
	HistogramHostWakes
	HistogramGuestWakes
)

const (
	StatsHostCallers = iota
	StatsGuestServers
	StatsGuestCallers
	StatsHostServers
)
