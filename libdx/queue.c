/* SPDX-License-Identifier: Apache-2.0 */
/* How calls are submitted to a queue, and how their slots come back. */
#include "queue.h"

#include <assert.h>
#include <string.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "probe.h"
#include "queue_tags.h"
#include "slot.h"

dx_status dx_queue_enter(struct dx_queue *q)
{
    if (dx_unlikely(dx_channel_forked(q->channel)))
        return dx_channel_stopped(q->channel);
    /* Relaxed: it finds a mistake, and orders nothing. */
    if (dx_unlikely(dx_load_relaxed(&q->entered) != 0))
        return dx_fail(DX_ERR_BUSY, "another thread is in a function of this queue: one at a time");
    dx_store_relaxed(&q->entered, 1u);
    return DX_OK;
}

void dx_queue_leave(struct dx_queue *q)
{
    dx_store_relaxed(&q->entered, 0u); /* Relaxed: as above. */
}

bool dx_flight_let_go(const struct dx_queue *q, const struct dx_flight *f)
{
    return dx_caller_observe(f->server) ==
           (f->abandoned ? dx_word(q->epoch, DX_SERVER_ACKNOWLEDGED, f->sequence)
                         : dx_word(q->epoch, DX_SERVER_READY, 0));
}

/* May a request be written here? Of a slot on which nobody has ever served, nobody reads. */
static bool may_write(const struct dx_queue *q, struct dx_flight *f)
{
    if (dx_flight_let_go(q, f)) {
        f->begun = true;
        f->abandoned = false;
        return true;
    }
    return dx_caller_observe(f->server) == 0 && !f->abandoned;
}

void dx_queue_settle(struct dx_queue *q)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < q->held.count; i++) {
        uint32_t index = q->held.at[i];
        struct dx_flight *f = &q->flights[index];
        if (may_write(q, f)) {
            f->state = DX_FLIGHT_FREE;
            q->idle.at[q->idle.count++] = index;
        } else {
            q->held.at[kept++] = index;
        }
    }
    q->held.count = kept;
}

/* Publishes the request of a slot on which our epoch was greeted. */
static inline void send_request(struct dx_queue *q, struct dx_flight *f)
{
    f->sequence++;
    f->awaited = dx_word(q->epoch, DX_SERVER_ACKNOWLEDGED, f->sequence);
    f->state = DX_FLIGHT_SENT;
    uint64_t control = dx_histogram_control(q->channel);
    f->measured = dx_unlikely(dx_histogram_is_on(control)) &&
                  dx_recorder_due(&f->round_trips, q->channel, control, f->slot);
    if (dx_unlikely(f->measured))
        f->sent = dx_ticks(f->round_trips.scale);
    /* R2 -> A2 (slot.h): request bytes, type and payload before the word.
     * S1 <-> S2: the fence is that of dx_queue_ring_servers, one for many words. */
    dx_store_release(&f->line->word, dx_word(q->epoch, DX_CALLER_SENDING, f->sequence));
    DX_FAULT(QUEUE_PUBLISHED);
    q->unflushed.at[q->unflushed.count++] = (uint32_t)(f - q->flights);
}

void dx_queue_ring_servers(struct dx_queue *q)
{
    if (q->unflushed.count == 0)
        return;
    /* S1 <-> S2: the words before the looks at the servers' cells. */
    dx_fence_store_load();
    uint32_t last = 0;
    for (uint32_t i = 0; i < q->unflushed.count; i++) {
        /* The number is input. A cell that was rung is not rung again: its sleeper has to wake and
         * to sleep anew first. */
        uint32_t cell = dx_load_seqcst(&q->flights[q->unflushed.at[i]].server->cell);
        if (cell == last || cell - 1 >= q->channel->geometry.cells)
            continue;
        last = cell;
        if (dx_unlikely(dx_channel_ring(q->channel, cell - 1)))
            dx_count(&q->waiter.counters->rings, 1u);
    }
    q->unflushed.count = 0;
    DX_FAULT(QUEUE_RUNG);
}

