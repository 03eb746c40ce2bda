/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/**
 * @file
 * Streams in an event loop, beside sockets and other descriptors.
 *
 * The caller's side: dx_stream_fd() is a descriptor for epoll, poll and their kin. The loop reads and
 * writes with timeouts of 0. When that moves nothing any more, it says what it waits for:
 *
 * @code
 *   if (dx_stream_wait(stream, DX_STREAM_READABLE, 0) == DX_ERR_TIMEOUT)
 *       ...                          // now the descriptor becomes readable when the event comes
 * @endcode
 *
 * The descriptor is readable at first, and stays so until a dx_stream_wait() of no time has returned
 * DX_ERR_TIMEOUT. It can be readable although nothing is new. It also becomes readable when the
 * stream fails. Only watch it: never read it, write it or close it. A thread of the library sleeps
 * for each descriptor.
 *
 * The server's side: dx_server_fd() tells of all streams. A handler that returns DX_STREAM_AGAIN()
 * leaves the stream to the thread that polls the server. Between two entries of the handler this
 * thread may use the stream as the handler does, for example when a socket has become readable. It
 * says by dx_stream_set_events() when the handler is entered next, and calls dx_server_poll() before
 * it waits. A stream ends only by the return of its handler.
 */
/* clang-format on */
#ifndef DX_STREAM_LOOP_H
#define DX_STREAM_LOOP_H

#include <stdint.h>

#include "dx_stream.h"

DX_BEGIN_DECLS

/**
 * For the caller: returns a descriptor that becomes readable when there is something new.
 *
 * @param stream  the stream
 *
 * @return The descriptor, which belongs to the stream and ends with it; the same in each call. -1
 * if it cannot be made (descriptors or threads have run out; dx_last_error() says which)
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API int dx_stream_fd(struct dx_stream *stream);

/**
 * For the server: says when the handler is entered again.
 *
 * It replaces what the handler said by DX_STREAM_AGAIN().
 *
 * @param stream  a stream whose handler has returned DX_STREAM_AGAIN()
 * @param events  a sum of enum dx_stream_event; 0: only when the stream fails. DX_STREAM_NOW enters
 *                the handler in the next dx_server_poll()
 *
 * @threads The thread that polls the server. Never blocks.
 */
DX_API void dx_stream_set_events(struct dx_stream *stream, uint32_t events);

DX_END_DECLS

#endif
