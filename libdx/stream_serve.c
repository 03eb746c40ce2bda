/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's half of a stream. Its slot's word says PROCESSING meanwhile: with that the caller
 * knows that our progress words are of this stream, and a server that takes over knows that it had
 * begun. While it goes on, only the stream looks at what the caller's word says.
 */
#include <assert.h>

#include "clock.h"
#include "dx_stream_loop.h"
#include "fault.h"
#include "probe.h"
#include "serve.h"
#include "slot.h"
#include "stream.h"

static void refresh(struct dx_stream *s)
{
    struct dx_server *server = s->server;
    uint64_t word = dx_server_observe(&server->channel->caller_lines[s->slot]);
    if (dx_unlikely(word != s->word)) {
        bool alive = dx_word_epoch(word) == dx_word_epoch(s->word);
        s->failure = alive ? DX_ERR_CANCELLED : DX_ERR_PEER_DEAD;
        return;
    }
    dx_stream_refresh_flows(s);
    /* Relaxed: a stop that comes later finds us in the wait. */
    if (s->failure == DX_OK &&
        dx_unlikely(dx_load_relaxed(&server->channel->stopping) != 0 || dx_server_ended(server)))
        s->failure = dx_channel_stopped(server->channel);
}

static void ring(struct dx_stream *s)
{
    struct dx_server *server = s->server;
    struct dx_channel *c = server->channel;
    /* A7 <- R7: the cell was armed before we were sent there. Its number is input. */
    uint32_t parked = dx_load_acquire(&c->caller_lines[s->slot].parked);
    if (dx_unlikely(parked - 1 < c->geometry.cells) && dx_channel_ring(c, parked - 1))
        dx_count(&server->waiter.counters->rings, 1u);
}

static dx_status check(void *user)
{
    return dx_channel_check(((const struct dx_stream *)user)->server->channel);
}

static struct dx_waiter *waiter_of(struct dx_stream *s)
{
    return &s->server->waiter;
}

static dx_status await(struct dx_stream *s, uint32_t looks, int64_t timeout_ns)
{
    struct dx_server *server = s->server;
    /* Nobody is told that we sleep: callers ring the serving thread's cell. */
    struct dx_source source = dx_channel_source(server->channel, server->cell, s);
    source.look = dx_stream_look;
    source.check = check;
    source.cancels = true;
    return dx_wait_on(&server->waiter, &source, looks, timeout_ns);
}

static const struct dx_stream_side side = {
    .refresh = refresh, .ring = ring, .waiter = waiter_of, .wait = await};

static enum dx_result result_of(dx_status failure)
{
    switch (failure) {
    case DX_OK:
        return DX_RESULT_OK;
    case DX_ERR_CORRUPT:
        return DX_RESULT_CORRUPT;
    case DX_ERR_CANCELLED:
        return DX_RESULT_CANCELLED;
    default:
        return DX_RESULT_LOST;
    }
}

/* Answers with what the handler returned. */
static void conclude(struct dx_server *server, struct dx_stream *s, int32_t status)
{
    struct dx_counters *counters = server->waiter.counters;
    /* What was cut short is not to look complete. */
    if (!s->out.ended && s->failure == DX_OK) {
        s->out.ended = true;
        /* R12 -> A12: as dx_stream_close_write; the answer rings. */
        dx_store_release(s->out.ours, s->out.position | DX_STREAM_END);
    }
    DX_FAULT(STREAM_CONCLUDED);
    DX_PROBE2(stream_end, s, s->failure);
    s->open = false;
    dx_server_answer(server, s->slot, s->word, result_of(s->failure), status);
    /* What the caller's word has said since then is taken up like any other. */
    server->seen[s->slot - server->base] = s->word;
    dx_count(s->failure == DX_OK ? &counters->calls : &counters->errors, 1u);
    dx_count(&counters->request_bytes, s->in.position);
    dx_count(&counters->response_bytes, s->out.position);
}