/* In a state in which the server may not have seen our latest word. */
void dx_flight_abandon(struct dx_queue *q, struct dx_flight *f)
{
    f->abandoned = true;
    dx_store_release(&f->line->word, /* R2 -> A2 (slot.h): nothing but the word itself */
                     dx_word(q->epoch, DX_CALLER_ABANDONED, f->sequence));
    DX_FAULT(QUEUE_ABANDONED);
    /* A flight may be unflushed once. */
    for (uint32_t i = 0; i < q->unflushed.count; i++)
        if (q->unflushed.at[i] == f - q->flights)
            return;
    q->unflushed.at[q->unflushed.count++] = (uint32_t)(f - q->flights);
}

void dx_flight_fail(struct dx_queue *q, struct dx_flight *f, dx_status status)
{
    if (f->state == DX_FLIGHT_SENT)
        dx_flight_abandon(q, f);
    else
        q->waiting--;
    f->state = DX_FLIGHT_FAILED;
    f->failure = status;
}

dx_status dx_queue_no_slot(const struct dx_queue *q)
{
    uint32_t returned = q->depth - q->in_flight.count - q->held.count;
    return dx_fail(
        DX_ERR_NO_SLOT,
        "all %u slots of the queue are in use: %u calls in flight, %u completions not "
        "given back (dx_queue_seen), %u calls given up that the server has not let go of",
        q->depth, q->in_flight.count, returned, q->held.count);
}

/* Takes the next slot out of `idle`, unless the program has it already. */
static dx_status build(struct dx_queue *q)
{
    if (q->building != DX_NO_FLIGHT)
        return DX_OK;
    if (q->idle.count == 0 && q->held.count != 0)
        dx_queue_settle(q);
    if (q->idle.count == 0)
        return dx_queue_no_slot(q);
    q->building = q->idle.at[--q->idle.count];
    return DX_OK;
}

static dx_status check_submission(struct dx_queue *q, uint64_t tag, uint32_t type, size_t bytes,
                                  int64_t timeout_ns)
{
    dx_status status = dx_caller_check_request(q->channel, type, bytes);
    if (status != DX_OK)
        return status;
    if (timeout_ns == 0)
        return dx_fail(DX_ERR_INVALID, "a timeout of 0 ns: give more, or DX_FOREVER");
    /* Relaxed: a stop that comes later is seen by the wait. */
    if (dx_unlikely(dx_load_relaxed(&q->channel->stopping) != 0))
        return dx_channel_stopped(q->channel);
    if (dx_unlikely(dx_tag_find(q, tag) != DX_NO_FLIGHT))
        return dx_fail(DX_ERR_INVALID, "a call with the tag %llu is in flight",
                       (unsigned long long)tag);
    return build(q);
}

static dx_status submit(struct dx_queue *q, uint64_t tag, uint32_t type, const void *request,
                        size_t bytes, int64_t timeout_ns)
{
    dx_status status = check_submission(q, tag, type, bytes, timeout_ns);
    if (dx_unlikely(status != DX_OK))
        return status;
    uint32_t index = q->building;
    struct dx_flight *f = &q->flights[index];
    q->building = DX_NO_FLIGHT;
    if (request != NULL)
        memcpy(dx_request_at(q->channel, f->slot), request, bytes);
    /* Relaxed, both: the word publishes them. */
    dx_store_relaxed(&f->line->request_bytes, (uint32_t)bytes);
    dx_store_relaxed(&f->line->type, type);
    DX_FAULT(QUEUE_DESCRIBED);
    f->tag = tag;
    f->timeout_ns = timeout_ns;
    f->deadline_ns = 0;
    f->request_bytes = (uint32_t)bytes;
    dx_tag_put(q, index);
    q->in_flight.at[q->in_flight.count++] = index;
    DX_PROBE2(queue_submit, q, index);
    if (timeout_ns > 0)
        q->nearest_ns = 0;
    if (dx_likely(f->begun) || (may_write(q, f) && f->begun)) {
        send_request(q, f);
    } else {
        q->waiting++;
        f->state = DX_FLIGHT_WAITING;
        f->awaited = dx_word(q->epoch, DX_SERVER_READY, 0);
    }
    return DX_OK;
}

