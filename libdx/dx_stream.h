/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Streams: payloads of any size through one slot.
 *
 * A stream is a call whose request and response flow through two rings: the slot's own request and
 * response areas. Each side publishes its progress chunk by chunk, so the reader starts long before
 * the writer ends. A writer that is ahead by a whole ring waits (backpressure). Nothing is buffered
 * anywhere else: a peer that stalls or lies costs no more than its slot.
 *
 * @code{.unparsed}
 *   caller:  dx_stream_open -> dx_stream_write ... -> dx_stream_read ... ->
 *            dx_stream_end
 *   server:  dx_serve with dx_serve_options.stream: the handler reads,
 *            writes, returns a status
 * @endcode
 *
 * Both sides write and read by the same functions. dx_stream_write() and dx_stream_read() copy. To
 * work in place, in contiguous spans of the ring, a writer calls dx_stream_reserve(), fills, and
 * calls dx_stream_commit(). A reader calls dx_stream_peek(), uses what is there, and calls
 * dx_stream_consume().
 *
 * @par Rings
 * The caller chooses how much of each area is used. A ring of 0.5 to 2 MiB stays in the caches of
 * most machines. A large payload then arrives faster than by one memcpy. A ring as large as the
 * payload goes through memory twice. If the ring's size is a multiple of the chunk and of what is
 * reserved and peeked, the ring's end never cuts a span short.
 *
 * @par Time
 * timeout_ns limits how long one function waits for the other side, in ns: 0 does not wait,
 * DX_FOREVER has no limit. DX_ERR_TIMEOUT ends that wait, but not the stream. dx_stream_read() and
 * dx_stream_write() may have moved a part before it: *bytes and *written say how much. That part
 * has left the stream, so keep it, and ask only for what is still missing.
 *
 * @par Errors
 * Every error but DX_ERR_TIMEOUT is the end of the stream. Each later function reports it again,
 * until dx_stream_end() or the handler's return. These are the *errors of a stream*:
 * @code{.unparsed}
 *   DX_ERR_CORRUPT       the other side broke the protocol of this stream;
 *                        other streams are not touched
 *   DX_ERR_PEER_DEAD     the other side's process ended
 *   DX_ERR_PEER_CLOSED   the other side called dx_close
 *   DX_ERR_STOPPED       dx_stop was called
 *   DX_ERR_LOST          the server's handler or process ended
 *   DX_ERR_TYPE          the server takes no streams
 *   DX_ERR_CANCELLED     in a handler: the caller gave the stream up
 *   DX_ERR_GUEST_EXISTS  this guest's place was given to another
 *   DX_ERR_FORKED        another process opened the channel
 * @endcode
 *
 * @par Threads
 * One thread at a time uses a stream. Many streams run at once, one on each slot. A function that
 * takes timeout_ns can block; the others never do.
 */
#ifndef DX_STREAM_H
#define DX_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "dx_caller.h"
#include "dx_serve.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/** What dx_stream_wait() can wait for. */
enum dx_stream_event {
    DX_STREAM_READABLE = 1, /**< there are bytes to read, or the writer has finished */
    DX_STREAM_WRITABLE = 2, /**< there is room in the ring, or nobody will read any more */
    DX_STREAM_NOW = 4,      /**< always: see dx_stream_set_events() */
};

/** Options of dx_stream_open(). All zero uses the whole of both areas. */
struct dx_stream_options {
    size_t request_ring;  /**< bytes, up to the slot's request capacity; 0: all of it */
    size_t response_ring; /**< bytes, up to the slot's response capacity; 0: all of it */
    /** dx_stream_write() and dx_stream_read() publish their progress after so many bytes; 0: the
     * lesser of DX_STREAM_CHUNK and a quarter of a ring. */
    size_t chunk;
    uint64_t reserved[5]; /**< must be zero; room for later versions */
};

/** The largest chunk of a stream that sets none, in bytes. */
#define DX_STREAM_CHUNK ((size_t)128 << 10)

