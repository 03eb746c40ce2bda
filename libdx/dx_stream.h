/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams carry payloads of any size through one slot. A stream is a call whose request and
 * response flow through two rings: the slot's own request and response areas. Each side publishes
 * its progress chunk by chunk, so the reader starts long before the writer ends. A writer that is
 * ahead by a whole ring waits (backpressure). Nothing is buffered anywhere else: a peer that stalls
 * or lies costs no more than its slot.
 *
 *   caller:  dx_stream_open -> dx_stream_write ... -> dx_stream_read ... -> dx_stream_end
 *   server:  dx_serve with dx_serve_options.stream: the handler reads, writes, returns a status
 *
 * Both sides write and read by the same functions, either by copying
 *   dx_stream_write, dx_stream_read
 * or in place, in contiguous spans of the ring
 *   dx_stream_reserve, fill, dx_stream_commit;   dx_stream_peek, use, dx_stream_consume
 *
 * Rings. The caller chooses how much of each area is used. A ring of 0.5 to 2 MiB stays in the
 * caches of most machines. A large payload then arrives faster than by one memcpy. A ring as large
 * as the payload goes through memory twice. If the ring's size is a multiple of the chunk and of
 * what is reserved and peeked, the ring's end never cuts a span short.
 *
 * Time. timeout_ns limits how long one function waits for the other side: 0 does not wait,
 * DX_FOREVER has no limit. DX_ERR_TIMEOUT ends that wait, but not the stream. dx_stream_read and
 * dx_stream_write may have moved a part before it: *bytes of dx_stream_read and *written of
 * dx_stream_write say how much. That part has left the stream, so keep it, and ask only for what is
 * still missing.
 *
 * Errors. Every other error is the end of the stream. Each later function reports it again, until
 * dx_stream_end or the handler's return. Unless a function says otherwise, these are DX_ERR_CORRUPT
 * (the other side broke the protocol of this stream; other streams are not touched), _PEER_DEAD,
 * _PEER_CLOSED, _STOPPED, _LOST (the server's handler or process ended), _TYPE (the server takes no
 * streams), _GUEST_EXISTS, _FORKED, and in a handler _CANCELLED (the caller gave it up).
 *
 * Threads. One thread at a time uses a stream. Many streams run at once, one on each slot. A
 * function that takes timeout_ns can block; the others never do.
 */
#ifndef DX_STREAM_H
#define DX_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "dx_caller.h"
#include "dx_serve.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/* What dx_stream_wait can wait for. */
enum dx_stream_event {
    DX_STREAM_READABLE = 1, /* there are bytes to read, or the writer has finished */
    DX_STREAM_WRITABLE = 2, /* there is room in the ring, or nobody will read any more */
};

struct dx_stream_options {
    size_t request_ring;  /* bytes, up to the slot's request capacity; 0: all of it */
    size_t response_ring; /* bytes, up to the slot's response capacity; 0: all of it */
    size_t chunk;         /* dx_stream_write and dx_stream_read publish their progress after so
                             many bytes; 0: the lesser of DX_STREAM_CHUNK and a quarter of a ring */
};

#define DX_STREAM_CHUNK ((size_t)128 << 10)

/*
 * Begins a stream of this type (DX_TYPE_USER ... DX_TYPE_MAX) on a caller. options may be NULL. It
 * waits up to timeout_ns until the server has let go of what an earlier call left in the slot, as
 * dx_call does. An idle slot takes no time. The stream belongs to the caller. That caller makes no
 * other call (DX_ERR_BUSY) until dx_stream_end or dx_stream_cancel.
 *
 * DX_ERR_INVALID (a ring is larger than the slot's capacity), _TYPE (a type that users may not
 * send), _TIMEOUT, _NO_PEER, _PEER_CLOSED, _PEER_DEAD, _STOPPED, _BUSY, _GUEST_EXISTS,
 * _NAME_REMOVED, _FORKED. A server that takes no streams refuses the stream later, with
 * DX_ERR_TYPE.
 */
DX_API dx_status dx_stream_open(struct dx_caller *caller, uint32_t type,
                                const struct dx_stream_options *options, int64_t timeout_ns,
                                struct dx_stream **out);

/*
 * Copies `bytes` bytes of data into the stream. *written (NULL allowed) is set to how many were
 * taken, also on failure. DX_OK means all of them.
 *
 * DX_ERR_TIMEOUT: the ring stayed full. Go on with data + *written and bytes - *written.
 * DX_ERR_ENDED: the other side has ended the stream and reads no more. dx_stream_end tells its
 * status. DX_ERR_INVALID: no byte can be written, because the ring has no bytes. It must not be
 * called after dx_stream_close_write.
 */
DX_API dx_status dx_stream_write(struct dx_stream *stream, const void *data, size_t bytes,
                                 size_t *written, int64_t timeout_ns);

