/* SPDX-License-Identifier: Apache-2.0 */
#include "caller.h"

#include <assert.h>
#include <string.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "probe.h"
#include "slot.h"

/* The one value of the server's word that we wait for. */
static bool look(void *user)
{
    const struct dx_caller *c = user;
    return dx_caller_observe(c->server) == c->awaited;
}

/* Rings the thread that serves our slot, if it sleeps. */
static inline void ring_server(struct dx_caller *c)
{
    /* S1 <-> S2: we also ask who serves after the publishing store, because a server that begins
     * now looks at every slot after it has said so. The number is input. */
    uint32_t cell = dx_load_seqcst(&c->server->cell);
    if (dx_likely(cell - 1 < c->cell_count) && dx_unlikely(dx_channel_ring(c->channel, cell - 1)))
        dx_count(&c->waiter.counters->rings, 1u);
}

/* Without a peer a call waits for one. The end of a peer is told once, because calls that were
 * under way have lost their answer; from then on there is no peer, as before the first came. */
static dx_status check_peer(struct dx_caller *c)
{
    dx_status status = dx_channel_check(c->channel);
    if (status != DX_ERR_PEER_DEAD && status != DX_ERR_PEER_CLOSED) {
        /* The next one may end before it has said its session. */
        if (status == DX_OK)
            c->told_session = 0;
        return status;
    }
    /* Relaxed: a number that stands for itself. A liar makes us wait, which it can anyway. */
    uint64_t session = dx_load_relaxed(&c->channel->peers[dx_other(c->channel->side)].session);
    if (session == c->told_session)
        return DX_OK;
    c->told_session = session;
    return status;
}

static dx_status check(void *user)
{
    return check_peer(user);
}

static void parked(void *user, bool on)
{
    struct dx_caller *c = user;
    /* R7 -> A7 (serve.c): the cell is armed before the server is sent there.
     * S4 <-> S3: the fence after it is in wait.c. */
    dx_store_seqcst(&c->line->parked, on ? c->slot + 1 : 0u);
}

static dx_status wait_on(struct dx_caller *c, uint32_t looks, int64_t timeout_ns)
{
    struct dx_source source = dx_channel_source(c->channel, c->slot, c);
    source.look = look;
    source.check = check;
    source.parked = parked;
    return dx_wait_on(&c->waiter, &source, looks, timeout_ns);
}

/* Counts it. Its text, or that there is none, is the business of whoever found it. */
static dx_status failed(struct dx_caller *c, dx_status status)
{
    if (dx_channel_forked(c->channel))
        return DX_ERR_FORKED;
    dx_count(&c->waiter.counters->errors, 1u);
    if (status == DX_ERR_TIMEOUT || status == DX_ERR_NO_PEER)
        dx_count(&c->waiter.counters->timeouts, 1u);
    c->reply = (struct dx_reply){0};
    return status;
}

/* On a channel that is stopped, or that is a child's copy, in which nothing can be counted. */
static dx_status stopped(struct dx_caller *c)
{
    dx_status status = dx_channel_stopped(c->channel);
    c->reply = (struct dx_reply){0};
    return status == DX_ERR_FORKED ? status : failed(c, status);
}

/* The server's word with which it has let go of everything that was sent on our slot. */
static uint64_t ready_word(const struct dx_caller *c)
{
    return c->book.abandoned ? dx_word(c->epoch, DX_SERVER_ACKNOWLEDGED, c->sequence)
                             : dx_word(c->epoch, DX_SERVER_READY, 0);
}

/* Waits until a request may be sent: the first time for the server's greeting, and after a call
 * that was given up for the server to let go of it. */
static dx_status get_ready(struct dx_caller *c, int64_t *timeout_ns)
{
    if (c->stream.open)
        return dx_fail(DX_ERR_BUSY, "a stream is open on this caller: end or cancel it first");
    c->awaited = ready_word(c);
    if (!look(c)) {
        ring_server(c);
        DX_FAULT(READINESS_AWAITED);
        int64_t deadline = dx_clock_deadline(dx_clock_ns(), *timeout_ns);
        dx_status status = wait_on(c, 0, *timeout_ns);
        if (status == DX_ERR_TIMEOUT && dx_channel_peer(c->channel) != DX_PEER_ALIVE)
            status = DX_ERR_NO_PEER;
        if (status != DX_OK)
            return dx_fail_plain(status);
        /* One deadline for this wait and the next. */
        int64_t left_ns = deadline - dx_clock_ns();
        if (*timeout_ns >= 0)
            *timeout_ns = left_ns > 1 ? left_ns : 1;
    }
    c->book.begun = true;
    c->book.abandoned = false;
    c->ready = true;
    return DX_OK;
}

/* Gives up the request that is under way: a server that has not begun it will not. */
static void abandon(struct dx_caller *c)
{
    c->ready = false;
    if (dx_channel_forked(c->channel))
        return;
    c->book.abandoned = true;
    dx_caller_publish(c->line, dx_word(c->epoch, DX_CALLER_ABANDONED, c->sequence));
    DX_FAULT(CALL_ABANDONED);
    ring_server(c);
    DX_FAULT(ABANDON_RUNG);
}

