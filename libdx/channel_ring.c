/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a ring takes: through the memory (futex, semaphore), or by the doorbell of the peer. */
#include "channel.h"
#include "clock.h"
#include "histogram.h"
#include "rendezvous_link.h"

/* Rings the doorbell of a sleeper that asked for it. */
static void ring_doorbell(struct dx_channel *c, uint32_t cell, uint32_t armed)
{
    if (DX_CELL_KIND(armed) != DX_PARK_DOORBELL || c->region.link == NULL)
        return;
    /* Relaxed: a peer's doorbell_id is there since before it could sleep (R4); a lie rings another.
     */
    uint32_t doorbell_id = dx_load_relaxed(&c->peers[dx_cell_side(&c->geometry, cell)].doorbell_id);
    dx_link_ring(c->region.link, doorbell_id);
}

/* Does the sleeper see our kernel's futexes and semaphores, or hear our doorbell? One under another
 * kernel that asks for less is not woken, and sleeps only for as long as it has not looked at us.
 */
static bool in_reach(const struct dx_channel *c, uint32_t cell, uint32_t armed)
{
    return DX_CELL_KIND(armed) == DX_PARK_DOORBELL || dx_cell_side(&c->geometry, cell) == c->side ||
           !dx_channel_is_remote(c);
}

bool dx_channel_ring_armed(struct dx_channel *c, uint32_t cell, uint32_t armed)
{
    if (!in_reach(c, cell, armed))
        return false;
    /* Relaxed: R10 publishes it. */
    if (dx_unlikely(dx_histogram_is_on(dx_histogram_control(c))))
        dx_store_relaxed(&c->cells[cell].rung_ns, (uint64_t)dx_clock_ns());
    if (!dx_cell_ring_armed(&c->cells[cell], armed))
        return false;
    ring_doorbell(c, cell, armed);
    return true;
}

void dx_channel_wake(struct dx_channel *c, uint32_t cell)
{
    /* S1 <-> S2, S3 <-> S4: as in dx_channel_ring. */
    uint32_t armed = dx_load_seqcst(&c->cells[cell].armed);
    if ((armed & DX_CELL_ARMED) == 0 || !in_reach(c, cell, armed) ||
        dx_channel_ring_armed(c, cell, armed))
        return;
    dx_cell_wake(&c->cells[cell], armed);
    ring_doorbell(c, cell, armed);
}

void dx_channel_dispatch(struct dx_channel *c)
{
    uint32_t slots = c->geometry.slots;
    uint32_t first = dx_first_slot(&c->geometry, c->side);
    for (uint32_t i = 0; i < dx_slot_count(&c->geometry, c->side); i++)
        dx_cell_dispatch(&c->cells[first + i]);
    for (uint32_t w = 0; w <= DX_SERVE_THREADS_MAX; w++)
        dx_cell_dispatch(&c->cells[dx_cell_of_worker(slots, c->side, w)]);
}

void dx_channel_ring_all(struct dx_channel *c, enum dx_side side)
{
    uint32_t first = dx_first_slot(&c->geometry, side);
    for (uint32_t slot = first; slot < first + dx_slot_count(&c->geometry, side); slot++)
        dx_channel_wake(c, slot);
    for (uint32_t w = 0; w <= DX_SERVE_THREADS_MAX; w++)
        dx_channel_wake(c, dx_cell_of_worker(c->geometry.slots, side, w));
}
