// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

// Package libdx is here without the C library, so that programs that use dx compile
// on every system and without cgo. Whatever would open a channel fails with one
// error. No channel can be there: the methods of one are never reached.
package libdx

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

var errUnsupported = fmt.Errorf("dx: %w: this program was built without the C library of dx, "+
	"which needs 64-bit Linux and cgo (CGO_ENABLED=1 and a C compiler)", errors.ErrUnsupported)

// Text names the number.
func (s Status) Text() string { return fmt.Sprintf("status %d", int32(s)) }

// Wait is a strategy that is never used.
type Wait struct{}

// WaitOf returns one.
func WaitOf(any) Wait { return Wait{} }

// CopyTo does nothing.
func (w Wait) CopyTo(any) {}

// Preset fails: the strategies are the C library's.
func Preset(string) (Wait, error) { return Wait{}, errUnsupported }

// PresetNames lists the names that Preset knows where the C library is.
func PresetNames() []string { return []string{"balanced", "latency", "throughput", "low-power"} }

// CPUs is 1, which no strategy asks for.
func CPUs() int { return 1 }

// Check fails.
func (w *Wait) Check() error { return errUnsupported }

// BindDevice fails.
func BindDevice(string) error { return errUnsupported }

// Channel is one that is never open.
type Channel struct{}

// CreatePlaces fails.
func CreatePlaces(string, uint32, uint32, uint32, uint64, uint64, *Wait) ([]Channel, error) {
	return nil, errUnsupported
}

// Attaching is an attempt that never begins.
type Attaching struct{}

// BeginAttach fails.
func BeginAttach(string, *Wait) (Attaching, error) { return Attaching{}, errUnsupported }

// Try fails.
func (a Attaching) Try() (Channel, bool, error) { return Channel{}, false, errUnsupported }

// End does nothing.
func (a Attaching) End() {}

// Observe fails.
func Observe(string) (Channel, error) { return Channel{}, errUnsupported }

// What a channel would do.

func (ch Channel) Stop()                                       {}
func (ch Channel) Close() error                                { return errUnsupported }
func (ch Channel) Peer() int                                   { return 0 }
func (ch Channel) PeerInfo() (info PeerInfo)                   { return info }
func (ch Channel) RequestCapacity() int                        { return 0 }
func (ch Channel) ResponseCapacity() int                       { return 0 }
func (ch Channel) Slots() int                                  { return 0 }
func (ch Channel) RegionBytes() uint64                         { return 0 }
func (ch Channel) FD() int                                     { return -1 }
func (ch Channel) Check() Status                               { return ErrStopped }
func (ch Channel) CheckServer(bool) Status                     { return ErrStopped }
func (ch Channel) SetLiveness(time.Duration)                   {}
func (ch Channel) Park() uint32                                { return ParkNever }
func (ch Channel) Notice() string                              { return "" }
func (ch Channel) Ring(uint32) bool                            { return false }
func (ch Channel) Arm(uint32) uint32                           { return 0 }
func (ch Channel) OpenBell(uint32) (Bell, int, error)          { return Bell{}, -1, errUnsupported }
func (ch Channel) Rings(uint32) *uint32                        { return nil }
func (ch Channel) TakeDoorbell() int                           { return -1 }
func (ch Channel) Disarm(uint32, uint32)                       {}
func (ch Channel) ReadStats(int) (Stats, error)                { return Stats{}, errUnsupported }
func (ch Channel) ReadSlotStats(uint32) (Stats, error)         { return Stats{}, errUnsupported }
func (ch Channel) OpenCaller(int64) (Caller, error)            { return Caller{}, errUnsupported }
func (ch Channel) ServeC(ServeFunc, uint32, uint32) error      { return errUnsupported }
func (ch Channel) ServeBegin() error                           { return errUnsupported }
func (ch Channel) ServerBegin(_, _ uint32) (ServerView, error) { return ServerView{}, errUnsupported }
func (ch Channel) Takeover(uint32, uint32, []uint64)           {}
func (ch Channel) ServeEnd(uint32)                             {}

// Bell is one that is never open.
type Bell struct{}

// Close does nothing.
func (b Bell) Close() {}

// Caller is one that is never open.
type Caller struct{}

// What a caller would do.

func (k Caller) Close() {}
func (k Caller) CallInPlace(uint32, int, int64) (unsafe.Pointer, int, int32, Status) {
	return nil, 0, 0, ErrStopped
}
func (k Caller) Request() unsafe.Pointer   { return nil }
func (k Caller) View() CallerView          { return CallerView{} }
func (k Caller) Settle(uint32, bool, bool) {}

// Switches is nil.
func (Channel) Switches() *uint64 { return nil }

// FindHistogram finds none.
func (Channel) FindHistogram(uint64, bool, uint32) (*HistogramLines, uint64) { return nil, 0 }

// Woken does nothing.
func (Channel) Woken(uint32, int64) {}

// HistogramEvery is 0.
func (Channel) HistogramEvery() uint32 { return 0 }

// ReadHistogram fails.
func (Channel) ReadHistogram(int, int, *Histogram) error { return errUnsupported }

// SwitchHistograms fails.
func SwitchHistograms(string, uint32, uint32) error { return errUnsupported }

// HistogramFrom is 0.
func HistogramFrom(int) uint64 { return 0 }

// HistogramValue is 0.
func HistogramValue(*Histogram, float64) uint64 { return 0 }
