/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's half of a stream: it is a call that takes a while. */
#include <assert.h>

#include "caller.h"
#include "dx_stream_loop.h"
#include "error.h"
#include "fault.h"
#include "probe.h"
#include "slot.h"

static dx_status check_options(const struct dx_caller *c, uint32_t type,
                               const struct dx_stream_options *o)
{
    const struct dx_geometry *g = &c->channel->geometry;
    if (type < DX_TYPE_USER || type > DX_TYPE_MAX)
        return dx_fail(DX_ERR_TYPE, "message type %u: users send %u to %u", type, DX_TYPE_USER,
                       DX_TYPE_MAX);
    if (o->request_ring > g->request_capacity || o->response_ring > g->response_capacity)
        return dx_fail(DX_ERR_INVALID,
                       "rings of %zu and %zu bytes: the slot has %zu for requests and %zu for "
                       "responses",
                       o->request_ring, o->response_ring, g->request_capacity,
                       g->response_capacity);
    return dx_reserved_check("struct dx_stream_options", o->reserved, sizeof o->reserved);
}

/* Where its flows lie, and what is said of them. */
static void set_flows(struct dx_caller *c, const struct dx_stream_options *o)
{
    const struct dx_geometry *g = &c->channel->geometry;
    struct dx_stream *s = &c->stream;
    s->out.base = dx_request_at(c->channel, c->slot);
    s->out.ring = o->request_ring != 0 ? o->request_ring : g->request_capacity;
    s->out.ours = &c->line->sent;
    s->out.theirs = &c->server->taken;
    s->in.base = dx_response_at(c->channel, c->slot);
    s->in.ring = o->response_ring != 0 ? o->response_ring : g->response_capacity;
    s->in.ours = &c->line->taken;
    s->in.theirs = &c->server->sent;
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&c->line->sent, 0u);
    dx_store_relaxed(&c->line->taken, 0u);
    dx_store_relaxed(&c->line->request_bytes, (uint32_t)s->out.ring);
    dx_store_relaxed(&c->line->response_ring, (uint32_t)s->in.ring);
}

/* The handler has returned: each field once, and judged. */
static void take_answer(struct dx_stream *s)
{
    const struct dx_server_line *line = s->caller->server;
    /* Relaxed: the acquire of the server's word ordered them. */
    uint32_t result = dx_load_relaxed(&line->result);
    s->status = dx_load_relaxed(&line->status);
    s->answered = true;
    DX_FAULT(STREAM_ANSWERED);
    if (result != DX_RESULT_OK)
        s->failure = dx_result_status(result);
}

static void refresh(struct dx_stream *s)
{
    struct dx_caller *c = s->caller;
    if (!s->answered) {
        uint64_t word = dx_caller_observe(c->server);
        bool answered = word == c->awaited;
        /* Before one of these its progress words may be of an earlier stream. */
        s->accepted = s->accepted || answered || word == s->word;
        if (answered)
            take_answer(s);
    }
    if (s->failure == DX_OK && s->accepted)
        dx_stream_refresh_flows(s);
    /* Relaxed: a stop that comes later finds us in the wait. */
    if (s->failure == DX_OK && dx_unlikely(dx_load_relaxed(&c->channel->stopping) != 0))
        s->failure = dx_channel_stopped(c->channel);
}

static void ring(struct dx_stream *s)
{
    dx_caller_ring(s->caller);
}

static struct dx_waiter *waiter_of(struct dx_stream *s)
{
    return &s->caller->waiter;
}

static dx_status await(struct dx_stream *s, uint32_t looks, int64_t timeout_ns)
{
    return dx_caller_wait(s->caller, dx_stream_look, looks, timeout_ns);
}

static dx_status arm(struct dx_stream *s)
{
    return dx_caller_arm(s->caller);
}

static const struct dx_stream_side side = {
    .refresh = refresh, .ring = ring, .waiter = waiter_of, .wait = await, .arm = arm};

