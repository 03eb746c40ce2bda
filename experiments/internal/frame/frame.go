// SPDX-License-Identifier: Apache-2.0

// Package frame moves large frames between a host and a guest, phase by phase,
// with all timed loops in C. It needs OpenSSL (libssl-dev), which verifies them.
// It links against the C objects of dx/libdx, which it imports for that reason.
package frame

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
#cgo LDFLAGS: -lpthread -Wl,--unresolved-symbols=ignore-all -lcrypto
#include <stdlib.h>
#include "../../../libdx/dx.h"
#include "host.h"
#include "memory.h"
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"dx/experiments/internal/counters"
	"dx/go/dx"
	"dx/libdx"
)

// Sizes of frames are multiples of Step, up to BytesMax.
const (
	Step     = C.FRAME_STEP
	BytesMax = C.FRAME_BYTES_MAX
)

// A Direction is which side makes frames and which one they come to.
type Direction int

// The directions.
const (
	ToGuest Direction = iota
	ToHost
)

// A Fault is what goes wrong on purpose.
type Fault int

// The faults.
const (
	FaultNone      Fault = C.FRAME_FAULT_NONE
	FaultFlip      Fault = C.FRAME_FAULT_FLIP
	FaultSkipWrite Fault = C.FRAME_FAULT_SKIP_WRITE
	FaultSkipCopy  Fault = C.FRAME_FAULT_SKIP_COPY
)

// A Phase is what the receiver does with a frame, or the guest in any case.
type Phase int

// The phases; frame.h says what each is.
const (
	Notify      Phase = C.FRAME_NOTIFY
	ReadHot     Phase = C.FRAME_READ_HOT
	ReadCold    Phase = C.FRAME_READ_COLD
	StridedCold Phase = C.FRAME_STRIDED_COLD
	CopyCold    Phase = C.FRAME_COPY_COLD
	WriteCold   Phase = C.FRAME_WRITE_COLD
	Memory      Phase = C.FRAME_MEMORY
	count       Phase = C.FRAME_COUNT
)

// Transfer is struct frame_transfer.
type Transfer struct {
	WriteNs, ExchangeNs, TotalNs, ReceiveNs int64
}

// Report is struct frame_report, and the host's time of the exchange.
type Report struct {
	Ns, RoundtripNs     int64
	StreamNs            int64 // of what the guest does: its part of the stream before
	Bytes, Loads        uint64
	Right               bool
	Flush               string
	GuestAnonymousBytes uint64
}

// Errors of a frame that are none of the channel. Those of the channel are of
// type *dx.Error; the channel goes on after any of them but a peer that is
// gone.
var (
	ErrRefused = errors.New("the guest could not do that")
	ErrStrange = errors.New("the guest's answer is not about this frame, or it read other bytes")
)

// Host makes frames and hands them over. One goroutine at a time may use it, but
// Stop may come from any.
type Host struct {
	h *C.struct_frame_host
	// What calls bring, here because what C is given would else be allocated anew.
	report    C.struct_frame_report
	transfer  C.struct_frame_transfer
	roundtrip C.int64_t
}

// failure is called on the thread that failed, since the error's text is there.
func failure(status C.int) error {
	switch status {
	case C.DX_OK:
		return nil
	case C.FRAME_REFUSED:
		return ErrRefused
	case C.FRAME_STRANGE:
		return ErrStrange
	}
	return &dx.Error{Status: dx.Status(status), Detail: C.GoString(C.dx_last_error())}
}

func waitPointer(w *libdx.Wait) *C.struct_dx_wait { return (*C.struct_dx_wait)(unsafe.Pointer(w)) }

// Create creates a region with room for that many bytes of a frame, or of a
// stream's ring. A call that takes longer than timeout fails.
func Create(url string, d Direction, room int, w *libdx.Wait, timeout time.Duration) (*Host, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	h := &Host{}
	status := C.frame_host_create(text, C.int(d), C.size_t(room), waitPointer(w), C.int64_t(timeout), &h.h)
	if err := failure(status); err != nil {
		return nil, fmt.Errorf("create %s: %w", url, err)
	}
	return h, nil
}

// RegionBytes is how large the region of a host with such a room is.
func RegionBytes(d Direction, room int, w *libdx.Wait) (int64, error) {
	h, err := Create("memfd:", d, room, w, time.Second)
	if err != nil {
		return 0, err
	}
	return int64(h.RegionBytes()), h.Close()
}

// FD is the region's descriptor.
func (h *Host) FD() int { return int(C.frame_host_fd(h.h)) }

// RegionBytes is the size of the region.
func (h *Host) RegionBytes() uint64 { return uint64(C.frame_host_region_bytes(h.h)) }

// Waits are how waits of one side ended.
type Waits struct {
	Spin  uint64 `json:"spin"`
	Yield uint64 `json:"yield"`
	Park  uint64 `json:"park"` // after a sleep was begun
}

// Minus is what came between two readings.
func (w Waits) Minus(before Waits) Waits {
	return Waits{w.Spin - before.Spin, w.Yield - before.Yield, w.Park - before.Park}
}

// Plus is the sum.
func (w Waits) Plus(v Waits) Waits { return Waits{w.Spin + v.Spin, w.Yield + v.Yield, w.Park + v.Park} }

// Total is how many waits there were.
func (w Waits) Total() uint64 { return w.Spin + w.Yield + w.Park }