/* Enters the handler; true if the stream goes on. */
static bool enter(struct dx_server *server, struct dx_stream *s)
{
    /* It may block, and nobody whom we have answered is to wait for that. */
    if (server->answered_count != 0)
        dx_server_ring_answered(server);
    int32_t status = server->stream(server->user, s);
    int64_t events = (int64_t)status - INT32_MIN;
    if (events >= 0 && events <= (DX_STREAM_READABLE | DX_STREAM_WRITABLE | DX_STREAM_NOW)) {
        s->events = (uint32_t)events;
        s->wanted = 1;
        if (s->failure == DX_OK)
            return true;
        status = 0;
    }
    conclude(server, s, status);
    return false;
}

void dx_stream_set_events(struct dx_stream *s, uint32_t events)
{
    assert(s != NULL && s->open && s->server != NULL);
    s->events = events;
    s->wanted = 1;
}

static void set_flows(struct dx_server *server, struct dx_stream *s, size_t request_ring,
                      size_t response_ring)
{
    struct dx_channel *c = server->channel;
    struct dx_caller_line *theirs = &c->caller_lines[s->slot];
    struct dx_server_line *ours = &c->server_lines[s->slot];
    s->in.base = dx_request_at(c, s->slot);
    s->in.ring = request_ring;
    s->in.ours = &ours->taken;
    s->in.theirs = &theirs->sent;
    s->out.base = dx_response_at(c, s->slot);
    s->out.ring = response_ring;
    s->out.ours = &ours->sent;
    s->out.theirs = &theirs->taken;
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&ours->taken, 0u);
    dx_store_relaxed(&ours->sent, 0u);
}

static bool begin(struct dx_server *server, uint32_t slot, uint64_t word, uint32_t type,
                  size_t request_ring)
{
    uint32_t of_user = type ^ DX_TYPE_STREAM;
    if (of_user - DX_TYPE_USER > DX_TYPE_MAX - DX_TYPE_USER)
        return false;
    struct dx_channel *c = server->channel;
    /* Relaxed: the acquire of the caller's word ordered it. */
    size_t response_ring = dx_load_relaxed(&c->caller_lines[slot].response_ring);
    if (response_ring > c->geometry.response_capacity) {
        dx_count(&server->waiter.counters->errors, 1u);
        dx_server_answer(server, slot, word, DX_RESULT_CORRUPT, 0);
        return true;
    }
    struct dx_stream *s = &server->streams[slot - server->base];
    s->side = &side;
    s->server = server;
    s->slot = slot;
    s->type = of_user;
    s->word = word;
    set_flows(server, s, request_ring, response_ring);
    dx_stream_reset(s, 0);
    dx_server_journal(server, slot, word);
    /* The caller that sees it knows whose our progress words are. Nobody waits for it alone. */
    dx_server_publish(&c->server_lines[slot],
                      dx_word(dx_word_epoch(word), DX_SERVER_PROCESSING, dx_word_sequence(word)));
    DX_FAULT(STREAM_BEGUN);
    DX_PROBE2(stream_begin, s, of_user);
    if (enter(server, s)) {
        s->next = server->active;
        server->active = s;
    }
    return true;
}

static bool goes_on(const struct dx_server *server, uint32_t slot)
{
    return server->streams[slot - server->base].open;
}

static bool serve_round(struct dx_server *server)
{
    bool any = false;
    for (struct dx_stream **at = &server->active; *at != NULL;) {
        struct dx_stream *s = *at;
        bool news = dx_stream_look(s);
        any |= news;
        if (!news || enter(server, s))
            at = &s->next;
        else
            *at = s->next;
        if (server->answered_count == DX_BATCH)
            dx_server_ring_answered(server);
    }
    return any;
}

static bool look(const struct dx_server *server)
{
    for (struct dx_stream *s = server->active; s != NULL; s = s->next) {
        if (dx_stream_look(s))
            return true;
    }
    return false;
}

static void end_all(struct dx_server *server, dx_status why)
{
    while (server->active != NULL) {
        struct dx_stream *s = server->active;
        server->active = s->next;
        if (s->failure == DX_OK)
            s->failure = why;
        (void)enter(server, s); /* which ends it, as it has failed */
    }
    dx_server_ring_answered(server);
}

const struct dx_streaming dx_streaming = {
    .begin = begin, .goes_on = goes_on, .round = serve_round, .look = look, .end = end_all};