dx_status dx_stream_open(struct dx_caller *c, uint32_t type,
                         const struct dx_stream_options *options, int64_t timeout_ns,
                         struct dx_stream **out)
{
    static const struct dx_stream_options defaults;
    const struct dx_stream_options *o = options != NULL ? options : &defaults;
    assert(c != NULL && out != NULL);
    *out = NULL;
    dx_status status = check_options(c, type, o);
    if (status != DX_OK)
        return dx_caller_failed(c, status);
    status = dx_caller_admit(c, type, timeout_ns);
    if (status != DX_OK)
        return status;
    struct dx_stream *s = &c->stream;
    s->side = &side;
    s->caller = c;
    s->type = type;
    s->slot = c->slot;
    set_flows(c, o);
    dx_stream_reset(s, o->chunk);
    /* Relaxed: the word publishes it. */
    dx_store_relaxed(&c->line->type, type | DX_TYPE_STREAM);
    c->ready = false; /* nothing else is sent until it has ended */
    c->reply = (struct dx_reply){0};
    dx_caller_send(c);
    DX_FAULT(STREAM_OPENED);
    s->word = dx_word(c->epoch, DX_SERVER_PROCESSING, c->sequence);
    DX_PROBE2(stream_begin, s, type);
    *out = s;
    return DX_OK;
}

int dx_stream_fd(struct dx_stream *s)
{
    assert(s != NULL && s->open && s->caller != NULL);
    return dx_caller_fd(s->caller);
}

/* Drops what came of the response, up to the ring's end; how much that was. */
static size_t drop(struct dx_stream *s)
{
    size_t bytes = dx_flow_bytes(&s->in);
    size_t to_end = dx_flow_to_end(&s->in);
    bytes = bytes < to_end ? bytes : to_end;
    dx_stream_consume(s, bytes);
    return bytes;
}

/* The slot is ours again, or in the state of a call that was given up. */
static void close_stream(struct dx_stream *s)
{
    struct dx_caller *c = s->caller;
    struct dx_counters *counters = c->waiter.counters;
    DX_PROBE2(stream_end, s, s->failure);
    s->open = false;
    dx_caller_quiet(c);
    if (dx_channel_forked(c->channel))
        return;
    if (s->answered)
        c->ready = true;
    else
        dx_caller_abandon(c);
    if (s->answered && s->failure == DX_OK)
        dx_count(&counters->calls, 1u);
    dx_count(&counters->request_bytes, s->out.position);
    dx_count(&counters->response_bytes, s->in.position);
}

dx_status dx_stream_end(struct dx_stream *s, int32_t *status, int64_t timeout_ns)
{
    struct dx_patience patience = {.timeout_ns = timeout_ns};
    assert(s != NULL && s->open && s->caller != NULL);
    dx_stream_close_write(s);
    dx_status outcome = DX_OK;
    uint64_t dropped = 0;
    while (outcome == DX_OK && s->failure == DX_OK && !s->answered) {
        uint32_t events = s->in.ended ? 0u : DX_STREAM_READABLE;
        outcome = dx_stream_await(s, events, 1, &patience);
        if (s->failure == DX_OK && !s->answered)
            dropped += drop(s);
        /* Without time, what was there and no more: a server may write on and on. */
        if (timeout_ns == 0 && dropped > s->in.ring)
            outcome = DX_ERR_TIMEOUT;
    }
    if (s->failure != DX_OK)
        outcome = s->failure;
    else if (s->answered)
        outcome = DX_OK;
    if (status != NULL)
        *status = outcome == DX_OK ? s->status : 0;
    close_stream(s);
    return outcome == DX_OK ? DX_OK : dx_caller_failed(s->caller, dx_stream_tell(s, outcome));
}

void dx_stream_cancel(struct dx_stream *s)
{
    assert(s != NULL && s->open && s->caller != NULL);
    s->answered = s->answered || dx_caller_observe(s->caller->server) == s->caller->awaited;
    if (s->failure == DX_OK)
        s->failure = DX_ERR_CANCELLED;
    close_stream(s);
    (void)dx_caller_failed(s->caller, s->failure);
}
