/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/**
 * @file
 * Callers: open one, and make calls on it.
 *
 * A struct dx_caller holds one slot and makes one call at a time on it. A thread that calls often
 * keeps a caller of its own. One thread at a time may use a caller. Different callers of one channel
 * never disturb each other.
 *
 * There are two ways to call:
 *   - dx_call() copies the request into the region and the response out of it.
 *   - dx_call_in_place() sends a request that was built in dx_caller_request(). The response is read
 *     where it lies. No byte is copied.
 *
 * A call waits while there is no peer. If none comes before the deadline, the call returns
 * DX_ERR_NO_PEER. This rule is the same before the first peer and after a peer has ended. When a
 * peer ends, each caller gets DX_ERR_PEER_CLOSED or DX_ERR_PEER_DEAD once: from the call that is in
 * flight, or from the next one. dx_wait_peer() waits for a peer without a call.
 *
 * A call that timed out may still run. Its slot stays with the caller. The next call on that caller
 * first waits, within its own deadline, until the server has let go of the old request.
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

/** A type of request that the library itself answers, with an empty response. */
#define DX_TYPE_PING 0u
/** The first type of request for users of libdx. Types 0 to 127 belong to libdx. */
#define DX_TYPE_USER 128u
/** The last type of request for users of libdx. */
#define DX_TYPE_MAX 65535u

/** A timeout that never ends. */
#define DX_FOREVER ((int64_t)-1)

/**
 * A response that lies in the region.
 *
 * The data is valid until the next call on this caller, or until the caller is closed. The other
 * side can still write there. Copy it before you check what you do not trust.
 */
struct dx_reply {
    const void *data;  /**< where the response lies, in the region */
    size_t bytes;      /**< how long it is */
    int32_t status;    /**< the handler's return value */
    uint32_t reserved; /**< zero */
};

/**
 * Takes a free slot and makes a caller of it.
 *
 * If no slot is free, it waits for one. Threads that wait get slots in the order in which they
 * came. Each of them looks once a millisecond.
 *
 * @param channel     the channel to call on
 * @param timeout_ns  how long to wait for a slot, in ns; negative: for ever, 0: not at all
 * @param[out] out    set to the caller, which the program owns until dx_caller_close(); NULL on
 *                    failure
 *
 * @retval DX_ERR_NO_SLOT  no slot became free, or this side has none
 * @retval DX_ERR_STOPPED  the channel was stopped
 * @retval DX_ERR_FORKED   another process opened the channel
 * @retval DX_ERR_SYSTEM   there is no memory
 *
 * @threads Any thread, several at once. Blocks.
 */
DX_API dx_status dx_caller_open(struct dx_channel *channel, int64_t timeout_ns,
                                struct dx_caller **out);

/**
 * Gives the slot back and frees the caller.
 *
 * A stream that is open on the caller is cancelled.
 *
 * @param caller  the caller; NULL is allowed
 *
 * @threads The thread that uses the caller. Never blocks.
 */
DX_API void dx_caller_close(struct dx_caller *caller);

/* clang-format off */
/**
 * Sends a request and waits for the response.
 *
 * It copies request_bytes of request to the slot, and the response from there to the buffer.
 *
 * @param caller          the caller
 * @param type            what the request is, DX_TYPE_PING or DX_TYPE_USER ... DX_TYPE_MAX
 * @param request         the request; NULL is allowed if request_bytes is 0
 * @param request_bytes   its size, 0 ... dx_channel_request_capacity()
 * @param[out] response   the buffer for the response; may be NULL if no response is wanted
 * @param[in,out] response_bytes  before: the size of the buffer; after: the size of the response.
 *                        It is NULL if response is NULL
 * @param[out] status     set to the handler's return value; may be NULL
 * @param timeout_ns      greater than 0, in ns, or DX_FOREVER. It is counted from the end of the
 *                        first spin phase, so that a call that is answered at once reads no clock
 *
 * @return What the call came to. The table also says whether the handler may have run, and what the
 *         caller can do next. With DX_ERR_BUFFER_TOO_SMALL, *response_bytes is the size that is
 *         needed.
 *
 * @code{.unparsed}
 *   status                    ran      afterwards
 *   DX_OK                     once     call again
 *   DX_ERR_TIMEOUT            perhaps  call again; it may still run
 *   DX_ERR_PEER_DEAD          perhaps  call again: it waits for a new peer
 *   DX_ERR_PEER_CLOSED        perhaps  call again: it waits for a new peer
 *   DX_ERR_LOST               it began call again
 *   DX_ERR_CORRUPT            perhaps  call again: the peer is broken
 *   DX_ERR_RESPONSE_TOO_LARGE once     call again
 *   DX_ERR_BUFFER_TOO_SMALL   once     dx_caller_reply(); call again
 *   DX_ERR_NO_PEER            no       call again
 *   DX_ERR_CANCELLED          no       call again
 *   DX_ERR_REQUEST_TOO_LARGE  no       call again with another request
 *   DX_ERR_TYPE               no       call again with another request
 *   DX_ERR_BUSY               no       end or cancel the open stream
 *   DX_ERR_NAME_REMOVED       no       close; a host creates the region anew
 *   DX_ERR_STOPPED            perhaps  close
 *   DX_ERR_GUEST_EXISTS       perhaps  close; attach again: the place is taken
 *   DX_ERR_FORKED             no       close; create or attach here
 * @endcode
 *
 * A call that perhaps ran must be safe to repeat, or the program must find out by itself.
 *
 * @threads The thread that uses the caller. Blocks.
 */
/* clang-format on */
DX_API dx_status dx_call(struct dx_caller *caller, uint32_t type, const void *request,
                         size_t request_bytes, void *response, size_t *response_bytes,
                         int32_t *status, int64_t timeout_ns);

/**
 * Returns the memory in which the next request is built.
 *
 * @param caller  the caller
 *
 * @return dx_channel_request_capacity() bytes, aligned to 64. They belong to this caller until
 *         dx_call_in_place(). NULL while a handler may still read there, because an earlier call on
 *         this slot timed out, or because a process died in the middle of one. A ping
 *         (DX_TYPE_PING) returns when the handler has let go of that request. Also NULL while a
 *         stream is open, and in the child of a fork
 *
 * @threads The thread that uses the caller. Never blocks.
 */
DX_API void *dx_caller_request(struct dx_caller *caller);

/**
 * Sends a request that was built in place, and waits for the response.
 *
 * @param caller         the caller
 * @param type           what the request is, as for dx_call()
 * @param request_bytes  how many bytes of dx_caller_request() are sent
 * @param[out] reply     the response; may be NULL
 * @param timeout_ns     as for dx_call()
 *
 * @return As dx_call(), but never DX_ERR_BUFFER_TOO_SMALL
 *
 * @threads The thread that uses the caller. Blocks.
 */
DX_API dx_status dx_call_in_place(struct dx_caller *caller, uint32_t type, size_t request_bytes,
                                  struct dx_reply *reply, int64_t timeout_ns);

/**
 * Returns the latest response on this caller.
 *
 * @param caller  the caller
 *
 * @return The response. It is all zero if the latest call failed, except after
 *         DX_ERR_BUFFER_TOO_SMALL
 *
 * @threads The thread that uses the caller. Never blocks.
 */
DX_API struct dx_reply dx_caller_reply(const struct dx_caller *caller);

DX_END_DECLS

#endif