/*
 * Reserves room to write in place. It waits until `wanted` bytes are free, or as many as there are
 * before the end of the ring. 0 counts as 1, and more than the ring as the whole ring. *data and
 * *bytes are set to all contiguous room that is free. It belongs to this side until
 * dx_stream_commit. Errors as dx_stream_write.
 */
DX_API dx_status dx_stream_reserve(struct dx_stream *stream, size_t wanted, void **data,
                                   size_t *bytes, int64_t timeout_ns);

/* Publishes the first `bytes` bytes of the reserved room. The reader may read them. */
DX_API void dx_stream_commit(struct dx_stream *stream, size_t bytes);

/* Tells the other side that nothing more will be written. May be called again. dx_stream_end and a
 * handler's return also do this. */
DX_API void dx_stream_close_write(struct dx_stream *stream);

/*
 * Copies bytes from the stream to buffer, until `capacity` bytes are there or the writer has
 * finished. *bytes is set to how many were copied, also on failure. DX_OK with less than `capacity`
 * bytes means that the stream ended there.
 *
 * DX_ERR_TIMEOUT: no more came in time. The *bytes bytes that came are in the buffer and nowhere
 * else. Go on with buffer + *bytes and capacity - *bytes. With a timeout of 0 and a ring that is
 * smaller than `capacity`, this is the usual case.
 */
DX_API dx_status dx_stream_read(struct dx_stream *stream, void *buffer, size_t capacity,
                                size_t *bytes, int64_t timeout_ns);

/*
 * Finds bytes to read in place. It waits until `wanted` bytes are there, or as many as there are
 * before the end of the ring or of the stream. 0 counts as 1, and more than the ring as the whole
 * ring. *data and *bytes are set to all contiguous bytes that are there. *bytes is 0 only at the
 * end of the stream. They are valid until dx_stream_consume. The other side can still write there.
 * Copy them before you check what you do not trust.
 */
DX_API dx_status dx_stream_peek(struct dx_stream *stream, size_t wanted, const void **data,
                                size_t *bytes, int64_t timeout_ns);

/* Gives the first `bytes` bytes of what was peeked back to the writer. */
DX_API void dx_stream_consume(struct dx_stream *stream, size_t bytes);

/* Waits for any of `events` (a sum of enum dx_stream_event). It is for a thread that writes and
 * reads with timeouts of 0. An error of the stream also ends the wait. DX_ERR_TIMEOUT: none of them
 * came. */
DX_API dx_status dx_stream_wait(struct dx_stream *stream, uint32_t events, int64_t timeout_ns);

/*
 * For the caller: finishes the request, drops the unread part of the response, waits for the
 * handler's status (status may be NULL), and ends the stream. The stream is gone after it, whatever
 * it returns: DX_OK, the error of the stream, or DX_ERR_TIMEOUT. After DX_ERR_TIMEOUT the slot is
 * as after a call that timed out.
 */
DX_API dx_status dx_stream_end(struct dx_stream *stream, int32_t *status, int64_t timeout_ns);

/* For the caller: gives the stream up before its end. The handler sees DX_ERR_CANCELLED. The slot
 * is as after a call that timed out. */
DX_API void dx_stream_cancel(struct dx_stream *stream);

/*
 * For the server: the handler of streams (dx_serve_options.stream). It is entered when a stream
 * begins. It works in one of two ways:
 *
 *   block   It reads and writes with timeouts and returns the status that the caller gets.
 *           Meanwhile the other slots of this serving thread wait. Other threads of a pool go on.
 *   return  It returns DX_STREAM_AGAIN(events), after each chunk or when a function returned
 *           DX_ERR_TIMEOUT. It is entered again for the same stream when one of these events
 *           holds. So one thread serves the streams of all slots at once. dx_stream_set_user keeps
 *           what the handler needs, such as the part that came before DX_ERR_TIMEOUT.
 *
 * When a stream fails (DX_ERR_CANCELLED, _PEER_DEAD, _PEER_CLOSED, _STOPPED, _CORRUPT), the handler
 * is entered once more. Every function returns that error, and the handler's return ends the
 * stream. The return also finishes what the handler wrote and drops what it has not read.
 */
#define DX_STREAM_AGAIN(events) (INT32_MIN + (int32_t)(events))

/* A pointer of the handler's own. It is NULL when a stream begins. */
DX_API void dx_stream_set_user(struct dx_stream *stream, void *user);
DX_API void *dx_stream_user(const struct dx_stream *stream);

/* Sets dx_stream_options.chunk for the serving side. */
DX_API void dx_stream_set_chunk(struct dx_stream *stream, size_t chunk);

/* The type and the slot of the stream. */
DX_API uint32_t dx_stream_type(const struct dx_stream *stream);
DX_API uint32_t dx_stream_slot(const struct dx_stream *stream);

/* How many bytes this side has written (committed) and read (consumed) so far. */
DX_API uint64_t dx_stream_bytes_written(const struct dx_stream *stream);
DX_API uint64_t dx_stream_bytes_read(const struct dx_stream *stream);

DX_END_DECLS

#endif
