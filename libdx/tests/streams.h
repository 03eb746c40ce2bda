/* SPDX-License-Identifier: Apache-2.0 */
/* Streams between the two sides of a pair: handlers that do what the stream's type says, and bytes
 * that depend on their place, so that none can be lost, repeated or swapped unseen. */
#ifndef DX_TEST_STREAMS_H
#define DX_TEST_STREAMS_H

#include "pair.h"

enum stream_type {
    STREAM_SINK = DX_TYPE_USER + 40, /* checks what it reads; status 1 if all bytes were right */
    STREAM_SINK_IN_PLACE,
    STREAM_ECHO,   /* writes what it reads */
    STREAM_SOURCE, /* reads a uint64_t, then writes so many bytes */
    STREAM_EARLY,  /* reads STREAM_EARLY_BYTES, and returns 77 with those behind them unread */
    STREAM_DEAF,   /* does nothing until the stream fails; posts entered at first and at last */
    STREAM_EVENTS = DX_TYPE_USER + 60, /* + one of the above: never blocks */
};

#define STREAM_EARLY_BYTES 100u
#define STREAM_RIGHT 1
#define STREAM_WRONG 2

static inline unsigned char stream_byte(uint64_t at)
{
    return (unsigned char)((at * 0x9e3779b97f4a7c15ull) >> 56);
}

static inline void stream_fill(unsigned char *to, uint64_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = stream_byte(at + i);
}

static inline bool stream_right(const unsigned char *from, uint64_t at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (from[i] != stream_byte(at + i))
            return false;
    return true;
}

/* What a handler that is entered again knows. */
struct stream_work {
    uint64_t total;    /* of a source */
    size_t total_read; /* bytes of that number */
    size_t early_read; /* bytes that STREAM_EARLY has so far: they may come in parts */
    bool wrong;
    struct desk *desk;
};

static inline int32_t stream_again(dx_status status, bool blocks, uint32_t events)
{
    return !blocks && status == DX_ERR_TIMEOUT ? DX_STREAM_AGAIN(events) : (int32_t)status;
}

/* One span; DX_OK with *bytes == 0 at the end. */
static inline dx_status stream_check_span(struct dx_stream *s, struct stream_work *w, bool in_place,
                                          int64_t timeout_ns, size_t *bytes)
{
    unsigned char buffer[3000];
    const void *data = buffer;
    uint64_t at = dx_stream_bytes_read(s);
    dx_status status = in_place ? dx_stream_peek(s, 1, &data, bytes, timeout_ns)
                                : dx_stream_read(s, buffer, sizeof buffer, bytes, timeout_ns);
    if (*bytes != 0 && !stream_right(data, at, *bytes))
        w->wrong = true;
    if (status == DX_OK && in_place)
        dx_stream_consume(s, *bytes);
    return status;
}

static inline int32_t stream_sink(struct dx_stream *s, struct stream_work *w, bool blocks,
                                  bool in_place)
{
    int64_t timeout_ns = blocks ? PATIENCE : 0;
    for (;;) {
        size_t bytes;
        dx_status status = stream_check_span(s, w, in_place, timeout_ns, &bytes);
        if (status != DX_OK)
            return stream_again(status, blocks, DX_STREAM_READABLE);
        if (bytes == 0 || (!in_place && bytes < 3000))
            return w->wrong ? STREAM_WRONG : STREAM_RIGHT;
        if (!blocks) /* a chunk each time, for the others' sake */
            return DX_STREAM_AGAIN(DX_STREAM_READABLE);
    }
}

static inline int32_t stream_echo(struct dx_stream *s, bool blocks)
{
    int64_t timeout_ns = blocks ? PATIENCE : 0;
    for (;;) {
        const void *data;
        void *room;
        size_t bytes;
        size_t room_bytes;
        dx_status status = dx_stream_peek(s, 1, &data, &bytes, timeout_ns);
        if (status != DX_OK)
            return stream_again(status, blocks, DX_STREAM_READABLE);
        if (bytes == 0)
            return STREAM_RIGHT;
        status = dx_stream_reserve(s, 1, &room, &room_bytes, timeout_ns);
        if (status != DX_OK)
            return stream_again(status, blocks, DX_STREAM_WRITABLE);
        bytes = bytes < room_bytes ? bytes : room_bytes;
        memcpy(room, data, bytes);
        dx_stream_commit(s, bytes);
        dx_stream_consume(s, bytes);
    }
}

