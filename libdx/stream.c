/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of a stream do alike: look, wait, write, read. */
#include "stream.h"

#include <assert.h>
#include <string.h>

#include "caller.h"
#include "clock.h"
#include "error.h"
#include "fault.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void dx_stream_reset(struct dx_stream *s, size_t chunk)
{
    struct dx_flow *flows[] = {&s->out, &s->in};
    for (int i = 0; i < 2; i++) {
        flows[i]->offset = 0;
        flows[i]->position = 0;
        flows[i]->peer = 0;
        flows[i]->ended = false;
    }
    s->failure = DX_OK;
    s->garbled = false;
    s->accepted = false;
    s->answered = false;
    s->status = 0;
    s->user = NULL;
    s->next = NULL;
    s->open = true;
    dx_stream_set_chunk(s, chunk);
}

void dx_stream_refresh_flows(struct dx_stream *s)
{
    /* A12 <- R12: the bytes that it announces. A13 <- R13: their place is free. Each is read once.
     */
    uint64_t sent = dx_load_acquire(s->in.theirs);
    uint64_t taken = dx_load_acquire(s->out.theirs);
    if (dx_unlikely(!dx_flow_sent(&s->in, sent) || !dx_flow_taken(&s->out, taken))) {
        s->failure = DX_ERR_CORRUPT;
        s->garbled = true;
        s->garbled_sent = sent;
        s->garbled_taken = taken;
    }
}

dx_status dx_stream_tell(const struct dx_stream *s, dx_status status)
{
    if (status != DX_ERR_CORRUPT || !s->garbled)
        return dx_fail_plain(status);
    return dx_fail(
        DX_ERR_CORRUPT,
        "slot %u: the other side says that of its stream 0x%llx is sent, of ours %llu of "
        "%llu bytes are taken",
        s->slot, (unsigned long long)s->garbled_sent, (unsigned long long)s->garbled_taken,
        (unsigned long long)s->out.position);
}

/* Has the other side read all that it ever will? */
static bool writable(const struct dx_stream *s, size_t wanted)
{
    return s->answered ||
           (s->out.ring != 0 && dx_flow_room(&s->out) >= least(wanted, dx_flow_to_end(&s->out)));
}

static bool readable(const struct dx_stream *s, size_t wanted)
{
    return s->answered || s->in.ended ||
           (s->in.ring != 0 && dx_flow_bytes(&s->in) >= least(wanted, dx_flow_to_end(&s->in)));
}

bool dx_stream_look(void *user)
{
    struct dx_stream *s = user;
    if (s->failure == DX_OK)
        s->side->refresh(s);
    return s->failure != DX_OK || (s->events == 0 && s->answered) ||
           (s->events & DX_STREAM_NOW) != 0 ||
           ((s->events & DX_STREAM_READABLE) != 0 && readable(s, s->wanted)) ||
           ((s->events & DX_STREAM_WRITABLE) != 0 && writable(s, s->wanted));
}

/* What is left of it; 1 at least, with which a wait looks once more. */
static int64_t left(struct dx_patience *p)
{
    if (p->timeout_ns <= 0)
        return p->timeout_ns;
    int64_t now = dx_clock_ns();
    if (p->deadline_ns == 0)
        p->deadline_ns = dx_clock_deadline(now, p->timeout_ns);
    return p->deadline_ns > now ? p->deadline_ns - now : 0;
}

static dx_status wait_on(struct dx_stream *s, int64_t timeout_ns)
{
    struct dx_waiter *waiter = s->side->waiter(s);
    uint32_t looks = dx_waiter_first_looks(waiter);
    for (uint32_t n = 1; n <= looks; n++) {
        dx_waiter_relax(waiter);
        if (dx_stream_look(s)) {
            dx_waiter_spun(waiter, n);
            return DX_OK;
        }
    }
    return s->side->wait(s, looks, timeout_ns);
}

