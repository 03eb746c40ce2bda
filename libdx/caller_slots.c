/* SPDX-License-Identifier: Apache-2.0 */
/* Which slot belongs to which caller of this process. The books outlive the callers, because a
 * slot's sequence goes on and a call that was given up may still be running there. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "atomic.h"
#include "caller.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "slot.h"

#define NO_SLOT UINT32_MAX
#define OPEN_LOOK_NS 1000000

static void join_queue(struct dx_channel *channel, struct dx_slot_wait *self)
{
    (void)pthread_mutex_lock(&channel->lock);
    struct dx_slot_wait **last = &channel->slot_waits;
    while (*last != NULL)
        last = &(*last)->next;
    *last = self;
    (void)pthread_mutex_unlock(&channel->lock);
}

static void leave_queue(void *user)
{
    struct dx_slot_wait *self = user;
    (void)pthread_mutex_lock(&self->channel->lock);
    struct dx_slot_wait **at = &self->channel->slot_waits;
    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    (void)pthread_mutex_unlock(&self->channel->lock);
}

/* The lowest free slot, so that servers look at few; one without an old request before one with. */
static uint32_t find_free(const struct dx_channel *channel)
{
    uint32_t second_best = NO_SLOT;
    for (uint32_t i = 0; i < dx_slot_count(&channel->geometry, channel->side); i++) {
        if (channel->slots[i].taken)
            continue;
        if (!channel->slots[i].abandoned)
            return i;
        if (second_best == NO_SLOT)
            second_best = i;
    }
    return second_best;
}

/* Takes a slot if one is free and nobody has waited longer than we have. */
static uint32_t take_slot(struct dx_channel *channel, const struct dx_slot_wait *self)
{
    (void)pthread_mutex_lock(&channel->lock);
    bool first = channel->slot_waits == NULL || channel->slot_waits == self;
    uint32_t index = first ? find_free(channel) : NO_SLOT;
    if (index != NO_SLOT) {
        channel->slots[index].taken = true;
        channel->callers_open++;
        struct dx_peer_lines *ours = &channel->peers[channel->side];
        /* Relaxed: our own word, under our lock. */
        if (dx_load_relaxed(&ours->slots_used) < index + 1) {
            /* R5 -> A5 (serve.c): the slot's first word before servers look there. */
            dx_store_release(&ours->slots_used, index + 1);
        }
    }
    DX_FAULT(SLOT_TAKEN);
    (void)pthread_mutex_unlock(&channel->lock);
    /* S1 <-> S2: the slots used before the look at the server's cell. */
    dx_fence_store_load();
    return index;
}

void dx_slot_give_back(struct dx_channel *channel, uint32_t index, const struct dx_slot_book *book)
{
    (void)pthread_mutex_lock(&channel->lock);
    channel->slots[index] = *book;
    channel->slots[index].taken = false;
    channel->slots[index].caller = NULL;
    channel->callers_open--;
    (void)pthread_mutex_unlock(&channel->lock);
}

static dx_status await_turn(struct dx_slot_wait *self, int64_t deadline, uint32_t *index)
{
    struct dx_channel *channel = self->channel;
    do {
        struct timespec look = dx_clock_timespec(OPEN_LOOK_NS);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &look, NULL);
        /* Relaxed: looked at again every time. */
        if (dx_load_relaxed(&channel->stopping) != 0)
            return dx_channel_stopped(channel);
        *index = take_slot(channel, self);
    } while (*index == NO_SLOT && dx_clock_ns() < deadline);
    return DX_OK;
}

/* Waits in the queue, which a thread that is cancelled meanwhile leaves as well. */
static dx_status queue_for_slot(struct dx_channel *channel, int64_t deadline, uint32_t *index)
{
    volatile dx_status status;
    struct dx_slot_wait self = {.channel = channel};
    join_queue(channel, &self);
    pthread_cleanup_push(leave_queue, &self);
    status = await_turn(&self, deadline, index);
    pthread_cleanup_pop(1);
    return status;
}

dx_status dx_slot_take(struct dx_channel *channel, int64_t timeout_ns, uint32_t *index)
{
    uint32_t count = dx_slot_count(&channel->geometry, channel->side);
    if (count == 0)
        return dx_fail(DX_ERR_NO_SLOT, "this side has no slots to call on: the host sets %s",
                       channel->side == DX_HOST ? "slots" : "guest_slots");
    /* Relaxed: looked at again in each wait. */
    if (dx_load_relaxed(&channel->stopping) != 0)
        return dx_channel_stopped(channel);
    int64_t deadline = dx_clock_deadline(dx_clock_ns(), timeout_ns);
    *index = take_slot(channel, NULL);
    dx_status status = DX_OK;
    if (*index == NO_SLOT && timeout_ns != 0)
        status = queue_for_slot(channel, deadline, index);
    if (status == DX_OK && *index == NO_SLOT)
        return dx_fail(DX_ERR_NO_SLOT,
                       "all %u slots are taken: close a caller or create the "
                       "region with more slots",
                       count);
    return status;
}

dx_status dx_caller_open(struct dx_channel *channel, int64_t timeout_ns, struct dx_caller **out)
{
    assert(channel != NULL && out != NULL && !channel->observer);
    *out = NULL;
    uint32_t index = NO_SLOT;
    dx_status status = dx_slot_take(channel, timeout_ns, &index);
    if (status != DX_OK)
        return status;
    struct dx_caller *c = aligned_alloc(DX_LINE, (sizeof *c + DX_LINE - 1) / DX_LINE * DX_LINE);
    if (c == NULL) {
        const struct dx_slot_book book = channel->slots[index];
        dx_slot_give_back(channel, index, &book);
        return dx_fail(DX_ERR_SYSTEM, "no memory for a caller");
    }
    uint32_t slot = dx_first_slot(&channel->geometry, channel->side) + index;
    *c = (struct dx_caller){
        .line = &channel->caller_lines[slot],
        .server = &channel->server_lines[slot],
        .cells = channel->cells,
        .cell_count = channel->geometry.cells,
        .sequence = channel->slots[index].sequence,
        .ready = channel->slots[index].begun && !channel->slots[index].abandoned,
        .book = channel->slots[index],
        .epoch = channel->epoch,
        .slot = slot,
        .channel = channel,
    };
    dx_waiter_init(&c->waiter, &channel->wait, &channel->cost, &channel->counters[slot]);
    c->waiter.liveness_ns = channel->liveness_ns;
    dx_waiter_watch(&c->waiter, &c->server->word, &c->awaited, true);
    channel->slots[index].caller = c;
    *out = c;
    return DX_OK;
}

void dx_caller_close(struct dx_caller *c)
{
    if (c == NULL)
        return;
    struct dx_channel *channel = c->channel;
    dx_turn_leave(&c->waiter.turn);
    if (dx_channel_forked(channel)) {
        dx_caller_quiet(c);
        free(c);
        return;
    }
    if (c->stream.open)
        dx_stream_cancel(&c->stream);
    if (!c->book.abandoned)
        dx_caller_publish(c->line, dx_word(c->epoch, DX_CALLER_COMPLETED, c->sequence));
    DX_FAULT(SLOT_COMPLETED);
    c->book.sequence = c->sequence;
    dx_slot_give_back(channel, c->slot - dx_first_slot(&channel->geometry, channel->side),
                      &c->book);
    DX_FAULT(SLOT_GIVEN_BACK);
    free(c);
}
