/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream: two flows, one each way, through the request and the response area of a slot. A flow
 * is a ring and two progress words, each a count of bytes since the stream began and each with one
 * writer: `sent` of the writer, with DX_STREAM_END in it once no more will come, so that one store
 * says everything; `taken` of the reader. docs/protocol.md, "Streams", is the contract.
 *
 *   R12 -> A12  sent: the bytes are there before they are announced
 *   R13 -> A13  taken: the bytes have been read before their place is written again
 *
 * The wake-ups are those of calls, S1 <-> S2 towards the server and S3 <-> S4 towards the caller,
 * with a progress word in place of the slot's.
 */
#ifndef DX_STREAM_PRIVATE_H
#define DX_STREAM_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"
#include "dx_protocol.h"
#include "dx_stream.h"

/* One flow, as one side sees it. */
struct dx_flow {
    unsigned char *base;
    size_t ring;            /* bytes; 0: nothing flows this way */
    size_t offset;          /* of our position in the ring */
    uint64_t position;      /* bytes that we have sent, or taken */
    uint64_t peer;          /* what the other side has taken, or sent; checked */
    bool ended;             /* the writer has said the end */
    _Atomic uint64_t *ours; /* progress word */
    _Atomic uint64_t *theirs;
};

struct dx_caller;
struct dx_server;

struct dx_stream;
struct dx_waiter;

/* What each side does in its own way: stream_caller.c, stream_serve.c. */
struct dx_stream_side {
    void (*refresh)(struct dx_stream *stream); /* looks at what the other side says */
    void (*ring)(struct dx_stream *stream);    /* whoever waits for our progress */
    struct dx_waiter *(*waiter)(struct dx_stream *stream);
    dx_status (*wait)(struct dx_stream *stream, uint32_t looks, int64_t timeout_ns);
    /* Nothing is new: makes the descriptor tell when there is. DX_ERR_TIMEOUT, DX_OK if there is
     * news after all, or why the stream ends. NULL: there is no descriptor. */
    dx_status (*arm)(struct dx_stream *stream);
};

struct dx_stream {
    const struct dx_stream_side *side;
    struct dx_flow out;
    struct dx_flow in;
    size_t chunk;
    struct dx_caller *caller; /* on its side, else NULL */
    struct dx_server *server;
    uint64_t word;         /* the caller's word that began it */
    dx_status failure;     /* why it is over */
    uint64_t garbled_sent; /* what the other side said that cannot be, if `garbled` */
    uint64_t garbled_taken;
    bool garbled;
    bool open;
    bool accepted; /* caller: the server's progress words are of this stream */
    bool answered; /* caller: the handler has returned */
    int32_t status;
    uint32_t events; /* what is waited for, enum dx_stream_event */
    size_t wanted;   /* bytes */
    uint32_t type;
    uint32_t slot;
    void *user;
    struct dx_stream *next; /* server: of the active ones */
};

/* Bytes up to the ring's end. */
static inline size_t dx_flow_to_end(const struct dx_flow *f)
{
    return f->ring - f->offset;
}

/* Writer: room; reader: bytes. */
static inline size_t dx_flow_room(const struct dx_flow *f)
{
    return f->ring - (size_t)(f->position - f->peer);
}

static inline size_t dx_flow_bytes(const struct dx_flow *f)
{
    return (size_t)(f->peer - f->position);
}

/* Takes note of a progress word, which is input. False: it cannot be. A progress word grows, the
 * reader takes no more than was sent, and no more is sent than the ring holds. */
static inline bool dx_flow_taken(struct dx_flow *f, uint64_t taken)
{
    if (taken < f->peer || taken > f->position)
        return false;
    f->peer = taken;
    return true;
}

static inline bool dx_flow_sent(struct dx_flow *f, uint64_t word)
{
    uint64_t sent = word & ~DX_STREAM_END;
    bool end = (word & DX_STREAM_END) != 0;
    if (sent < f->peer || sent - f->position > f->ring)
        return false;
    if (f->ended && (!end || sent != f->peer))
        return false;
    f->peer = sent;
    f->ended = end;
    return true;
}

static inline void dx_flow_advance(struct dx_flow *f, size_t bytes)
{
    f->position += bytes;
    f->offset += bytes;
    if (f->offset == f->ring)
        f->offset = 0;
}

/* Has all that the other side writes been read? True also of a stream that has failed since. */
static inline bool dx_stream_at_end(const struct dx_stream *s)
{
    /* A12 <- R12: nothing comes after what the word says. */
    return dx_load_acquire(s->in.theirs) == (s->in.position | DX_STREAM_END);
}

/* Looks at everything that the other side says; true if what the stream waits for is there, or
 * never will be. */
bool dx_stream_look(void *stream);

/* Makes a stream new, all but its flows' places. */
void dx_stream_reset(struct dx_stream *stream, size_t chunk);

/* One limit of time for all waits of a function. The clock is read only if the first of them is
 * not over at once. */
struct dx_patience {
    int64_t timeout_ns;
    int64_t deadline_ns;
    bool begun;
};

/* Waits for events; DX_OK also if the stream failed or ended meanwhile. */
dx_status dx_stream_await(struct dx_stream *stream, uint32_t events, size_t wanted,
                          struct dx_patience *patience);

/* The text of a failure of this stream, or none: said again by each function that reports it. */
dx_status dx_stream_tell(const struct dx_stream *stream, dx_status status);

/* Reads both progress words of the other side. */
void dx_stream_refresh_flows(struct dx_stream *stream);

#endif
