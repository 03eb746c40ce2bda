// SPDX-License-Identifier: Apache-2.0

// Package cload is the load of the experiments in C: caller threads and the
// answering handler, on libdx without any Go. It links against the C objects of
// dx/libdx, which it imports for that reason.
package cload

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
#cgo LDFLAGS: -lpthread -Wl,--unresolved-symbols=ignore-all
#include <stdlib.h>
#include "../../../libdx/dx.h"
#include "content.h"
#include "load.h"

static int open_channel(const char *url, uint32_t slots, uint32_t bytes,
                        const struct dx_wait *wait, struct dx_channel **out)
{
    struct dx_config config = {
        .slots = slots, .request_capacity = bytes, .response_capacity = bytes, .wait = wait};
    return dx_create(url, &config, out);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"dx/go/dx"
	"dx/libdx"
)

// Host is a channel with caller threads, all in C; of Attach it is the guest.
type Host struct {
	channel *C.struct_dx_channel
	load    *C.struct_load
	threads int
	// InFlight is set before Open: calls of each thread at a time, by a queue; 0: blocking calls.
	InFlight int
}

// Count is what one caller did in one slice.
type Count struct {
	Calls, Errors, Timeouts, VerifyFailures, Dropped, Missed uint64

	RTTNs      []uint32
	IntendedNs []uint32 // of an open loop: as many
}

// Schedule is struct load_schedule.
type Schedule struct {
	RatePerS      float64
	Begin         time.Duration
	First, End    uint64
	Spin, Longest time.Duration
	NoCalls       bool
}

func failure(what string, status C.int) error {
	return fmt.Errorf("%s: %s (%s)", what, C.GoString(C.dx_status_string(C.dx_status(status))),
		C.GoString(C.dx_last_error()))
}

func waitPointer(w *libdx.Wait) *C.struct_dx_wait { return (*C.struct_dx_wait)(unsafe.Pointer(w)) }

// Create creates the region, with slots of which each thread takes as many as it has calls in flight, and
// becomes its host.
func Create(url string, threads, slots, bytes int, w *libdx.Wait) (*Host, error) {
	runtime.LockOSThread() // the error's text belongs to the thread
	defer runtime.UnlockOSThread()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	h := &Host{threads: threads}
	status := C.open_channel(text, C.uint32_t(slots), C.uint32_t(bytes), waitPointer(w), &h.channel)
	if status != C.DX_OK {
		return nil, failure("create "+url, status)
	}
	return h, nil
}

// Attach becomes the guest of a region whose callers are to be here. It waits 10 s for the host.
func Attach(url string, threads int, w *libdx.Wait) (*Host, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	h := &Host{threads: threads}
	const timeoutNs = 10_000_000_000
	if status := C.dx_attach(text, waitPointer(w), timeoutNs, &h.channel); status != C.DX_OK {
		return nil, failure("attach "+url, C.int(status))
	}
	if notice := C.GoString(C.dx_channel_notice(h.channel)); notice != "" {
		return nil, errors.Join(errors.New(notice), h.Close()) // what is measured is what was asked for
	}
	return h, nil
}

// FD is the region's descriptor.
func (h *Host) FD() int { return int(C.dx_channel_fd(h.channel)) }

// Park is dx_channel_park_kind.
func (h *Host) Park() uint32 { return uint32(C.dx_channel_park_kind(h.channel)) }

// RegionBytes is the size of the region.
func (h *Host) RegionBytes() uint64 { return uint64(C.dx_channel_region_bytes(h.channel)) }

// Open opens one caller a thread.
func (h *Host) Open(bytes int, verify bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var status C.int
	flag := C.int(0)
	if verify {
		flag = 1
	}
	h.load = C.load_open(h.channel, C.uint32_t(h.threads), C.uint32_t(h.InFlight), C.uint32_t(bytes), flag, &status)
	if h.load == nil {
		return failure("open callers", status)
	}
	return nil
}