/* Reads the answer, each field once, and judges it: the server is not trusted. */
static inline dx_status take_answer(struct dx_caller *c, size_t request_bytes)
{
    DX_FAULT(ANSWER_SEEN);
    /* Relaxed: the acquire of the server's word ordered them. */
    size_t bytes = dx_load_relaxed(&c->server->response_bytes);
    int32_t status = dx_load_relaxed(&c->server->status);
    uint32_t result = dx_load_relaxed(&c->server->result);
    if (dx_unlikely(result != DX_RESULT_OK || bytes > c->channel->geometry.response_capacity))
        return failed(
            c, dx_fail_plain(result == DX_RESULT_OK ? DX_ERR_CORRUPT : dx_result_status(result)));
    c->reply.data = dx_response_at(c->channel, c->slot);
    c->reply.bytes = bytes;
    c->reply.status = status;
    struct dx_counters *counters = c->waiter.counters;
    dx_count(&counters->calls, 1u);
    dx_count(&counters->request_bytes, request_bytes);
    dx_count(&counters->response_bytes, bytes);
    return DX_OK;
}

/* May this request be sent now? */
static inline dx_status admit(struct dx_caller *c, uint32_t type, size_t bytes, int64_t *timeout_ns)
{
    const struct dx_channel *channel = c->channel;
    if (dx_unlikely(bytes > channel->geometry.request_capacity ||
                    type - DX_TYPE_USER > DX_TYPE_MAX - DX_TYPE_USER)) {
        dx_status status = dx_caller_check_request(channel, type, bytes);
        if (status != DX_OK)
            return failed(c, status);
    }
    /* Relaxed: a stop that comes later finds us in the wait. */
    if (dx_unlikely(dx_load_relaxed(&channel->stopping) != 0))
        return stopped(c);
    if (dx_unlikely(!c->ready)) {
        dx_status status = get_ready(c, timeout_ns);
        if (status != DX_OK)
            return failed(c, status);
    }
    DX_FAULT(CALL_ADMITTED);
    return DX_OK;
}

/* Publish, ring if need be, await the one word that answers. began: set to when the request was
 * published, if it is not NULL. */
static inline dx_status send_and_await(struct dx_caller *c, uint32_t type, size_t bytes,
                                       int64_t timeout_ns, uint64_t *began)
{
    DX_FAULT(REQUEST_STORED);
    uint32_t sequence = ++c->sequence;
    DX_PROBE2(call_begin, c, sequence);
    dx_waiter_take_turn(&c->waiter, sequence);
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&c->line->request_bytes, (uint32_t)bytes);
    dx_store_relaxed(&c->line->type, type);
    DX_FAULT(REQUEST_DESCRIBED);
    dx_caller_publish(c->line, dx_word(c->epoch, DX_CALLER_SENDING, sequence));
    DX_FAULT(REQUEST_PUBLISHED);
    if (began != NULL)
        *began = dx_ticks(c->round_trips.scale); /* while the word is on its way */
    ring_server(c);
    DX_FAULT(SERVER_RUNG);
    c->awaited = dx_word(c->epoch, DX_SERVER_ACKNOWLEDGED, sequence);
    uint32_t looks = dx_waiter_first_looks(&c->waiter);
    for (uint32_t n = 1; n <= looks; n++) {
        if (look(c)) {
            dx_waiter_spun(&c->waiter, n);
            return take_answer(c, bytes);
        }
        dx_waiter_relax(&c->waiter);
    }
    DX_FAULT(ANSWER_AWAITED);
    dx_status status = wait_on(c, looks, timeout_ns);
    if (dx_likely(status == DX_OK))
        return take_answer(c, bytes);
    abandon(c);
    return failed(c, dx_fail_plain(status));
}

/* While round trips are measured. */
static __attribute__((noinline)) dx_status measured_exchange(struct dx_caller *c, uint32_t type,
                                                             size_t bytes, int64_t timeout_ns,
                                                             uint64_t control)
{
    if (!dx_recorder_due(&c->round_trips, c->channel, control, c->slot))
        return send_and_await(c, type, bytes, timeout_ns, NULL);
    uint64_t began;
    dx_status status = send_and_await(c, type, bytes, timeout_ns, &began);
    if (status == DX_OK)
        dx_recorder_end(&c->round_trips, began);
    return status;
}

/* The exchange itself. */
static inline dx_status exchange(struct dx_caller *c, uint32_t type, size_t bytes,
                                 int64_t timeout_ns)
{
    uint64_t control = dx_histogram_control(c->channel);
    if (dx_unlikely(dx_histogram_is_on(control)) && !dx_recorder_skips(&c->round_trips, control))
        return measured_exchange(c, type, bytes, timeout_ns, control);
    return send_and_await(c, type, bytes, timeout_ns, NULL);
}