/**
 * Begins a stream on a caller.
 *
 * It waits until the server has let go of what an earlier call left in the slot, as dx_call() does.
 * An idle slot takes no time. The caller makes no other call (DX_ERR_BUSY) until dx_stream_end() or
 * dx_stream_cancel(). A server that takes no streams refuses the stream later, with DX_ERR_TYPE.
 *
 * @param caller      the caller, to which the stream belongs
 * @param type        what the stream is, DX_TYPE_USER ... DX_TYPE_MAX
 * @param options     the rings and the chunk; may be NULL
 * @param timeout_ns  how long to wait for the slot, in ns, or DX_FOREVER
 * @param[out] out    set to the stream; NULL on failure
 *
 * @retval DX_ERR_INVALID       a ring is larger than the slot's capacity, or options are not zero
 *                              where they must be
 * @retval DX_ERR_TYPE          users may not send this type
 * @retval DX_ERR_TIMEOUT       the server still works on an earlier call
 * @retval DX_ERR_NO_PEER       no other side was there until the deadline
 * @retval DX_ERR_PEER_CLOSED   the other side called dx_close()
 * @retval DX_ERR_PEER_DEAD     the other side's process ended
 * @retval DX_ERR_STOPPED       dx_stop() was called
 * @retval DX_ERR_BUSY          a stream is open on this caller
 * @retval DX_ERR_GUEST_EXISTS  this guest's place was given to another
 * @retval DX_ERR_NAME_REMOVED  nobody can come
 * @retval DX_ERR_FORKED        another process opened the channel
 *
 * @threads The thread that uses the caller. Blocks.
 */
DX_API dx_status dx_stream_open(struct dx_caller *caller, uint32_t type,
                                const struct dx_stream_options *options, int64_t timeout_ns,
                                struct dx_stream **out);

/**
 * Copies bytes into the stream.
 *
 * It must not be called after dx_stream_close_write().
 *
 * @param stream        the stream
 * @param data          the bytes
 * @param bytes         how many
 * @param[out] written  set to how many were taken, also on failure; may be NULL
 * @param timeout_ns    how long to wait, in ns; 0: not at all; or DX_FOREVER
 *
 * @retval DX_OK           all of them were taken
 * @retval DX_ERR_TIMEOUT  the ring stayed full. Go on with data + *written and bytes - *written
 * @retval DX_ERR_ENDED    the other side has ended the stream and reads no more. dx_stream_end()
 *                         tells its status
 * @retval DX_ERR_INVALID  no byte can be written, because the ring has no bytes
 * @return Any error of a stream (see dx_stream.h)
 *
 * @threads The thread that uses the stream. Blocks.
 */
DX_API dx_status dx_stream_write(struct dx_stream *stream, const void *data, size_t bytes,
                                 size_t *written, int64_t timeout_ns);

/**
 * Reserves room to write in place.
 *
 * It waits until `wanted` bytes are free, or as many as there are before the end of the ring.
 *
 * @param stream      the stream
 * @param wanted      bytes; 0 counts as 1, and more than the ring as the whole ring
 * @param[out] data   set to where the room is. It belongs to this side until dx_stream_commit()
 * @param[out] bytes  set to all contiguous room that is free
 * @param timeout_ns  as for dx_stream_write()
 *
 * @return DX_OK, or an error of dx_stream_write()
 *
 * @threads The thread that uses the stream. Blocks.
 */
DX_API dx_status dx_stream_reserve(struct dx_stream *stream, size_t wanted, void **data,
                                   size_t *bytes, int64_t timeout_ns);

/**
 * Publishes what was written to reserved room. The reader may then read it.
 *
 * @param stream  the stream
 * @param bytes   how many of the reserved bytes, from the first
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void dx_stream_commit(struct dx_stream *stream, size_t bytes);

/**
 * Tells the other side that nothing more will be written.
 *
 * It may be called again. dx_stream_end() and a handler's return also do this.
 *
 * @param stream  the stream
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void dx_stream_close_write(struct dx_stream *stream);

/**
 * Copies bytes from the stream, until the buffer is full or the writer has finished.
 *
 * @param stream       the stream
 * @param[out] buffer  where the bytes go
 * @param capacity     the size of the buffer
 * @param[out] bytes   set to how many were copied, also on failure
 * @param timeout_ns   as for dx_stream_write()
 *
 * @retval DX_OK           the buffer is full, or, with less than `capacity` bytes, the stream ended
 *                         there
 * @retval DX_ERR_TIMEOUT  no more came in time. The *bytes bytes that came are in the buffer and
 *                         nowhere else. Go on with buffer + *bytes and capacity - *bytes. With a
 *                         timeout of 0 and a ring that is smaller than `capacity`, this is the
 * usual case
 * @return Any error of a stream (see dx_stream.h)
 *
 * @threads The thread that uses the stream. Blocks.
 */
DX_API dx_status dx_stream_read(struct dx_stream *stream, void *buffer, size_t capacity,
                                size_t *bytes, int64_t timeout_ns);

