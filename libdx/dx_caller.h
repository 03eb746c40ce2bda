/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * Callers. A struct dx_caller holds one slot and makes one call at a time on it. A thread that
 * calls often keeps a caller of its own. One thread at a time may use a caller. Different callers
 * of one channel never disturb each other.
 *
 * There are two ways to call:
 *   dx_call           copies the request into the region and the response out of it
 *   dx_call_in_place  sends a request that was built in dx_caller_request(). The response is read
 *                     where it lies. No byte is copied.
 *
 * A call waits while there is no peer. If none comes before the deadline, the call returns
 * DX_ERR_NO_PEER. This rule is the same before the first peer and after a peer has ended. When a
 * peer ends, each caller gets DX_ERR_PEER_CLOSED or DX_ERR_PEER_DEAD once: from the call that is in
 * flight, or from the next one. dx_wait_peer (dx_channel.h) waits for a peer without a call.
 *
 * A call that timed out may still run. Its slot stays with the caller. The next call on that caller
 * first waits, within its own deadline, until the server has let go of the old request.
 *
 * What a call returned, whether its handler may have run, and what the caller can do next:
 *
 *   status                           handler ran           afterwards
 *   DX_OK                            once                  call again
 *   DX_ERR_TIMEOUT                   perhaps or still runs call again
 *   DX_ERR_PEER_DEAD, _PEER_CLOSED   perhaps               call again: it waits for a new peer
 *   DX_ERR_LOST                      it began              call again
 *   DX_ERR_CORRUPT                   perhaps               call again: the peer is broken
 *   DX_ERR_RESPONSE_TOO_LARGE        once                  call again
 *   DX_ERR_BUFFER_TOO_SMALL          once                  dx_caller_reply; call again
 *   DX_ERR_NO_PEER, _CANCELLED       no                    call again
 *   DX_ERR_REQUEST_TOO_LARGE, _TYPE  no                    call again with another request
 *   DX_ERR_BUSY                      no                    end or cancel the open stream
 *   DX_ERR_NAME_REMOVED              no                    close; a host creates the region anew
 *   DX_ERR_STOPPED                   perhaps               close
 *   DX_ERR_GUEST_EXISTS              perhaps               close; attach again: the place is taken
 *   DX_ERR_FORKED                    no                    close; create or attach here
 *
 * A call that perhaps ran must be safe to repeat, or the program must find out by itself.
 */
/* clang-format on */
#ifndef DX_CALLER_H
#define DX_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

struct dx_caller;

#define DX_TYPE_PING 0u   /* the library itself answers it, with an empty response */
#define DX_TYPE_USER 128u /* types 0 to 127 belong to libdx, 128 to 65535 to its users */
#define DX_TYPE_MAX 65535u

/* A timeout that never ends. */
#define DX_FOREVER ((int64_t)-1)

/* A response. `data` points into the region. It is valid until the next call on this caller, or
 * until the caller is closed. The other side can still write there. Copy it before you check what
 * you do not trust. */
struct dx_reply {
    const void *data;
    size_t bytes;
    int32_t status; /* the handler's return value */
};

/*
 * Takes a free slot and sets *out to a new caller, which the program owns until dx_caller_close. If
 * no slot is free, it waits up to timeout_ns for one (negative: for ever, 0: not at all). Threads
 * that wait get slots in the order in which they came. Each of them looks once a millisecond.
 * Any thread, several at once. Blocks.
 *
 * DX_ERR_NO_SLOT (none became free, or this side has none), _STOPPED, _FORKED, _SYSTEM (no memory).
 */
DX_API dx_status dx_caller_open(struct dx_channel *channel, int64_t timeout_ns,
                                struct dx_caller **out);

/* Gives the slot back and frees the caller. A stream that is open on it is cancelled. NULL is
 * allowed. The thread that uses the caller. Never blocks. */
DX_API void dx_caller_close(struct dx_caller *caller);

/*
 * Copies request_bytes of request to the slot, waits for the response, and copies that to response.
 *
 *   request         NULL is allowed if request_bytes is 0
 *   response_bytes  before: the size of the response buffer; after: the size of the response. Both
 *                   may be NULL if no response is wanted
 *   status          set to the handle r's return value; may be NULL
 *   timeout_ns      greater than 0, or DX_FOREVER. It is counted from the end of the first spin
 *                   phase, so that a call that is answered at once reads no clock
 *
 * Blocks. The table above lists every error. With DX_ERR_BUFFER_TOO_SMALL, *response_bytes is the
 * size that is needed.
 */
DX_API dx_status dx_call(struct dx_caller *caller, uint32_t type, const void *request,
                         size_t request_bytes, void *response, size_t *response_bytes,
                         int32_t *status, int64_t timeout_ns);

/*
 * Returns the memory in which the next request is built: dx_channel_request_capacity() bytes,
 * aligned to 64. It belongs to this caller until dx_call_in_place. Never blocks.
 *
 * Returns NULL while a handler may still read there, because an earlier call on this slot timed
 * out, or because a process died in the middle of one. A ping (DX_TYPE_PING) returns when the
 * handler has let go of that request. Also NULL while a stream is open, and in the child of a fork.
 */
DX_API void *dx_caller_request(struct dx_caller *caller);

/* Sends the first request_bytes of dx_caller_request() and waits for the response. reply may be
 * NULL. Blocks. timeout_ns and errors are those of dx_call, but for DX_ERR_BUFFER_TOO_SMALL. */
DX_API dx_status dx_call_in_place(struct dx_caller *caller, uint32_t type, size_t request_bytes,
                                  struct dx_reply *reply, int64_t timeout_ns);

/* Returns the latest response on this caller. It is all zero if the latest call failed, except
 * after DX_ERR_BUFFER_TOO_SMALL. Never blocks. */
DX_API struct dx_reply dx_caller_reply(const struct dx_caller *caller);

DX_END_DECLS

#endif