dx_status dx_queue_submit_in_place(struct dx_queue *q, uint64_t tag, uint32_t type, size_t bytes,
                                   int64_t timeout_ns)
{
    return dx_queue_submit(q, tag, type, NULL, bytes, timeout_ns);
}

dx_status dx_queue_submit(struct dx_queue *q, uint64_t tag, uint32_t type, const void *request,
                          size_t bytes, int64_t timeout_ns)
{
    assert(q != NULL);
    dx_status status = dx_queue_enter(q);
    if (dx_unlikely(status != DX_OK))
        return status;
    status = submit(q, tag, type, request, bytes, timeout_ns);
    dx_queue_leave(q);
    return status;
}

void *dx_queue_request(struct dx_queue *q)
{
    assert(q != NULL);
    if (dx_queue_enter(q) != DX_OK)
        return NULL;
    void *at = build(q) == DX_OK ? dx_request_at(q->channel, q->flights[q->building].slot) : NULL;
    dx_queue_leave(q);
    return at;
}

/* A slot of which the server has seen the greeting's word: its request goes out. It may go to one
 * that has ended since then, of which this call was not told. */
static void greeted(struct dx_queue *q, struct dx_flight *f)
{
    q->waiting--;
    q->told_session = 0;
    f->begun = true;
    send_request(q, f);
}

void dx_queue_send_all(struct dx_queue *q)
{
    for (uint32_t i = 0; i < q->in_flight.count && q->waiting != 0; i++) {
        struct dx_flight *f = &q->flights[q->in_flight.at[i]];
        if (f->state == DX_FLIGHT_WAITING && dx_caller_observe(f->server) == f->awaited)
            greeted(q, f);
    }
    dx_queue_ring_servers(q);
    /* What was submitted has a deadline for which nobody waits yet: the program is to poll. */
    if (q->notifier != NULL && q->nearest_ns == 0)
        dx_notifier_signal(q->notifier);
}

dx_status dx_queue_flush(struct dx_queue *q)
{
    assert(q != NULL);
    dx_status status = dx_queue_enter(q);
    if (status != DX_OK)
        return status;
    dx_queue_send_all(q);
    dx_queue_leave(q);
    return DX_OK;
}

/* The answer, each field of it read once: the server is not trusted. */
static void take_answer(struct dx_queue *q, const struct dx_flight *f, struct dx_completion *done)
{
    DX_FAULT(QUEUE_ANSWER_SEEN);
    struct dx_counters *counters = &q->channel->counters[f->slot];
    /* Relaxed: the acquire of the server's word ordered them. */
    size_t bytes = dx_load_relaxed(&f->server->response_bytes);
    int32_t status = dx_load_relaxed(&f->server->status);
    uint32_t result = dx_load_relaxed(&f->server->result);
    if (dx_unlikely(result != DX_RESULT_OK || bytes > q->channel->geometry.response_capacity)) {
        done->result = result == DX_RESULT_OK ? DX_ERR_CORRUPT : dx_result_status(result);
        dx_count(&counters->errors, 1u);
        return;
    }
    done->data = dx_response_at(q->channel, f->slot);
    /* So that the lines of many responses are under way at once. */
    __builtin_prefetch(done->data);
    done->bytes = bytes;
    done->status = status;
    dx_count(&counters->calls, 1u);
    dx_count(&counters->request_bytes, f->request_bytes);
    dx_count(&counters->response_bytes, bytes);
}

static void count_failure(const struct dx_queue *q, const struct dx_flight *f)
{
    struct dx_counters *counters = &q->channel->counters[f->slot];
    dx_count(&counters->errors, 1u);
    if (f->failure == DX_ERR_TIMEOUT || f->failure == DX_ERR_NO_PEER)
        dx_count(&counters->timeouts, 1u);
}

