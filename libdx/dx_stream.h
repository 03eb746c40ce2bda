/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: payloads of any size through one slot. A stream is a call whose request and response
 * are not handed over whole but flow through two rings, the slot's own request and response areas.
 * Each side publishes its progress chunk by chunk, so that the reader starts long before the writer
 * ends; a writer that is ahead by a whole ring waits (backpressure). Nothing is ever buffered
 * elsewhere: a stalled or lying peer costs the slot that it has anyway.
 *
 *   caller:  dx_stream_open -> dx_stream_write ... -> dx_stream_read ... -> dx_stream_end
 *   server:  dx_serve with dx_serve_options.stream: the handler reads, writes, returns a status
 *
 * Both sides use the same functions to write and to read, each either by copying
 *   dx_stream_write, dx_stream_read
 * or in place, in spans of the ring that are contiguous:
 *   dx_stream_reserve, fill, dx_stream_commit;   dx_stream_peek, use, dx_stream_consume
 *
 * Rings. The caller chooses how much of each area is used. A ring of 0.5 to 2 MiB stays in the
 * caches of most machines, and then a large payload arrives faster than one memcpy of it would
 * take; a ring as large as the payload goes through memory twice. If the ring's size is a multiple
 * of the chunk, and of what is reserved and peeked, no span is ever cut short by the ring's end.
 *
 * Time. timeout_ns is the limit of one function's waiting, for the other side and for nothing else:
 * 0 does not wait, DX_FOREVER has no limit. DX_ERR_TIMEOUT ends that wait and not the stream.
 * dx_stream_read and dx_stream_write may have moved a part until then. That part has left the
 * stream: *bytes of dx_stream_read, *written of dx_stream_write say how long it is. The next call
 * goes on behind it, so keep the part and ask only for what is still missing. Every other error is
 * the stream's end: each later function reports it again, until dx_stream_end or the handler's
 * return. DX_ERR_CORRUPT of a stream says nothing about others.
 *
 * Threads: one thread at a time uses a stream. Many streams go on at once, one on each slot.
 */
#ifndef DX_STREAM_H
#define DX_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "dx_caller.h"
#include "dx_serve.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/* What a stream may be waited for. */
enum dx_stream_event {
    DX_STREAM_READABLE = 1, /* bytes to read, or their end */
    DX_STREAM_WRITABLE = 2, /* room in the ring, or nobody who will read what is written */
};

struct dx_stream_options {
    size_t request_ring;  /* bytes, up to the slot's request capacity; 0: all of it */
    size_t response_ring; /* bytes, up to the slot's response capacity; 0: all of it */
    size_t chunk;         /* bytes between two publications of progress by dx_stream_write and
                             dx_stream_read; 0: DX_STREAM_CHUNK, or a quarter of the ring if that is less */
};

#define DX_STREAM_CHUNK ((size_t)128 << 10)

/*
 * Begins a stream of this type (DX_TYPE_USER ... DX_TYPE_MAX) on a caller; options may be NULL. The
 * timeout is for the server's greeting and for what an earlier call left behind, as with dx_call;
 * an idle slot takes no time. The stream belongs to the caller, which makes no other call
 * (DX_ERR_BUSY) until dx_stream_end or dx_stream_cancel.
 *
 * DX_ERR_INVALID for a ring beyond the slot's capacity, DX_ERR_TYPE, _TIMEOUT, _NO_PEER,
 * _PEER_CLOSED, _PEER_DEAD, _STOPPED, _BUSY. A server that takes no streams answers DX_ERR_TYPE
 * later.
 */
DX_API dx_status dx_stream_open(struct dx_caller *caller, uint32_t type,
                                const struct dx_stream_options *options, int64_t timeout_ns,
                                struct dx_stream **out);

/*
 * Copies bytes of data into the stream. *written (NULL allowed) is how many were taken, also if it
 * fails. DX_OK: all of them. DX_ERR_TIMEOUT: the ring stayed full; go on with data + *written and
 * bytes - *written, because what was taken is on its way. DX_ERR_ENDED: the other side
 * has ended the stream and reads no more (dx_stream_end says with what status).
 */
DX_API dx_status dx_stream_write(struct dx_stream *stream, const void *data, size_t bytes,
                                 size_t *written, int64_t timeout_ns);

/*
 * Room to write in place: waits until `wanted` bytes (0 counts as 1, more than a ring as a ring),
 * or as many as there are up to the ring's end, are free. *bytes is all that is free and contiguous
 * at *data, at least that many. Ours until dx_stream_commit. Errors as dx_stream_write.
 */