dx_status dx_call_in_place(struct dx_caller *c, uint32_t type, size_t bytes, struct dx_reply *reply,
                           int64_t timeout_ns)
{
    assert(c != NULL);
    dx_status status = admit(c, type, bytes, &timeout_ns);
    if (dx_likely(status == DX_OK)) {
        status = exchange(c, type, bytes, timeout_ns);
        DX_PROBE2(call_end, c, status);
    }
    if (reply != NULL)
        *reply = c->reply;
    return status;
}

dx_status dx_call(struct dx_caller *c, uint32_t type, const void *request, size_t request_bytes,
                  void *response, size_t *response_bytes, int32_t *status, int64_t timeout_ns)
{
    assert(c != NULL && (request != NULL || request_bytes == 0));
    dx_status outcome = admit(c, type, request_bytes, &timeout_ns);
    if (dx_unlikely(outcome != DX_OK))
        return outcome;
    if (request_bytes != 0)
        memcpy(dx_request_at(c->channel, c->slot), request, request_bytes);
    outcome = exchange(c, type, request_bytes, timeout_ns);
    DX_PROBE2(call_end, c, outcome);
    if (dx_unlikely(outcome != DX_OK))
        return outcome;
    if (status != NULL)
        *status = c->reply.status;
    if (response_bytes == NULL)
        return DX_OK;
    size_t room = *response_bytes;
    *response_bytes = c->reply.bytes;
    if (dx_unlikely(c->reply.bytes > room)) {
        dx_count(&c->waiter.counters->errors, 1u);
        return dx_fail(DX_ERR_BUFFER_TOO_SMALL, "the response has %zu bytes, the buffer %zu",
                       c->reply.bytes, room);
    }
    if (c->reply.bytes != 0)
        memcpy(response, c->reply.data, c->reply.bytes);
    return DX_OK;
}

void *dx_caller_request(struct dx_caller *c)
{
    if (c->stream.open || dx_unlikely(dx_channel_forked(c->channel)))
        return NULL;
    /* Where no server has ever been, nobody reads. */
    if (!c->ready) {
        uint64_t word = dx_caller_observe(c->server);
        if (word != ready_word(c) && (word != 0 || c->book.abandoned))
            return NULL;
    }
    return dx_request_at(c->channel, c->slot);
}

struct dx_reply dx_caller_reply(const struct dx_caller *c)
{
    return c->reply;
}

dx_status dx_caller_admit(struct dx_caller *c, uint32_t type, int64_t timeout_ns)
{
    return admit(c, type, 0, &timeout_ns);
}

void dx_caller_send(struct dx_caller *c)
{
    c->sequence++;
    dx_caller_publish(c->line, dx_word(c->epoch, DX_CALLER_SENDING, c->sequence));
    ring_server(c);
    c->awaited = dx_word(c->epoch, DX_SERVER_ACKNOWLEDGED, c->sequence);
}

void dx_caller_ring(struct dx_caller *c)
{
    ring_server(c);
}

/* As `parked`, with the caller at hand: a stream's wait looks at the stream. */
static dx_status stream_check(void *user)
{
    return check_peer(((const struct dx_stream *)user)->caller);
}

static void stream_parked(void *user, bool on)
{
    parked(((struct dx_stream *)user)->caller, on);
}

int dx_caller_fd(struct dx_caller *c)
{
    if (dx_channel_forked(c->channel)) {
        (void)dx_channel_stopped(c->channel);
        return -1;
    }
    if (c->notifier == NULL)
        (void)dx_notifier_open(c->channel, c->slot, &c->notifier);
    return c->notifier != NULL ? dx_notifier_fd(c->notifier) : -1;
}

dx_status dx_caller_arm(struct dx_caller *c)
{
    if (c->notifier == NULL)
        return DX_ERR_TIMEOUT;
    parked(c, true);
    dx_notifier_arm(c->notifier, INT64_MAX);
    dx_status status = dx_stream_look(&c->stream) ? DX_OK : check_peer(c);
    if (status == DX_OK && !dx_stream_look(&c->stream))
        return DX_ERR_TIMEOUT;
    dx_notifier_signal(c->notifier);
    return status;
}

void dx_caller_quiet(struct dx_caller *c)
{
    if (c->notifier == NULL)
        return;
    if (!dx_channel_forked(c->channel))
        parked(c, false);
    dx_notifier_close(c->notifier);
    c->notifier = NULL;
}

dx_status dx_caller_wait(struct dx_caller *c, bool (*stream_look)(void *user), uint32_t looks,
                         int64_t timeout_ns)
{
    if (dx_unlikely(c->notifier != NULL))
        dx_notifier_recall(c->notifier); /* two cannot sleep in one cell */
    struct dx_source source = dx_channel_source(c->channel, c->slot, &c->stream);
    source.look = stream_look;
    source.check = stream_check;
    source.parked = stream_parked;
    return dx_wait_on(&c->waiter, &source, looks, timeout_ns);
}

void dx_caller_abandon(struct dx_caller *c)
{
    abandon(c);
}

dx_status dx_caller_failed(struct dx_caller *c, dx_status status)
{
    return failed(c, status);
}