/**
 * Finds bytes to read in place.
 *
 * It waits until `wanted` bytes are there, or as many as there are before the end of the ring or of
 * the stream. They are valid until dx_stream_consume(). The other side can still write there. Copy
 * them before you check what you do not trust.
 *
 * @param stream      the stream
 * @param wanted      bytes; 0 counts as 1, and more than the ring as the whole ring
 * @param[out] data   set to where the bytes are
 * @param[out] bytes  set to all contiguous bytes that are there; 0 only at the end of the stream
 * @param timeout_ns  as for dx_stream_write()
 *
 * @retval DX_ERR_TIMEOUT  they did not come in time
 * @return Any error of a stream (see dx_stream.h)
 *
 * @threads The thread that uses the stream. Blocks.
 */
DX_API dx_status dx_stream_peek(struct dx_stream *stream, size_t wanted, const void **data,
                                size_t *bytes, int64_t timeout_ns);

/**
 * Gives bytes that were peeked back to the writer.
 *
 * @param stream  the stream
 * @param bytes   how many of them, from the first
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void dx_stream_consume(struct dx_stream *stream, size_t bytes);

/**
 * Waits until the stream can be read or written.
 *
 * It is for a thread that writes and reads with timeouts of 0. An error of the stream also ends the
 * wait.
 *
 * @param stream      the stream
 * @param events      any of these: a sum of enum dx_stream_event; 0: only the end of the stream
 * @param timeout_ns  as for dx_stream_write()
 *
 * @retval DX_ERR_TIMEOUT  none of them came
 * @return Any error of a stream (see dx_stream.h)
 *
 * @threads The thread that uses the stream. Blocks.
 */
DX_API dx_status dx_stream_wait(struct dx_stream *stream, uint32_t events, int64_t timeout_ns);

/**
 * For the caller: ends the stream and waits for the handler's status.
 *
 * It finishes the request and drops the unread part of the response. The stream is gone after it,
 * whatever it returns.
 *
 * @param stream       the stream
 * @param[out] status  set to the handler's status; may be NULL
 * @param timeout_ns   as for dx_stream_write()
 *
 * @retval DX_ERR_TIMEOUT  the handler did not return in time. The slot is as after a call that
 * timed out
 * @return Any error of a stream (see dx_stream.h)
 *
 * @threads The thread that uses the stream. Blocks.
 */
DX_API dx_status dx_stream_end(struct dx_stream *stream, int32_t *status, int64_t timeout_ns);

/**
 * For the caller: gives the stream up before its end.
 *
 * The handler sees DX_ERR_CANCELLED. The slot is as after a call that timed out.
 *
 * @param stream  the stream, which is gone after it
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void dx_stream_cancel(struct dx_stream *stream);

/** For the server: what a dx_stream_handler() returns to be entered again when one of `events` (a
 * sum of enum dx_stream_event) holds. With 0 it is entered when the stream fails, see also
 * dx_stream_loop.h. */
#define DX_STREAM_AGAIN(events) (INT32_MIN + (int32_t)(events))

/**
 * Keeps a pointer of the handler's own with the stream.
 *
 * @param stream  the stream
 * @param user    any pointer
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void dx_stream_set_user(struct dx_stream *stream, void *user);

/**
 * Returns what dx_stream_set_user() kept.
 *
 * @param stream  the stream
 *
 * @return The pointer; NULL when a stream begins
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void *dx_stream_user(const struct dx_stream *stream);

/**
 * For the server: sets what dx_stream_options.chunk is for the caller.
 *
 * @param stream  the stream
 * @param chunk   bytes, as in struct dx_stream_options
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API void dx_stream_set_chunk(struct dx_stream *stream, size_t chunk);

/**
 * Returns the type of the stream.
 *
 * @param stream  the stream
 *
 * @return The type that the caller gave, DX_TYPE_USER ... DX_TYPE_MAX
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API uint32_t dx_stream_type(const struct dx_stream *stream);

/**
 * Returns the slot of the stream.
 *
 * @param stream  the stream
 *
 * @return The number of the caller's slot
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API uint32_t dx_stream_slot(const struct dx_stream *stream);

/**
 * Returns how many bytes this side has written (committed) so far.
 *
 * @param stream  the stream
 *
 * @return Bytes
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API uint64_t dx_stream_bytes_written(const struct dx_stream *stream);

/**
 * Returns how many bytes this side has read (consumed) so far.
 *
 * @param stream  the stream
 *
 * @return Bytes
 *
 * @threads The thread that uses the stream. Never blocks.
 */
DX_API uint64_t dx_stream_bytes_read(const struct dx_stream *stream);

DX_END_DECLS

#endif