static inline void complete(struct dx_queue *q, uint32_t index, struct dx_completion *done)
{
    struct dx_flight *f = &q->flights[index];
    *done = (struct dx_completion){.tag = f->tag, .result = DX_OK};
    if (dx_likely(f->state == DX_FLIGHT_SENT)) {
        take_answer(q, f, done);
        if (dx_unlikely(f->measured) && done->result == DX_OK)
            dx_recorder_end(&f->round_trips, f->sent);
    } else {
        done->result = f->failure;
        count_failure(q, f);
    }
    f->serial++;
    done->reserved[0] = index;
    done->reserved[1] = f->serial;
    f->state = DX_FLIGHT_RETURNED;
    dx_tag_remove(q, f->tag);
}

/* It keeps the order of submission, so that both sides go through the slots one after the other. */
uint32_t dx_queue_collect(struct dx_queue *q, struct dx_completion *done, uint32_t room)
{
    struct dx_flights *all = &q->in_flight;
    uint32_t count = 0, kept = 0, at = 0;
    for (; at < all->count && count < room; at++) {
        uint32_t index = all->at[at];
        struct dx_flight *f = &q->flights[index];
        if (f->state == DX_FLIGHT_FAILED || dx_caller_observe(f->server) == f->awaited) {
            if (dx_likely(f->state != DX_FLIGHT_WAITING)) {
                complete(q, index, &done[count++]);
                DX_PROBE2(queue_complete, q, index);
                continue;
            }
            greeted(q, f);
        }
        all->at[kept++] = index;
    }
    if (count != 0) {
        memmove(&all->at[kept], &all->at[at], (all->count - at) * sizeof *all->at);
        all->count -= count;
    }
    return count;
}

/* Nobody has it any more: it goes where the next submission finds it. */
static void give_back(struct dx_queue *q, uint32_t index)
{
    struct dx_flight *f = &q->flights[index];
    bool held = f->abandoned;
    f->state = held ? DX_FLIGHT_HELD : DX_FLIGHT_FREE;
    struct dx_flights *list = held ? &q->held : &q->idle;
    list->at[list->count++] = index;
}

dx_status dx_queue_seen(struct dx_queue *q, const struct dx_completion *done)
{
    assert(q != NULL && done != NULL);
    dx_status status = dx_queue_enter(q);
    if (dx_unlikely(status != DX_OK))
        return status;
    uint64_t index = done->reserved[0];
    if (dx_likely(index < q->depth && q->flights[index].state == DX_FLIGHT_RETURNED &&
                  q->flights[index].serial == done->reserved[1]))
        give_back(q, (uint32_t)index);
    else
        status =
            dx_fail(DX_ERR_INVALID, "a completion that is not of this queue, or was given back "
                                    "before");
    dx_queue_leave(q);
    return status;
}

static void cancel(struct dx_queue *q, struct dx_flight *f)
{
    if (f->state == DX_FLIGHT_FAILED ||
        (f->state == DX_FLIGHT_SENT && dx_caller_observe(f->server) == f->awaited))
        return; /* it has ended */
    dx_flight_fail(q, f, DX_ERR_CANCELLED);
}

dx_status dx_queue_cancel(struct dx_queue *q, uint64_t tag)
{
    assert(q != NULL);
    dx_status status = dx_queue_enter(q);
    if (status != DX_OK)
        return status;
    uint32_t index = dx_tag_find(q, tag);
    if (index == DX_NO_FLIGHT)
        status = dx_fail(DX_ERR_INVALID, "no call with the tag %llu is in flight",
                         (unsigned long long)tag);
    else
        cancel(q, &q->flights[index]);
    dx_queue_ring_servers(q);
    dx_queue_leave(q);
    return status;
}

uint32_t dx_queue_in_flight(const struct dx_queue *q)
{
    return q->in_flight.count;
}
