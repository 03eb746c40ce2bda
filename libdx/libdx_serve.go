// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

/*
#include <stdlib.h>
#include "dx.h"
#include "dx_native.h"

extern int32_t dxGoServe(uintptr_t handle, uint32_t type, uint32_t slot, void *request,
                         size_t request_bytes, void *response, size_t capacity, size_t *bytes);

static int32_t to_go(void *user, const struct dx_request *q, struct dx_response *r)
{
    return dxGoServe((uintptr_t)user, q->type, q->slot, (void *)q->data, q->bytes, r->data,
                     r->capacity, &r->bytes);
}

static dx_status serve(struct dx_channel *channel, uintptr_t handle, uint32_t threads,
                       uint32_t flags)
{
    struct dx_serve_options options = {.threads = threads, .flags = flags | DX_NATIVE_LEAVES};
    return dx_serve(channel, to_go, (void *)handle, &options);
}
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// ServeC is dx_serve: the C library's loop, which calls f through cgo.
func (ch Channel) ServeC(f ServeFunc, threads, flags uint32) error {
	handle := cgo.NewHandle(f)
	defer handle.Delete()
	return checked(func() C.dx_status {
		return C.serve(ch.c, C.uintptr_t(handle), C.uint32_t(threads), C.uint32_t(flags))
	})
}

// ServeBegin is dx_native_serve_begin.
func (ch Channel) ServeBegin() error {
	return checked(func() C.dx_status { return C.dx_native_serve_begin(ch.c) })
}

// ServerBegin is dx_native_server_begin.
func (ch Channel) ServerBegin(index, threads uint32) (ServerView, error) {
	var v C.struct_dx_native_server
	err := checked(func() C.dx_status {
		return C.dx_native_server_begin(ch.c, C.uint32_t(index), C.uint32_t(threads), &v)
	})
	return ServerView{
		CallerLines: v.caller_lines, ServerLines: v.server_lines, Cells: v.cells,
		Counters: (*Counters)(v.counters), Serving: (*uint64)(v.serving),
		SlotsUsed: (*uint32)(v.slots_used), Payload: v.payload,
		PayloadStride: uint64(v.payload_stride), ResponseOffset: uint64(v.response_offset),
		CellsCount: uint32(v.cells_count), Cell: uint32(v.cell), SharedCell: uint32(v.shared_cell), Base: uint32(v.base),
		Count: uint32(v.count), SpinMax: uint32(v.spin_max), SpinMaxNs: int64(v.spin_max_ns),
	}, err
}

// Takeover is dx_native_server_takeover; seen has Count elements.
func (ch Channel) Takeover(index, threads uint32, seen []uint64) {
	C.dx_native_server_takeover(ch.c, C.uint32_t(index), C.uint32_t(threads),
		(*C.uint64_t)(unsafe.Pointer(&seen[0])))
}

// ServeEnd is dx_native_serve_end.
func (ch Channel) ServeEnd(threads uint32) {
	C.dx_native_serve_end(ch.c, C.uint32_t(threads))
}
