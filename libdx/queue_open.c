/* SPDX-License-Identifier: Apache-2.0 */
/* How a queue gets its slots, and gives them back. */
#include <assert.h>
#include <stdlib.h>

#include "atomic.h"
#include "error.h"
#include "fault.h"
#include "queue.h"
#include "slot.h"

/* Twice as many places as there can be tags, and a power of two. */
static uint32_t table_size(uint32_t depth)
{
    uint32_t size = 2;
    while (size < 2 * depth)
        size *= 2;
    return size;
}

/* The lists and the table lie behind the flights. */
static struct dx_queue *make(struct dx_channel *channel, uint32_t depth)
{
    size_t flights = sizeof(struct dx_queue) + depth * sizeof(struct dx_flight);
    size_t words = 4 * (size_t)depth + table_size(depth);
    size_t bytes = (flights + words * sizeof(uint32_t) + DX_LINE - 1) / DX_LINE * DX_LINE;
    struct dx_queue *q = aligned_alloc(DX_LINE, bytes);
    if (q == NULL)
        return NULL;
    uint32_t *at = (uint32_t *)(void *)((char *)q + flights);
    *q = (struct dx_queue){.channel = channel,
                           .in_flight.at = at,
                           .idle.at = at + depth,
                           .held.at = at + 2 * (size_t)depth,
                           .unflushed.at = at + 3 * (size_t)depth,
                           .tags = at + 4 * (size_t)depth,
                           .tag_mask = table_size(depth) - 1,
                           .building = DX_NO_FLIGHT,
                           .epoch = channel->epoch};
    for (uint32_t i = 0; i <= q->tag_mask; i++)
        q->tags[i] = 0;
    return q;
}

/* Takes one slot more. */
static dx_status add_slot(struct dx_queue *q)
{
    struct dx_channel *channel = q->channel;
    uint32_t index;
    dx_status status = dx_slot_take(channel, 0, &index);
    if (status != DX_OK)
        return status;
    const struct dx_slot_book *book = &channel->slots[index];
    uint32_t slot = dx_first_slot(&channel->geometry, channel->side) + index;
    q->flights[q->depth] = (struct dx_flight){.line = &channel->caller_lines[slot],
                                              .server = &channel->server_lines[slot],
                                              .slot = slot,
                                              .sequence = book->sequence,
                                              .state = DX_FLIGHT_HELD,
                                              .begun = book->begun,
                                              .abandoned = book->abandoned};
    q->depth++;
    return DX_OK;
}

/* The first slot is used first, as servers look at those that are used. */
static void sort_in(struct dx_queue *q)
{
    for (uint32_t i = q->depth; i-- > 0;) {
        struct dx_flight *f = &q->flights[i];
        if (f->begun && !f->abandoned) {
            f->state = DX_FLIGHT_FREE;
            q->idle.at[q->idle.count++] = i;
        } else {
            q->held.at[q->held.count++] = i;
        }
    }
    dx_queue_settle(q);
}

dx_status dx_queue_open(struct dx_channel *channel, uint32_t depth, struct dx_queue **out)
{
    assert(channel != NULL && out != NULL && !channel->observer);
    *out = NULL;
    if (dx_channel_forked(channel))
        return dx_channel_stopped(channel);
    uint32_t slots = dx_channel_slots(channel);
    if (depth == 0)
        return dx_fail(DX_ERR_INVALID, "a queue of 0 calls: 1 to %u are possible", slots);
    if (depth > slots)
        return dx_fail(DX_ERR_NO_SLOT, "a queue of %u calls, and this side has %u slots", depth,
                       slots);
    struct dx_queue *q = make(channel, depth);
    if (q == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for a queue of %u calls", depth);
    dx_status status = DX_OK;
    while (q->depth < depth && status == DX_OK)
        status = add_slot(q);
    if (status != DX_OK) {
        dx_queue_close(q);
        return status;
    }
    dx_waiter_init(&q->waiter, &channel->wait, &channel->cost,
                   &channel->counters[q->flights[0].slot]);
    q->waiter.liveness_ns = channel->liveness_ns;
    sort_in(q);
    /* S1 <-> S2: the slots are in use now, and a server that sleeps has not greeted us there. */
    for (uint32_t i = 0; i < q->depth; i++)
        q->unflushed.at[i] = i;
    q->unflushed.count = q->depth;
    dx_queue_ring_servers(q);
    *out = q;
    return DX_OK;
}

/* Gives one slot back, with what the next one who takes it must know. */
static void return_slot(struct dx_queue *q, const struct dx_flight *f)
{
    struct dx_channel *channel = q->channel;
    if (!f->abandoned)
        dx_caller_publish(f->line, dx_word(q->epoch, DX_CALLER_COMPLETED, f->sequence));
    DX_FAULT(QUEUE_COMPLETED);
    const struct dx_slot_book book = {
        .abandoned = f->abandoned, .begun = f->begun, .sequence = f->sequence};
    dx_slot_give_back(channel, f->slot - dx_first_slot(&channel->geometry, channel->side), &book);
    DX_FAULT(QUEUE_GIVEN_BACK);
}

void dx_queue_close(struct dx_queue *q)
{
    if (q == NULL)
        return;
    if (!dx_channel_forked(q->channel)) {
        for (uint32_t i = 0; i < q->in_flight.count; i++)
            if (q->flights[q->in_flight.at[i]].state == DX_FLIGHT_SENT)
                dx_flight_abandon(q, &q->flights[q->in_flight.at[i]]);
        dx_queue_ring_servers(q);
        if (q->notifier != NULL)
            dx_queue_parked(q, false);
        for (uint32_t i = 0; i < q->depth; i++)
            return_slot(q, &q->flights[i]);
    }
    dx_notifier_close(q->notifier);
    free(q);
}