// Slice calls for d on all threads, by a schedule if that is not nil; with room
// > 0 the calls are timed, at most room of each caller.
func (h *Host) Slice(d time.Duration, room int, s *Schedule) ([]Count, time.Duration, error) {
	var schedule *C.struct_load_schedule
	columns := 1
	if s != nil {
		schedule = &C.struct_load_schedule{rate_per_s: C.double(s.RatePerS),
			begin_ns: C.int64_t(s.Begin), first: C.uint64_t(s.First), end: C.uint64_t(s.End),
			spin_ns: C.int64_t(s.Spin), longest_ns: C.int64_t(s.Longest)}
		if s.NoCalls {
			schedule.no_calls = 1
		}
		columns = 2
	}
	samples := (*C.struct_load_samples)(C.calloc(1, C.sizeof_struct_load_samples))
	defer C.free(unsafe.Pointer(samples))
	samples.room = C.uint64_t(room)
	all := room * h.threads
	if room > 0 {
		memory := C.calloc(C.size_t(columns*all), 4)
		if memory == nil {
			return nil, 0, fmt.Errorf("no memory for %d samples", columns*all)
		}
		defer C.free(memory)
		samples.rtt_ns = (*C.uint32_t)(memory)
		if s != nil {
			samples.intended_ns = (*C.uint32_t)(unsafe.Add(memory, 4*all))
		}
	}
	raw := make([]C.struct_load_count, h.threads)
	ns := C.load_slice(h.load, C.int64_t(d), schedule, samples, &raw[0])
	if ns < 0 {
		return nil, 0, fmt.Errorf("cannot start %d caller threads", h.threads)
	}
	counts := make([]Count, h.threads)
	for i, r := range raw {
		counts[i] = Count{Calls: uint64(r.calls), Errors: uint64(r.errors),
			Timeouts: uint64(r.timeouts), VerifyFailures: uint64(r.verify_failures),
			Dropped: uint64(r.dropped), Missed: uint64(r.missed),
			RTTNs:      row(samples.rtt_ns, i*room, int(r.samples)),
			IntendedNs: row(samples.intended_ns, i*room, int(r.samples))}
	}
	return counts, time.Duration(ns), nil
}

// row copies a part of the samples; none of NULL.
func row(samples *C.uint32_t, first, count int) []uint32 {
	if samples == nil {
		return nil
	}
	return slices.Clone(unsafe.Slice((*uint32)(unsafe.Pointer(samples)), first+count)[first:])
}

// Stats reads the counters of a kind, see dx_stats.h.
func (h *Host) Stats(of int) dx.Stats {
	var s C.struct_dx_stats
	C.dx_stats_read(h.channel, C.enum_dx_stats_of(of), &s)
	return dx.Stats(libdx.StatsOf(unsafe.Pointer(&s)))
}

// Stop ends a slice and all calls; any goroutine.
func (h *Host) Stop() {
	if h.load != nil {
		C.load_interrupt(h.load)
	}
	C.dx_stop(h.channel)
}

// Close closes callers and channel; no slice may be running.
func (h *Host) Close() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if h.load != nil {
		C.load_close(h.load)
		h.load = nil
	}
	if status := C.dx_close(h.channel); status != C.DX_OK {
		return failure("close", C.int(status))
	}
	return nil
}

// Sleeps is the shortest time for which a handler sleeps, in Go as in C: a shorter one looks at the
// clock until it is over.
const Sleeps = C.LOAD_SLEEPS_NS * time.Nanosecond

// Serve attaches as the guest, writes a line to readyFD and serves until the
// host is gone. Each handler takes so much time beside its copies.
func Serve(url string, w *libdx.Wait, readyFD int, handler time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	status := C.load_serve(text, waitPointer(w), C.int(readyFD), C.int64_t(handler))
	if status == C.DX_ERR_PEER_CLOSED {
		return nil
	}
	return failure("serve "+url, status)
}

// fillC and answerC are the C side of package content, for its test.
func fillC(to []byte, caller uint32, sequence uint64) {
	C.content_fill((*C.uchar)(&to[0]), C.size_t(len(to)), C.uint32_t(caller), C.uint64_t(sequence))
}

func isAnswerC(data []byte, caller uint32, sequence uint64) bool {
	return C.content_is_answer((*C.uchar)(&data[0]), C.size_t(len(data)), C.uint32_t(caller),
		C.uint64_t(sequence)) != 0
}