dx_status dx_stream_await(struct dx_stream *s, uint32_t events, size_t wanted,
                          struct dx_patience *p)
{
    s->events = events;
    s->wanted = wanted != 0 ? wanted : 1;
    bool first = !p->begun;
    p->begun = true;
    bool there = dx_stream_look(s);
    if (there && first)
        return DX_OK;
    /* From the second wait on, too: bytes that trickle in must not outlast the deadline. */
    int64_t timeout_ns = left(p);
    if (there && (timeout_ns != 0 || p->timeout_ns == 0))
        return DX_OK;
    if (timeout_ns == 0)
        return DX_ERR_TIMEOUT;
    dx_status status = wait_on(s, timeout_ns);
    if (status != DX_OK && status != DX_ERR_TIMEOUT)
        s->failure = status;
    return status;
}

/* Rings whoever waits for our progress. */
static void ring(struct dx_stream *s)
{
    /* S1 <-> S2, S3 <-> S4: the progress before the look at the other side's sleeper. */
    dx_fence_store_load();
    s->side->ring(s);
}

dx_status dx_stream_reserve(struct dx_stream *s, size_t wanted, void **data, size_t *bytes,
                            int64_t timeout_ns)
{
    struct dx_patience patience = {.timeout_ns = timeout_ns};
    assert(s != NULL && s->open && !s->out.ended && data != NULL && bytes != NULL);
    *data = NULL;
    *bytes = 0;
    if (s->out.ring == 0)
        return dx_fail(DX_ERR_INVALID, "slot %u: no byte can be written to this stream", s->slot);
    dx_status status = dx_stream_await(s, DX_STREAM_WRITABLE, wanted, &patience);
    if (s->failure != DX_OK || s->answered)
        status = s->failure != DX_OK ? s->failure : DX_ERR_ENDED;
    if (status != DX_OK)
        return dx_stream_tell(s, status);
    *data = s->out.base + s->out.offset;
    *bytes = least(dx_flow_room(&s->out), dx_flow_to_end(&s->out));
    return DX_OK;
}

void dx_stream_commit(struct dx_stream *s, size_t bytes)
{
    assert(s->open && !s->out.ended && bytes <= dx_flow_room(&s->out) &&
           bytes <= dx_flow_to_end(&s->out));
    if (bytes == 0)
        return;
    dx_flow_advance(&s->out, bytes);
    /* R12 -> A12: the bytes before their number. */
    dx_store_release(s->out.ours, s->out.position);
    DX_FAULT(STREAM_COMMITTED);
    ring(s);
}

void dx_stream_close_write(struct dx_stream *s)
{
    assert(s != NULL && s->open);
    if (s->out.ended)
        return;
    s->out.ended = true;
    /* R12 -> A12: as dx_stream_commit; the end is part of the number. */
    dx_store_release(s->out.ours, s->out.position | DX_STREAM_END);
    DX_FAULT(STREAM_FINISHED);
    ring(s);
}

dx_status dx_stream_write(struct dx_stream *s, const void *data, size_t bytes, size_t *written,
                          int64_t timeout_ns)
{
    struct dx_patience patience = {.timeout_ns = timeout_ns};
    const unsigned char *from = data;
    size_t done = 0;
    dx_status status = DX_OK;
    assert(s != NULL && s->open && !s->out.ended && (data != NULL || bytes == 0));
    if (bytes != 0 && s->out.ring == 0) {
        if (written != NULL)
            *written = 0;
        return dx_fail(DX_ERR_INVALID, "slot %u: no byte can be written to this stream", s->slot);
    }
    while (status == DX_OK && done < bytes) {
        size_t chunk = least(s->chunk, bytes - done);
        status = dx_stream_await(s, DX_STREAM_WRITABLE, chunk, &patience);
        if (s->failure != DX_OK || s->answered) {
            status = s->failure != DX_OK ? s->failure : DX_ERR_ENDED;
            break;
        }
        /* What there is room for, even if it is less than a chunk and the time is up. */
        chunk = least(chunk, least(dx_flow_room(&s->out), dx_flow_to_end(&s->out)));
        if (chunk == 0)
            continue;
        memcpy(s->out.base + s->out.offset, from + done, chunk);
        DX_FAULT(STREAM_FILLED);
        dx_stream_commit(s, chunk);
        done += chunk;
    }
    if (written != NULL)
        *written = done;
    return status == DX_ERR_TIMEOUT && done == bytes ? DX_OK : dx_stream_tell(s, status);
}

