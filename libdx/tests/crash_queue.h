/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in flight of a peer of crash tests: each has a number of its own, which is its tag, and is
 * judged when its completion comes. */
#ifndef DX_TEST_CRASH_QUEUE_H
#define DX_TEST_CRASH_QUEUE_H

#include <poll.h>

#include "crash_stage.h"
#include "queue.h"

struct peer_flight {
    uint64_t number;
    int64_t start;
    int64_t timeout_ns;
    bool out;
    bool cancelled;
};

struct peer_flights {
    struct peer *p;
    struct dx_queue *queue;
    uint32_t depth;
    bool may_wait; /* for the next peer: a call was not sent, or was sent to nobody */
    struct peer_flight at[PEER_SLOTS];
};

static inline struct peer_flight *peer_flight_of(struct peer_flights *all, uint64_t tag)
{
    for (uint32_t i = 0; i < all->depth; i++)
        if (all->at[i].out && all->at[i].number == tag)
            return &all->at[i];
    return NULL;
}

/* Submits one call in either way; false if the queue has no slot for it now. */
static inline bool peer_submit(struct peer_flights *all, struct peer_flight *f, int64_t timeout_ns)
{
    struct stage *stage = all->p->stage;
    uint64_t number = atomic_fetch_add(&stage->next, 1u);
    uint64_t words[PEER_WORDS];
    void *place = number % 2 == 0 ? dx_queue_request(all->queue) : NULL;
    if (number >= STAGE_CALLS)
        _exit(6);
    peer_fill(words, number);
    *f = (struct peer_flight){.number = number, .start = dx_clock_ns(), .timeout_ns = timeout_ns};
    if (place != NULL)
        memcpy(place, words, sizeof words);
    dx_status status =
        place != NULL
            ? dx_queue_submit_in_place(all->queue, number, TYPE_ECHO, sizeof words, timeout_ns)
            : dx_queue_submit(all->queue, number, TYPE_ECHO, words, sizeof words, timeout_ns);
    f->out = status == DX_OK;
    if (status != DX_OK && status != DX_ERR_NO_SLOT)
        peer_complain(stage, dx_last_error(), number, (int)status);
    return f->out;
}

/* What came of a call; the slot is given back. */
static inline dx_status peer_judge(struct peer_flights *all, const struct dx_completion *done)
{
    struct stage *stage = all->p->stage;
    struct peer_flight *f = peer_flight_of(all, done->tag);
    uint64_t words[PEER_WORDS] = {0};
    if (f == NULL) {
        peer_complain(stage, "a completion that nobody waits for", done->tag, (int)done->result);
        return DX_ERR_CORRUPT;
    }
    int64_t late_ns = dx_clock_ns() - f->start - f->timeout_ns;
    f->out = false;
    atomic_fetch_add(&stage->ended[(uint32_t)-done->result % 32], 1u);
    if (late_ns > SLACK)
        peer_complain(stage, "late by some ms", f->number, (int)(late_ns / MS));
    if (done->result == DX_OK && done->bytes == sizeof words)
        memcpy(words, done->data, sizeof words);
    if (done->result == DX_OK &&
        (!peer_is(words, ~f->number) || done->status != (int32_t)f->number ||
         atomic_load(&stage->runs[f->number]) != 1))
        peer_complain(stage, "the completion is not the one to it", f->number, done->status);
    bool cancelled = done->result == DX_ERR_CANCELLED && f->cancelled;
    if (done->result != DX_OK && !cancelled && !peer_may_end(done->result))
        peer_complain(stage, dx_status_string(done->result), f->number, (int)done->result);
    _Atomic uint32_t *due = &stage->due[all->queue->flights[done->reserved[0]].slot];
    if (done->result == DX_OK && atomic_load(due) != 0 && atomic_fetch_sub(due, 1u) == 1)
        child_report('m');
    if (dx_queue_seen(all->queue, done) != DX_OK)
        peer_complain(stage, dx_last_error(), f->number, 0);
    return done->result;
}

static inline bool peer_has_gone(dx_status status)
{
    return status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED;
}

/* As dx_queue_wait for one completion, in an event loop. */
static inline dx_status peer_poll_queue(struct peer_flights *all, int64_t timeout_ns,
                                        struct dx_completion *done, uint32_t *count)
{
    struct pollfd news = {.fd = dx_queue_fd(all->queue), .events = POLLIN};
    for (;;) {
        dx_status status = dx_queue_poll(all->queue, done, PEER_SLOTS, count);
        if (status != DX_OK || *count != 0 || dx_queue_in_flight(all->queue) == 0)
            return status;
        (void)dx_queue_flush(all->queue);
        if (poll(&news, 1, timeout_ns == DX_FOREVER ? -1 : (int)(timeout_ns / MS)) == 0)
            return DX_ERR_TIMEOUT;
    }
}

