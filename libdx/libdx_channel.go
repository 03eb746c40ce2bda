// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

/*
#include <stdlib.h>
#include "channel.h"
#include "dx.h"
#include "dx_native.h"

static void set_liveness(struct dx_channel *channel, int64_t liveness_ns)
{
	channel->liveness_ns = liveness_ns;
}

static void *rings_of(struct dx_channel *channel, uint32_t cell)
{
	return &channel->cells[cell].rings;
}
*/
import "C"

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Channel is a struct dx_channel.
type Channel struct{ c *C.struct_dx_channel }

// Create is dx_create.
func Create(url string, slots, guestSlots uint32, request, response uint64,
	wait *Wait) (Channel, error) {
	places, err := CreatePlaces(url, 1, slots, guestSlots, request, response, wait)
	if err != nil {
		return Channel{}, err
	}
	return places[0], nil
}

// CreatePlaces is dx_create_places.
func CreatePlaces(url string, guests, slots, guestSlots uint32, request, response uint64,
	wait *Wait) ([]Channel, error) {
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	config := (*C.struct_dx_config)(C.calloc(1, C.sizeof_struct_dx_config))
	defer C.free(unsafe.Pointer(config))
	config.slots = C.uint32_t(slots)
	config.guest_slots = C.uint32_t(guestSlots)
	config.request_capacity = C.size_t(request)
	config.response_capacity = C.size_t(response)
	copied := (*C.struct_dx_wait)(C.malloc(C.sizeof_struct_dx_wait))
	defer C.free(unsafe.Pointer(copied))
	*copied = *wait.c()
	config.wait = copied
	places := make([]*C.struct_dx_channel, max(1, min(guests, C.DX_GUESTS_MAX)))
	err := checked(func() C.dx_status {
		return C.dx_create_places(text, config, C.uint32_t(guests), &places[0])
	})
	if err != nil {
		return nil, err
	}
	channels := make([]Channel, len(places))
	for i, c := range places {
		channels[i].c = c
	}
	return channels, nil
}

// Attach is dx_attach.
func Attach(url string, wait *Wait, timeoutNs int64) (Channel, error) {
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	var ch Channel
	err := checked(func() C.dx_status {
		return C.dx_attach(text, wait.c(), C.int64_t(timeoutNs), &ch.c)
	})
	return ch, err
}

// Attaching is a struct dx_native_attach.
type Attaching struct{ c *C.struct_dx_native_attach }

// BeginAttach is dx_native_attach_begin.
func BeginAttach(url string, wait *Wait) (Attaching, error) {
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	var a Attaching
	err := checked(func() C.dx_status { return C.dx_native_attach_begin(text, wait.c(), &a.c) })
	return a, err
}

// Try is dx_native_attach_try.
func (a Attaching) Try() (ch Channel, again bool, err error) {
	var mayChange C.bool
	err = checked(func() C.dx_status { return C.dx_native_attach_try(a.c, &ch.c, &mayChange) })
	return ch, bool(mayChange), err
}

// End is dx_native_attach_end.
func (a Attaching) End() { C.dx_native_attach_end(a.c) }

// Observe is dx_observe.
func Observe(url string) (Channel, error) {
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	var ch Channel
	err := checked(func() C.dx_status { return C.dx_observe(text, &ch.c) })
	return ch, err
}

// Stop is dx_stop.
func (ch Channel) Stop() { C.dx_stop(ch.c) }

// Close is dx_close.
func (ch Channel) Close() error {
	return checked(func() C.dx_status { return C.dx_close(ch.c) })
}

// Peer is dx_channel_peer.
func (ch Channel) Peer() int { return int(C.dx_channel_peer(ch.c)) }

var _ = [1]struct{}{}[unsafe.Sizeof(PeerInfo{})-C.sizeof_struct_dx_peer_info]

// PeerInfo is dx_channel_peer_info.
func (ch Channel) PeerInfo() (info PeerInfo) {
	C.dx_channel_peer_info(ch.c, (*C.struct_dx_peer_info)(unsafe.Pointer(&info)))
	return info
}

// RequestCapacity is dx_channel_request_capacity.
func (ch Channel) RequestCapacity() int { return int(C.dx_channel_request_capacity(ch.c)) }

// ResponseCapacity is dx_channel_response_capacity.
func (ch Channel) ResponseCapacity() int { return int(C.dx_channel_response_capacity(ch.c)) }

// Slots is dx_channel_slots.
func (ch Channel) Slots() int { return int(C.dx_channel_slots(ch.c)) }

// RegionBytes is dx_channel_region_bytes.
func (ch Channel) RegionBytes() uint64 { return uint64(C.dx_channel_region_bytes(ch.c)) }