/* What there is to read. */
static size_t span(const struct dx_stream *s)
{
    return s->in.ring == 0 ? 0 : least(dx_flow_bytes(&s->in), dx_flow_to_end(&s->in));
}

dx_status dx_stream_peek(struct dx_stream *s, size_t wanted, const void **data, size_t *bytes,
                         int64_t timeout_ns)
{
    struct dx_patience patience = {.timeout_ns = timeout_ns};
    assert(s != NULL && s->open && data != NULL && bytes != NULL);
    *data = NULL;
    *bytes = 0;
    dx_status status = dx_stream_await(s, DX_STREAM_READABLE, wanted, &patience);
    if (s->failure != DX_OK)
        status = s->failure;
    if (status != DX_OK)
        return dx_stream_tell(s, status);
    *data = s->in.base + s->in.offset;
    *bytes = span(s);
    return DX_OK;
}

void dx_stream_consume(struct dx_stream *s, size_t bytes)
{
    assert(s->open && bytes <= span(s));
    if (bytes == 0)
        return;
    dx_flow_advance(&s->in, bytes);
    /* R13 -> A13: what was read before its place is free. */
    dx_store_release(s->in.ours, s->in.position);
    DX_FAULT(STREAM_CONSUMED);
    ring(s);
}

dx_status dx_stream_read(struct dx_stream *s, void *buffer, size_t capacity, size_t *bytes,
                         int64_t timeout_ns)
{
    struct dx_patience patience = {.timeout_ns = timeout_ns};
    unsigned char *to = buffer;
    size_t done = 0;
    dx_status status = DX_OK;
    assert(s != NULL && s->open && bytes != NULL && (buffer != NULL || capacity == 0));
    while (status == DX_OK && done < capacity) {
        size_t chunk = least(s->chunk, capacity - done);
        status = dx_stream_await(s, DX_STREAM_READABLE, chunk, &patience);
        if (s->failure != DX_OK) {
            status = s->failure;
            break;
        }
        chunk = least(chunk, span(s));
        if (chunk == 0) {
            if (status == DX_OK)
                break; /* the end */
            continue;
        }
        memcpy(to + done, s->in.base + s->in.offset, chunk);
        dx_stream_consume(s, chunk);
        done += chunk;
    }
    *bytes = done;
    return status == DX_ERR_TIMEOUT && done == capacity ? DX_OK : dx_stream_tell(s, status);
}

dx_status dx_stream_wait(struct dx_stream *s, uint32_t events, int64_t timeout_ns)
{
    struct dx_patience patience = {.timeout_ns = timeout_ns};
    assert(s != NULL && s->open);
    dx_status status = dx_stream_await(s, events, 1, &patience);
    if (status == DX_ERR_TIMEOUT && timeout_ns == 0 && s->side->arm != NULL) {
        status = s->side->arm(s);
        if (status != DX_OK && status != DX_ERR_TIMEOUT && s->failure == DX_OK)
            s->failure = status;
    }
    return dx_stream_tell(s, s->failure != DX_OK ? s->failure : status);
}

void dx_stream_set_user(struct dx_stream *s, void *user)
{
    s->user = user;
}

void *dx_stream_user(const struct dx_stream *s)
{
    return s->user;
}

void dx_stream_set_chunk(struct dx_stream *s, size_t chunk)
{
    size_t larger = s->out.ring > s->in.ring ? s->out.ring : s->in.ring;
    if (chunk == 0)
        chunk = larger / 4 != 0 ? least(DX_STREAM_CHUNK, larger / 4) : 1;
    s->chunk = chunk;
}

uint32_t dx_stream_type(const struct dx_stream *s)
{
    return s->type;
}

uint32_t dx_stream_slot(const struct dx_stream *s)
{
    return s->slot;
}

uint64_t dx_stream_bytes_written(const struct dx_stream *s)
{
    return s->out.position;
}

uint64_t dx_stream_bytes_read(const struct dx_stream *s)
{
    return s->in.position;
}