// Waits reads the counters of both sides.
func (h *Host) Waits() (host, guest Waits, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var w C.struct_frame_waits
	if err := failure(C.frame_host_waits(h.h, &w)); err != nil {
		return host, guest, err
	}
	of := func(c [3]C.uint64_t) Waits { return Waits{uint64(c[0]), uint64(c[1]), uint64(c[2])} }
	return of(w.host), of(w.guest), nil
}

// Stop ends calls in flight, and fails all that come.
func (h *Host) Stop() { C.frame_host_stop(h.h) }

// Close ends the host and gives its memory back.
func (h *Host) Close() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return failure(C.frame_host_close(h.h))
}

// Prepare gives both sides new memory for frames of that many bytes, and says in
// which chunks streams are to be read (0: the library's own).
func (h *Host) Prepare(bytes, chunk int, r *Report) error {
	h.report = C.struct_frame_report{}
	status := C.frame_host_prepare(h.h, C.size_t(bytes), C.size_t(chunk), &h.report)
	r.take(&h.report, 0)
	return failure(status)
}

// Make makes frame number sequence and its digest; ns is the generation alone.
func (h *Host) Make(sequence uint64, inPlace bool, fault Fault) (ns int64, err error) {
	place := C.int(0)
	if inPlace {
		place = 1
	}
	status := C.frame_host_make(h.h, C.uint64_t(sequence), place, C.enum_frame_fault(fault),
		&h.roundtrip)
	return int64(h.roundtrip), failure(status)
}

// Copy has the sender write the frame into the region and the receiver copy it
// out.
func (h *Host) Copy(t *Transfer) error {
	status := C.frame_host_copy(h.h, &h.transfer)
	t.take(&h.transfer)
	return failure(status)
}

// Read has the receiver read every byte of the frame where it was made.
func (h *Host) Read(t *Transfer) error {
	status := C.frame_host_read(h.h, &h.transfer)
	t.take(&h.transfer)
	return failure(status)
}

// Stream has the sender write the frame into a stream through a ring of that many
// bytes, from which the receiver copies meanwhile. The guest's part, ReceiveNs or
// WriteNs, is not set: see Report.StreamNs.
func (h *Host) Stream(ring, chunk int, t *Transfer) error {
	status := C.frame_host_stream(h.h, C.size_t(ring), C.size_t(chunk), &h.transfer)
	t.take(&h.transfer)
	return failure(status)
}

func (t *Transfer) take(c *C.struct_frame_transfer) {
	*t = Transfer{int64(c.write_ns), int64(c.exchange_ns), int64(c.total_ns), int64(c.receive_ns)}
}

// Phase has the receiver do one thing with the frame.
func (h *Host) Phase(p Phase, r *Report) error {
	h.report = C.struct_frame_report{}
	status := C.frame_host_phase(h.h, C.enum_frame_type(p), &h.report, &h.roundtrip)
	r.take(&h.report, int64(h.roundtrip))
	return failure(status)
}

// Verify has the receiver verify the frame: its copy, or where it lies. takenUpNs is the time until
// this side saw that the guest had taken that up; -1 if it did not see that, or verifies itself.
func (h *Host) Verify(inPlace bool, r *Report) (takenUpNs int64, err error) {
	kind := C.enum_frame_type(C.FRAME_VERIFY_COPY)
	if inPlace {
		kind = C.FRAME_VERIFY_PLACE
	}
	h.report = C.struct_frame_report{}
	status := C.frame_host_verify(h.h, kind, &h.report, &h.roundtrip)
	r.take(&h.report, 0)
	return int64(h.roundtrip), failure(status)
}

// Count counts events of both sides while the sender writes the frame once more and
// the receiver copies it once more; the host's part is on this thread. No clock is
// read meanwhile.
func (h *Host) Count(set *counters.Set, host, guest *counters.Values) error {
	before := set.Sample()
	status := C.frame_host_again(h.h)
	*host = set.Since(before)
	if err := failure(status); err != nil {
		return err
	}
	var r Report
	if err := h.Phase(count, &r); err != nil {
		return err
	}
	var bytes C.size_t
	text := C.frame_host_text(h.h, &bytes)
	return json.Unmarshal(C.GoBytes(unsafe.Pointer(text), C.int(bytes)), guest)
}

// Memcpy has the sender copy the frame once from where it was made to other memory
// of its own, and says how long that took.
func (h *Host) Memcpy() (ns int64, err error) {
	status := C.frame_host_memcpy(h.h, &h.roundtrip)
	return int64(h.roundtrip), failure(status)
}

// AnonymousBytes is the private memory that this process occupies now.
func AnonymousBytes() uint64 { return uint64(C.memory_anonymous_bytes()) }

func (r *Report) take(c *C.struct_frame_report, roundtripNs int64) {
	*r = Report{Ns: int64(c.ns), RoundtripNs: roundtripNs, Bytes: uint64(c.bytes),
		Loads: uint64(c.loads), Right: c.right == 1,
		GuestAnonymousBytes: uint64(c.anonymous_bytes), StreamNs: int64(c.stream_ns)}
	switch c.flush {
	case C.FRAME_FLUSH_CLFLUSHOPT:
		r.Flush = "clflushopt"
	case C.FRAME_FLUSH_CLFLUSH:
		r.Flush = "clflush"
	case C.FRAME_FLUSH_CIVAC:
		r.Flush = "dc civac"
	default:
		r.Flush = "evicted"
	}
}