// FD is dx_channel_fd.
func (ch Channel) FD() int { return int(C.dx_channel_fd(ch.c)) }

// Check is dx_native_check.
func (ch Channel) Check() Status { return Status(C.dx_native_check(ch.c)) }

// CheckServer is dx_native_check_server.
func (ch Channel) CheckServer(throughRestart bool) Status {
	return Status(C.dx_native_check_server(ch.c, C.bool(throughRestart)))
}

// SetLiveness sets how long a thread sleeps at most before it looks whether the peer lives: for
// tests, before anybody calls or serves.
func (ch Channel) SetLiveness(d time.Duration) { C.set_liveness(ch.c, C.int64_t(d)) }

// Park is dx_channel_park_kind.
func (ch Channel) Park() uint32 { return uint32(C.dx_channel_park_kind(ch.c)) }

// Notice is dx_channel_notice.
func (ch Channel) Notice() string { return C.GoString(C.dx_channel_notice(ch.c)) }

// BindDevice is dx_device_bind.
func BindDevice(url string) error {
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	return checked(func() C.dx_status { return C.dx_device_bind(text) })
}

// Ring is dx_native_ring.
func (ch Channel) Ring(cell uint32) bool { return bool(C.dx_native_ring(ch.c, C.uint32_t(cell))) }

// Arm is dx_native_arm.
func (ch Channel) Arm(cell uint32) uint32 {
	return uint32(C.dx_native_arm(ch.c, C.uint32_t(cell)))
}

// Rings is where the rings of a cell are counted.
func (ch Channel) Rings(cell uint32) *uint32 {
	return (*uint32)(C.rings_of(ch.c, C.uint32_t(cell)))
}

// Bell is a struct dx_native_bell.
type Bell struct{ c *C.struct_dx_native_bell }

// OpenBell is dx_native_bell_open; the descriptor is a duplicate, for the caller
// to close.
func (ch Channel) OpenBell(cell uint32) (b Bell, fd int, err error) {
	var owned C.int
	err = checked(func() C.dx_status {
		return C.dx_native_bell_open(ch.c, C.uint32_t(cell), &b.c, &owned)
	})
	if err != nil {
		return b, -1, err
	}
	fd, err = unix.FcntlInt(uintptr(owned), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		b.Close()
	}
	return b, fd, err
}

// TakeDoorbell is dx_native_take_doorbell: a descriptor to own, or -1.
func (ch Channel) TakeDoorbell() int { return int(C.dx_native_take_doorbell(ch.c)) }

// Close is dx_native_bell_close.
func (b Bell) Close() { C.dx_native_bell_close(b.c) }

// Disarm is dx_native_disarm.
func (ch Channel) Disarm(cell, armed uint32) {
	C.dx_native_disarm(ch.c, C.uint32_t(cell), C.uint32_t(armed))
}

// Both fail to compile if the region's counters are other ones.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Counters{})-C.sizeof_struct_dx_counters]
	_ = [1]struct{}{}[unsafe.Offsetof(Counters{}.SpinLimit)-unsafe.Offsetof(C.struct_dx_stats{}.spin_limit)]
)

// StatsOf copies the struct dx_stats at from.
func StatsOf(from unsafe.Pointer) Stats {
	s := (*C.struct_dx_stats)(from)
	return Stats{
		Calls: uint64(s.calls), RequestBytes: uint64(s.request_bytes),
		ResponseBytes: uint64(s.response_bytes), Looks: uint64(s.looks), Spin: uint64(s.spin),
		Yield: uint64(s.yield), Park: uint64(s.park), Errors: uint64(s.errors),
		Timeouts: uint64(s.timeouts), Parks: uint64(s.parks), ParkNs: uint64(s.park_ns),
		Spurious: uint64(s.spurious), Rings: uint64(s.rings), Rescued: uint64(s.rescued),
		Yields: uint64(s.yields), SpinLimit: uint64(s.spin_limit),
	}
}

// ReadStats is dx_stats_read.
func (ch Channel) ReadStats(of int) (Stats, error) {
	var s C.struct_dx_stats
	err := checked(func() C.dx_status { return C.dx_stats_read(ch.c, C.enum_dx_stats_of(of), &s) })
	return StatsOf(unsafe.Pointer(&s)), err
}

// ReadSlotStats is dx_stats_read_slot.
func (ch Channel) ReadSlotStats(slot uint32) (Stats, error) {
	var s C.struct_dx_stats
	err := checked(func() C.dx_status { return C.dx_stats_read_slot(ch.c, C.uint32_t(slot), &s) })
	return StatsOf(unsafe.Pointer(&s)), err
}
