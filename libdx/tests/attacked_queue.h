/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in flight of the attacked. */
#ifndef DX_TEST_ATTACKED_QUEUE_H
#define DX_TEST_ATTACKED_QUEUE_H

#include "attacked_scene.h"
#include "queue.h"

/* A call in flight; its number is its tag. */
struct attacked_flight {
    uint64_t number;
    int64_t start;
    bool out;
};

struct attacked_flights {
    struct scene *s;
    struct dx_queue *queue;
    struct attacked_flight at[QUEUED];
};

static inline bool flight_submit(struct attacked_flights *all, struct attacked_flight *f)
{
    unsigned char request[TRAFFIC_CAPACITY];
    uint64_t number = atomic_fetch_add(&all->s->numbers, 1u);
    unsigned char *place = number % 2 == 0 ? dx_queue_request(all->queue) : NULL;
    size_t bytes = traffic_request(number, place != NULL ? place : request);
    *f = (struct attacked_flight){.number = number, .start = dx_clock_ns()};
    dx_status status =
        place != NULL ? dx_queue_submit_in_place(all->queue, number, TRAFFIC_TYPE, bytes, CALL_NS)
                      : dx_queue_submit(all->queue, number, TRAFFIC_TYPE, request, bytes, CALL_NS);
    f->out = status == DX_OK;
    if (!f->out && status != DX_ERR_NO_SLOT && status != DX_ERR_STOPPED)
        impossible(all->s, (int)status);
    return f->out;
}

/* The answer is copied before it is judged. */
static inline bool flight_is_right(const struct attacked_flights *all,
                                   const struct dx_completion *done)
{
    unsigned char answer[TRAFFIC_CAPACITY];
    if (done->result != DX_OK)
        return false;
    if (!is_inside(all->s->channel, done->data, done->bytes)) {
        impossible(all->s, 4);
        return false;
    }
    memcpy(answer, done->data, done->bytes);
    return traffic_is_right(done->tag, answer, done->bytes, done->status);
}

/* Each completion is of one call that is in flight. */
static inline void flight_end(struct attacked_flights *all, const struct dx_completion *done)
{
    struct scene *s = all->s;
    struct attacked_flight *f = all->at;
    while (f < all->at + QUEUED && (!f->out || f->number != done->tag))
        f++;
    if (f == all->at + QUEUED) {
        impossible(s, 5);
        return;
    }
    f->out = false;
    if (dx_clock_ns() - f->start > CALL_NS + MARGIN)
        count(&s->late);
    if (!may_end_with(done->result))
        impossible(s, (int)done->result);
    bool right = flight_is_right(all, done);
    count(done->result != DX_OK ? &s->failed : right ? &s->queued : &s->wrong);
    const struct dx_flight *own = &all->queue->flights[done->reserved[0]];
    atomic_store(&s->page->awaited[own->slot], done->result == DX_OK ? 0 : own->awaited);
    if (dx_queue_seen(all->queue, done) != DX_OK)
        impossible(s, 6);
    progress(s);
}

/* Sends what there is a slot for. Some calls are watched, some are given up. */
static inline void queue_fill(struct attacked_flights *all)
{
    for (struct attacked_flight *f = all->at; f < all->at + QUEUED; f++) {
        enum dx_progress progress;
        if (f->out || !flight_submit(all, f))
            continue;
        dx_status status = DX_OK;
        if (f->number % 5 == 1)
            status =
                dx_queue_wait_progress(all->queue, f->number, DX_PROGRESS_TAKEN_UP, MS, &progress);
        if (f->number % 7 == 1)
            (void)dx_queue_cancel(all->queue, f->number);
        if (status != DX_OK && status != DX_ERR_TIMEOUT)
            impossible(all->s, (int)status);
    }
}

static inline void queue_round(struct attacked_flights *all)
{
    struct dx_completion done[QUEUED];
    uint32_t number;
    queue_fill(all);
    if (dx_queue_in_flight(all->queue) == 0) {
        dx_status status = dx_queue_wait_slot(all->queue, CALL_NS);
        if (!may_end_with(status) && status != DX_ERR_NO_SLOT)
            impossible(all->s, (int)status);
        /* The attacker may have written over the word that lets go of a slot. It mends what it is
         * told here. */
        for (uint32_t i = 0; i < all->queue->held.count; i++) {
            const struct dx_flight *f = &all->queue->flights[all->queue->held.at[i]];
            uint64_t let_go = f->abandoned
                                  ? dx_word(all->queue->epoch, DX_SERVER_ACKNOWLEDGED, f->sequence)
                                  : dx_word(all->queue->epoch, DX_SERVER_READY, 0);
            atomic_store(&all->s->page->awaited[f->slot], let_go);
        }
    }
    dx_status status = dx_queue_wait(all->queue, 1, CALL_NS, done, QUEUED, &number);
    if (status != DX_OK && status != DX_ERR_TIMEOUT)
        impossible(all->s, (int)status);
    for (uint32_t i = 0; i < number; i++)
        flight_end(all, &done[i]);
}

static inline void *queue_on(void *user)
{
    struct scene *s = user;
    while (dx_clock_ns() < atomic_load(&s->until_ns)) {
        struct attacked_flights all = {.s = s};
        dx_status status = dx_queue_open(s->channel, QUEUED, &all.queue);
        opened(s, status);
        if (status != DX_OK)
            return NULL;
        for (unsigned n = 0; n < REOPEN && dx_clock_ns() < atomic_load(&s->until_ns); n++)
            queue_round(&all);
        dx_queue_close(all.queue);
    }
    return NULL;
}

#endif
