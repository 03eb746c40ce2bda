/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A side's life in a region: its peer line says which life it is and whether it is ready, and
 * everything that the side alone writes is made new before it says so. What the other side writes
 * is left alone, because that side may live.
 */
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "channel.h"
#include "fault.h"
#include "liveness_kernel.h"
#include "random.h"
#include "rendezvous_link.h"
#include "slot.h"
#include "wait_cell.h"

static uint32_t next_epoch(uint32_t epoch)
{
    epoch = (epoch + 1) & DX_EPOCH_MASK;
    return epoch != 0 ? epoch : 1;
}

static void reset_counters(struct dx_counters *counters)
{
    memset((void *)counters, 0, sizeof *counters);
}

/* The lines and cells of the slots on which this side calls. */
static void begin_slots(struct dx_channel *c)
{
    uint32_t first = dx_first_slot(&c->geometry, c->side);
    for (uint32_t slot = first; slot < first + dx_slot_count(&c->geometry, c->side); slot++) {
        struct dx_caller_line *line = &c->caller_lines[slot];
        /* Length and type stay: a server may just be taking up the last life's request. Relaxed:
         * the word after it publishes it. */
        dx_store_relaxed(&line->parked, 0u);
        dx_cell_init(&c->cells[slot]);
        reset_counters(&c->counters[slot]);
        dx_caller_publish(line, dx_word(c->epoch, DX_CALLER_READY, 0));
        DX_FAULT(LINES_HALF);
    }
}

static void begin(struct dx_channel *c)
{
    struct dx_peer_lines *self = &c->peers[c->side];
    dx_store_relaxed(&self->slots_used, 0u);
    begin_slots(c);
    for (uint32_t w = 0; w <= DX_SERVE_THREADS_MAX; w++)
        dx_cell_init(&c->cells[dx_cell_of_worker(c->geometry.slots, c->side, w)]);
    for (uint32_t w = 0; w < DX_SERVE_THREADS_MAX; w++)
        reset_counters(&dx_channel_worker(c, c->side, w)->counters);
    /* Relaxed: published by the state below. */
    dx_store_relaxed(&self->epoch, c->epoch);
    dx_store_relaxed(&self->session, c->session);
    dx_store_relaxed(&self->kernel, dx_kernel_id());
    dx_store_relaxed(&self->park, dx_channel_park_kind(c));
    self->pid = (uint32_t)getpid();
    dx_heartbeat_write(self);
    dx_store_relaxed(&self->doorbell_id,
                     c->region.link != NULL ? dx_link_doorbell_id(c->region.link) : 0u);
    DX_FAULT(LINES_DONE);
    /* R4 -> A4: the peer's cells, slots and session before it is open. */
    dx_store_release(&self->state, (uint32_t)DX_PEER_STATE_OPEN);
    DX_FAULT(STATE_OPEN);
}

dx_status dx_session_begin_host(struct dx_channel *c, bool rebuild)
{
    struct dx_peer_lines *self = &c->peers[DX_HOST];
    /* Relaxed: what an earlier host left; any value will do. */
    uint32_t epoch = dx_load_relaxed(&self->epoch);
    c->session = dx_random64();
    c->epoch = next_epoch(epoch != 0 ? epoch : (uint32_t)c->session);
    if (rebuild) {
        /* Relaxed: we hold both locks, nobody looks. The mark is for the case that we die here. */
        dx_store_relaxed(&c->header->magic, DX_MAGIC_REBUILDING);
        DX_FAULT(HOST_REBUILDS);
        memset((unsigned char *)c->region.base + sizeof(uint64_t), 0,
               c->geometry.region_bytes - sizeof(uint64_t));
        DX_FAULT(HOST_CLEARED);
        dx_header_write(c->header, &c->geometry);
    } else {
        /* R4 -> A4: from here on our lines change. */
        dx_store_release(&self->state, (uint32_t)DX_PEER_STATE_INITIALIZING);
        DX_FAULT(HOST_INITIALIZING);
    }
    begin(c);
    /* R1 -> A1 (layout.c): the whole region before its magic. */
    dx_store_release(&c->header->magic, DX_MAGIC);
    DX_FAULT(HOST_MAGIC);
    dx_status status =
        dx_region_lock(c->region.fd, dx_lock_at(c->region.place, DX_LOCK_OPEN), c->region.url.path);
    if (status != DX_OK) {
        dx_session_end(c);
        return status;
    }
    DX_FAULT(HOST_OPEN);
    if (!rebuild)
        dx_channel_ring_all(c, DX_GUEST);
    return DX_OK;
}

void dx_session_begin_guest(struct dx_channel *c)
{
    struct dx_peer_lines *self = &c->peers[DX_GUEST];
    /* Relaxed: what an earlier guest left. */
    c->epoch = next_epoch(dx_load_relaxed(&self->epoch));
    /* R4 -> A4: from here on our lines change. */
    dx_store_release(&self->state, (uint32_t)DX_PEER_STATE_INITIALIZING);
    DX_FAULT(GUEST_INITIALIZING);
    begin(c);
    dx_channel_ring_all(c, DX_HOST);
}

void dx_session_withdraw(struct dx_channel *c)
{
    struct dx_peer_lines *self = &c->peers[DX_GUEST];
    uint64_t ours = c->session;
    /* Relaxed: ours, or that of a guest who was given our place. */
    if (dx_load_relaxed(&self->session) != ours)
        return;
    /* R4 -> A4: what the guest before us left, as if we had not come. */
    dx_store_release(&self->state, c->former_state);
    (void)dx_cas_seqcst(&self->session, &ours, c->former_session);
}

void dx_session_end(struct dx_channel *c)
{
    /* Relaxed: ours, or that of a guest who was given our place and whose lines these are now. */
    if (c->side == DX_GUEST && dx_load_relaxed(&c->peers[c->side].session) != c->session)
        return;
    /* R4 -> A4: nothing of ours follows. */
    dx_store_release(&c->peers[c->side].state, (uint32_t)DX_PEER_STATE_CLOSED);
    DX_FAULT(STATE_CLOSED);
    dx_fence_store_load();
    dx_channel_ring_all(c, dx_other(c->side));
}
