// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

/*
#include "dx.h"
#include "dx_native.h"

// One cgo call for one call of the channel: the reply comes back by value.
struct reply { const void *data; size_t bytes; int32_t status; int32_t outcome; };

static struct reply call_in_place(struct dx_caller *caller, uint32_t type, size_t bytes,
                                  int64_t timeout_ns)
{
    struct dx_reply reply;
    int32_t outcome = dx_call_in_place(caller, type, bytes, &reply, timeout_ns);
    return (struct reply){reply.data, reply.bytes, reply.status, outcome};
}
*/
import "C"

import "unsafe"

// Caller is a struct dx_caller.
type Caller struct{ c *C.struct_dx_caller }

// OpenCaller is dx_caller_open.
func (ch Channel) OpenCaller(timeoutNs int64) (Caller, error) {
	var k Caller
	err := checked(func() C.dx_status {
		return C.dx_caller_open(ch.c, C.int64_t(timeoutNs), &k.c)
	})
	return k, err
}

// Close is dx_caller_close.
func (k Caller) Close() { C.dx_caller_close(k.c) }

// CallInPlace is dx_call_in_place.
func (k Caller) CallInPlace(kind uint32, bytes int, timeoutNs int64) (reply unsafe.Pointer,
	replyBytes int, status int32, outcome Status) {
	r := C.call_in_place(k.c, C.uint32_t(kind), C.size_t(bytes), C.int64_t(timeoutNs))
	return r.data, int(r.bytes), int32(r.status), Status(r.outcome)
}

// Request is dx_caller_request.
func (k Caller) Request() unsafe.Pointer { return C.dx_caller_request(k.c) }

// View is dx_native_caller.
func (k Caller) View() CallerView {
	var v C.struct_dx_native_caller
	C.dx_native_caller(k.c, &v)
	return CallerView{
		Line: v.line, ServerLine: v.server_line, Cells: v.cells,
		Counters: (*Counters)(v.counters), Request: v.request, Response: v.response,
		CellsCount: uint32(v.cells_count), Cell: uint32(v.cell),
		SharedCell: uint32(v.shared_cell), Slot: uint32(v.slot), Epoch: uint32(v.epoch),
		Sequence: uint32(v.sequence), SpinMax: uint32(v.spin_max), SpinMaxNs: int64(v.spin_max_ns),
		Begun: bool(v.begun), Abandoned: bool(v.abandoned),
	}
}

// Settle is dx_native_caller_settle.
func (k Caller) Settle(sequence uint32, begun, abandoned bool) {
	C.dx_native_caller_settle(k.c, C.uint32_t(sequence), C.bool(begun), C.bool(abandoned))
}
