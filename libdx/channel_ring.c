/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a ring takes: through the memory (futex, semaphore), or by the doorbell of the peer. */
#include "channel.h"
#include "link.h"

bool dx_channel_ring_armed(struct dx_channel *c, uint32_t cell, uint32_t armed)
{
    if (!dx_cell_ring_armed(&c->cells[cell], armed))
        return false;
    if (DX_CELL_KIND(armed) == DX_PARK_DOORBELL && c->region.link != NULL) {
        /* Relaxed: a peer's door is there since before it could sleep (R4); a lie rings another. */
        uint32_t door = dx_load_relaxed(&c->peers[dx_cell_side(&c->geometry, cell)].door);
        dx_link_ring(c->region.link, door);
    }
    return true;
}

bool dx_channel_dispatch(struct dx_channel *c)
{
    uint32_t slots = c->geometry.slots;
    uint32_t first = dx_first_slot(&c->geometry, c->side);
    bool any = false;
    for (uint32_t i = 0; i < dx_slot_count(&c->geometry, c->side); i++)
        any |= dx_cell_dispatch(&c->cells[first + i]);
    for (uint32_t w = 0; w <= DX_SERVE_THREADS_MAX; w++)
        any |= dx_cell_dispatch(&c->cells[dx_cell_of_worker(slots, c->side, w)]);
    return any;
}
