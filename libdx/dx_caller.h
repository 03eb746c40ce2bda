/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers: a struct dx_caller holds one slot and makes one call at a time on it. A thread that
 * calls often keeps its own. One thread at a time may use a caller; different callers of one
 * channel never disturb each other.
 *
 * Two ways to call:
 *   dx_call           copies the request in and the response out
 *   dx_call_in_place  the request was built in dx_caller_request(), the response is read where it
 *                     lies; no byte is copied
 *
 * Calls without a peer wait for one, until their deadline, which then is DX_ERR_NO_PEER: the same
 * before the first peer came and after one has ended. The end of a peer (DX_ERR_PEER_CLOSED,
 * _PEER_DEAD) is told at once, and once to each caller: to the call that is under way, or to the
 * next one. dx_wait_peer (dx_channel.h) waits for a peer without a call.
 *
 * A call that timed out may still run. Its slot stays with the caller, and the next call on it
 * first waits, within its own deadline, until the server has let go of the old request.
 */
#ifndef DX_CALLER_H
#define DX_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

struct dx_caller;

#define DX_TYPE_PING 0u   /* answered by the library itself with an empty response */
#define DX_TYPE_USER 128u /* 0 ... 127 belong to libdx, 128 ... 65535 to its users */
#define DX_TYPE_MAX 65535u

/* A deadline that never comes. */
#define DX_FOREVER ((int64_t)-1)

/* What came back. `data` points into the region: valid until the next call on this caller, or its
 * close. The other side can still write there: copy before you check what you do not trust. */
struct dx_reply {
    const void *data;
    size_t bytes;
    int32_t status; /* what the handler returned */
};

/*
 * Takes a free slot, waiting up to timeout_ns for one (negative: for ever, 0: not at all). Those
 * who wait get slots in the order in which they came; each holds its thread and looks once a
 * millisecond.
 * DX_ERR_NO_SLOT when none came free, DX_ERR_STOPPED. Any thread.
 */
DX_API dx_status dx_caller_open(struct dx_channel *channel, int64_t timeout_ns,
                                struct dx_caller **out);

/* Gives the slot back and frees the caller. NULL is allowed. Never blocks. */
DX_API void dx_caller_close(struct dx_caller *caller);

/*
 * Sends request_bytes of request (NULL allowed if 0), waits for the response, and copies it to
 * response. *response_bytes is the buffer's size before, the response's after; both may be NULL if
 * no response is wanted. *status (may be NULL) is the handler's. timeout_ns > 0, or DX_FOREVER;
 * it is counted from the end of the first spin phase, so that a call that is answered at once
 * reads no clock.
 *
 * DX_ERR_TIMEOUT, _NO_PEER, _PEER_CLOSED, _PEER_DEAD, _LOST, _STOPPED, _REQUEST_TOO_LARGE,
 * _RESPONSE_TOO_LARGE, _BUFFER_TOO_SMALL (*response_bytes is what is needed; the response can
 * still be read by dx_caller_reply), _TYPE, _CANCELLED, _CORRUPT.
 */
DX_API dx_status dx_call(struct dx_caller *caller, uint32_t type, const void *request,
                         size_t request_bytes, void *response, size_t *response_bytes,
                         int32_t *status, int64_t timeout_ns);

/*
 * Where the next request is to be built: dx_channel_request_capacity() bytes, aligned to 64,
 * ours until dx_call_in_place. NULL for as long as a handler may still be reading there: of a call
 * that timed out, or of one that a dead process made on this slot. A ping waits until that is over.
 */
DX_API void *dx_caller_request(struct dx_caller *caller);

/* Sends the first request_bytes of dx_caller_request(); the rest as dx_call. reply may be NULL. */
DX_API dx_status dx_call_in_place(struct dx_caller *caller, uint32_t type, size_t request_bytes,
                                  struct dx_reply *reply, int64_t timeout_ns);

/* The latest response on this caller; all zero if the latest call failed. */
DX_API struct dx_reply dx_caller_reply(const struct dx_caller *caller);

DX_END_DECLS

#endif