DX_API dx_status dx_stream_reserve(struct dx_stream *stream, size_t wanted, void **data,
                                   size_t *bytes, int64_t timeout_ns);

/* Publishes the first `bytes` of what was reserved: the reader may begin. Never blocks. */
DX_API void dx_stream_commit(struct dx_stream *stream, size_t bytes);

/* Says that nothing more will be written. Never blocks; again is allowed. dx_stream_end and the
 * return of a handler do it as well. */
DX_API void dx_stream_finish(struct dx_stream *stream);

/*
 * Copies bytes from the stream until the buffer is full or the writer has finished. *bytes is how
 * many, also if it fails. DX_OK with less than `capacity`: that was all. DX_ERR_TIMEOUT: no more
 * came in time; the *bytes that did come are in the buffer and nowhere else, and go on with
 * buffer + *bytes and capacity - *bytes. With a timeout of 0 and a ring that is smaller than
 * `capacity`, this is the usual case.
 */
DX_API dx_status dx_stream_read(struct dx_stream *stream, void *buffer, size_t capacity,
                                size_t *bytes, int64_t timeout_ns);

/*
 * Bytes to read in place: waits until `wanted` bytes (0 counts as 1, more than a ring as a ring),
 * or as many as there are up to the ring's end or the stream's, are there. *bytes is all that is
 * there and contiguous at *data, and 0 only at the end of the stream. Valid until
 * dx_stream_consume; the other side can still write there: copy before you check what you do not
 * trust.
 */
DX_API dx_status dx_stream_peek(struct dx_stream *stream, size_t wanted, const void **data,
                                size_t *bytes, int64_t timeout_ns);

/* Gives the first `bytes` of what was peeked back to the writer. Never blocks. */
DX_API void dx_stream_consume(struct dx_stream *stream, size_t bytes);

/* Waits for any of `events` (enum dx_stream_event), for a thread that both writes and reads with
 * timeouts of 0. An error of the stream ends the wait, too. */
DX_API dx_status dx_stream_wait(struct dx_stream *stream, uint32_t events, int64_t timeout_ns);

/*
 * Caller: finishes the request, drops what was not read of the response, waits for the handler's
 * status (NULL allowed) and ends the stream, whatever it returns: DX_OK, the stream's error, or
 * DX_ERR_TIMEOUT, after which the caller's slot is as after a call that timed out.
 */
DX_API dx_status dx_stream_end(struct dx_stream *stream, int32_t *status, int64_t timeout_ns);

/* Caller: gives the stream up, without having finished it. The handler sees DX_ERR_CANCELLED. Never
 * blocks; the slot is as after a call that timed out. */
DX_API void dx_stream_cancel(struct dx_stream *stream);

/*
 * Server: the handler of streams (dx_serve_options.stream). It is entered when a stream begins and
 * may do either of two things:
 *
 *   block   read and write with timeouts, and return the status that the caller gets. Other slots
 *           of this serving thread wait meanwhile, those of other threads of a pool do not
 *   return  DX_STREAM_AGAIN(events) when a function says DX_ERR_TIMEOUT, or after each chunk: it is
 *           entered again for the same stream once any of these events holds. So one thread
 *           serves all slots' streams at once. dx_stream_set_user keeps what it needs, such as
 *           the part that came with DX_ERR_TIMEOUT
 *
 * A stream that fails (DX_ERR_CANCELLED: the caller gave it up; _PEER_DEAD, _PEER_CLOSED, _STOPPED,
 * _CORRUPT) is entered once more, every function says so, and what the handler returns ends it.
 * The handler's return also finishes what it wrote, and drops what it has not read.
 */
#define DX_STREAM_AGAIN(events) (INT32_MIN + (int32_t)(events))

DX_API void dx_stream_set_user(struct dx_stream *stream, void *user);
DX_API void *dx_stream_user(const struct dx_stream *stream); /* NULL when a stream begins */

/* As dx_stream_options.chunk, for the serving side. */
DX_API void dx_stream_set_chunk(struct dx_stream *stream, size_t chunk);

/* The type with which it was opened, and its slot. */
DX_API uint32_t dx_stream_type(const struct dx_stream *stream);
DX_API uint32_t dx_stream_slot(const struct dx_stream *stream);

/* Bytes written (committed) and read (consumed) on this side so far. */
DX_API uint64_t dx_stream_written(const struct dx_stream *stream);
DX_API uint64_t dx_stream_consumed(const struct dx_stream *stream);

DX_END_DECLS

#endif