static inline int32_t stream_source(struct dx_stream *s, struct stream_work *w, bool blocks)
{
    int64_t timeout_ns = blocks ? PATIENCE : 0;
    size_t bytes = 0;
    if (w->total_read < sizeof w->total) { /* which may come in parts */
        dx_status status = dx_stream_read(s, (unsigned char *)&w->total + w->total_read,
                                          sizeof w->total - w->total_read, &bytes, timeout_ns);
        w->total_read += bytes;
        if (status != DX_OK)
            return stream_again(status, blocks, DX_STREAM_READABLE);
        w->total_read = sizeof w->total;
    }
    while (dx_stream_bytes_written(s) < w->total) {
        void *room;
        dx_status status = dx_stream_reserve(s, 1, &room, &bytes, timeout_ns);
        if (status != DX_OK)
            return stream_again(status, blocks, DX_STREAM_WRITABLE);
        uint64_t left = w->total - dx_stream_bytes_written(s);
        bytes = left < bytes ? (size_t)left : bytes;
        stream_fill(room, dx_stream_bytes_written(s), bytes);
        dx_stream_commit(s, bytes);
    }
    return STREAM_RIGHT;
}

static inline int32_t stream_early(struct dx_stream *s, struct stream_work *w, bool blocks)
{
    unsigned char buffer[STREAM_EARLY_BYTES];
    size_t bytes;
    dx_status status = dx_stream_read(s, buffer, STREAM_EARLY_BYTES - w->early_read, &bytes,
                                      blocks ? PATIENCE : 0);
    w->early_read += bytes; /* also of a read that ran out of time */
    return status == DX_OK ? 77 : stream_again(status, blocks, DX_STREAM_READABLE);
}

static inline int32_t stream_deaf(struct dx_stream *s, struct stream_work *w, bool blocks)
{
    (void)sem_post(&w->desk->entered);
    if (!blocks && dx_stream_wait(s, DX_STREAM_READABLE, 0) == DX_ERR_TIMEOUT)
        return DX_STREAM_AGAIN(DX_STREAM_READABLE);
    dx_status status = dx_stream_wait(s, DX_STREAM_READABLE, PATIENCE);
    (void)sem_post(&w->desk->entered);
    return (int32_t)status;
}

static inline int32_t stream_run(struct dx_stream *s, struct stream_work *w, uint32_t type,
                                 bool blocks)
{
    switch (type) {
    case STREAM_SINK:
    case STREAM_SINK_IN_PLACE:
        return stream_sink(s, w, blocks, type == STREAM_SINK_IN_PLACE);
    case STREAM_ECHO:
        return stream_echo(s, blocks);
    case STREAM_SOURCE:
        return stream_source(s, w, blocks);
    case STREAM_EARLY:
        return stream_early(s, w, blocks);
    default:
        return stream_deaf(s, w, blocks);
    }
}

static inline int32_t stream_handler(void *user, struct dx_stream *s)
{
    uint32_t type = dx_stream_type(s);
    bool blocks = type < STREAM_EVENTS;
    struct stream_work *w = dx_stream_user(s);
    if (w == NULL) {
        w = calloc(1, sizeof *w);
        w->desk = user;
        dx_stream_set_user(s, w);
        atomic_fetch_add(&w->desk->runs, 1u);
    }
    int32_t status = stream_run(s, w, blocks ? type : type - STREAM_EVENTS + STREAM_SINK, blocks);
    bool goes_on = status < DX_STREAM_AGAIN(4) && status > DX_STREAM_AGAIN(0);
    if (!goes_on)
        free(w);
    return status;
}

static inline void streams_serve(struct pair *p, uint32_t threads)
{
    pair_serve(p, (struct dx_serve_options){.threads = threads, .stream = stream_handler});
}

static inline struct dx_config streams_config(uint32_t slots, size_t capacity)
{
    return (struct dx_config){
        .slots = slots, .request_capacity = capacity, .response_capacity = capacity};
}

/* Writes bytes of the pattern by copying. */
static inline dx_status stream_send(struct dx_stream *s, uint64_t total, int64_t timeout_ns)
{
    unsigned char buffer[5000];
    dx_status status = DX_OK;
    while (status == DX_OK && dx_stream_bytes_written(s) < total) {
        uint64_t left = total - dx_stream_bytes_written(s);
        size_t bytes = left < sizeof buffer ? (size_t)left : sizeof buffer;
        stream_fill(buffer, dx_stream_bytes_written(s), bytes);
        status = dx_stream_write(s, buffer, bytes, NULL, timeout_ns);
    }
    return status;
}

/* More than STREAM_EARLY and the ring before it can take. A handler that reads on takes all of it,
 * and is found by that. */
static inline uint64_t stream_too_much(size_t request_ring)
{
    return STREAM_EARLY_BYTES + request_ring + 1;
}

/* Ends it well, with this status of the handler. */
static inline void stream_end_is(struct dx_stream *s, int32_t expected)
{
    int32_t status = 0;
    assert_status(dx_stream_end(s, &status, PATIENCE), DX_OK);
    assert_int_equal(status, expected);
}

#endif