/* Waits for a completion, and judges those that are there; whether one of them tells that the peer
 * has gone. */
static inline bool peer_collect(struct peer_flights *all)
{
    struct dx_completion done[PEER_SLOTS];
    uint32_t count;
    bool gone = false;
    dx_status status;
    do {
        /* What was not sent waits for a peer, and so does what comes after it; the load may end
         * before one comes. */
        all->may_wait = all->may_wait || all->queue->waiting != 0;
        int64_t timeout_ns = all->may_wait ? MS : DX_FOREVER;
        status = peer_does(all->p->stage, PEER_LOOPS)
                     ? peer_poll_queue(all, timeout_ns, done, &count)
                     : dx_queue_wait(all->queue, 1, timeout_ns, done, PEER_SLOTS, &count);
    } while (status == DX_ERR_TIMEOUT && count == 0 && !atomic_load(&all->p->enough));
    if (status != DX_OK && status != DX_ERR_TIMEOUT)
        peer_complain(all->p->stage, dx_last_error(), 0, (int)status);
    for (uint32_t i = 0; i < count; i++) {
        dx_status came = peer_judge(all, &done[i]);
        gone = peer_has_gone(came) || gone;
        all->may_wait = all->may_wait && came != DX_OK;
    }
    return gone;
}

/* What is in flight would wait for the next peer, until its deadline: the end of a peer is told
 * once. */
static inline void peer_cancel_all(struct peer_flights *all)
{
    for (uint32_t i = 0; i < all->depth; i++) {
        struct peer_flight *f = &all->at[i];
        f->cancelled = f->cancelled || f->out;
        if (f->out && dx_queue_cancel(all->queue, f->number) != DX_OK)
            peer_complain(all->p->stage, dx_last_error(), f->number, 0);
    }
    while (dx_queue_in_flight(all->queue) != 0)
        (void)peer_collect(all);
    peer_await_next(all->p);
}

/* Fills the queue. Every seventh call is given up at once. Whether the peer has gone. */
static inline bool peer_fill_queue(struct peer_flights *all, int64_t timeout_ns)
{
    for (uint32_t i = 0; i < all->depth; i++) {
        struct peer_flight *f = &all->at[i];
        if (f->out)
            continue;
        if (!peer_submit(all, f, timeout_ns))
            break;
        f->cancelled = f->number % 7 == 3;
        if (f->cancelled && dx_queue_cancel(all->queue, f->number) != DX_OK)
            peer_complain(all->p->stage, dx_last_error(), f->number, 0);
    }
    /* None of it is out where the server still holds what was given up before. */
    return dx_queue_in_flight(all->queue) == 0 && peer_has_gone(dx_queue_wait_slot(all->queue, MS));
}

/* A thread of the load, as peer_load. The queue is closed with what is in flight. */
static inline void *peer_queue_load(void *user)
{
    struct peer *p = user;
    while (!atomic_load(&p->enough)) {
        struct peer_flights all = {.p = p, .depth = PEER_DEPTH};
        if (dx_queue_open(p->channel, PEER_DEPTH, &all.queue) != DX_OK) {
            peer_complain(p->stage, "a slot of a queue is lost", 0, 0);
            break;
        }
        for (unsigned i = 0; i < PEER_ROUND && !atomic_load(&p->enough); i++) {
            bool haste = i == PEER_ROUND - 2;
            bool gone =
                peer_fill_queue(&all, haste ? PEER_HASTE : atomic_load(&p->stage->timeout_ns));
            if (i == PEER_ROUND / 2)
                peer_linger(PEER_PAUSE);
            if (gone || (i + 1 < PEER_ROUND && peer_collect(&all)))
                peer_cancel_all(&all);
        }
        dx_queue_close(all.queue);
    }
    return NULL;
}

/* One call on each slot, all at once: each must be answered. */
static inline bool peer_use_queue(struct peer *p)
{
    struct peer_flights all = {.p = p, .depth = PEER_SLOTS};
    bool good = dx_queue_open(p->channel, PEER_SLOTS, &all.queue) == DX_OK;
    for (uint32_t i = 0; i < PEER_SLOTS && good; i++)
        good = peer_submit(&all, &all.at[i], PATIENCE);
    while (good && dx_queue_in_flight(all.queue) != 0) {
        struct dx_completion done;
        uint32_t count;
        good = dx_queue_wait(all.queue, 1, DX_FOREVER, &done, 1, &count) == DX_OK && count == 1 &&
               peer_judge(&all, &done) == DX_OK;
    }
    if (!good)
        peer_complain(p->stage, "a queue of all slots", 0, 0);
    dx_queue_close(all.queue);
    return good;
}

#endif
