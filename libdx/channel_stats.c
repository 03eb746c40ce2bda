/* SPDX-License-Identifier: Apache-2.0 */
#include "dx_stats.h"

#include <string.h>

#include "atomic.h"
#include "channel.h"
#include "error.h"

/* Relaxed: counters are of no common instant. */
#define ADD(name) sum->name += dx_load_relaxed(&counters->name)

_Static_assert(offsetof(struct dx_stats, reserved) == sizeof(struct dx_counters),
               "every counter is added");

static void add(struct dx_stats *sum, const struct dx_counters *counters)
{
    ADD(calls);
    ADD(request_bytes);
    ADD(response_bytes);
    ADD(looks);
    ADD(spin);
    ADD(yield);
    ADD(park);
    ADD(errors);
    ADD(timeouts);
    ADD(parks);
    ADD(park_ns);
    ADD(spurious);
    ADD(rings);
    ADD(rescued);
    ADD(yields);
    uint64_t limit = dx_load_relaxed(&counters->spin_limit); /* Relaxed: a gauge. */
    if (limit > sum->spin_limit)
        sum->spin_limit = limit;
}

dx_status dx_stats_read(const struct dx_channel *c, enum dx_stats_of of, struct dx_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    if (dx_channel_forked(c))
        return dx_channel_stopped(c);
    enum dx_side side =
        of == DX_STATS_HOST_CALLERS || of == DX_STATS_HOST_SERVERS ? DX_HOST : DX_GUEST;
    switch (of) {
    case DX_STATS_HOST_CALLERS:
    case DX_STATS_GUEST_CALLERS: {
        uint32_t first = dx_first_slot(&c->geometry, side);
        for (uint32_t i = 0; i < dx_slot_count(&c->geometry, side); i++)
            add(stats, &c->counters[first + i]);
        return DX_OK;
    }
    case DX_STATS_HOST_SERVERS:
    case DX_STATS_GUEST_SERVERS:
        for (uint32_t w = 0; w < DX_SERVE_THREADS_MAX; w++)
            add(stats, &dx_channel_worker(c, side, w)->counters);
        return DX_OK;
    }
    return dx_fail(DX_ERR_INVALID, "statistics of kind %d: 0 to 3 exist", (int)of);
}

dx_status dx_stats_read_slot(const struct dx_channel *c, uint32_t slot, struct dx_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    if (dx_channel_forked(c))
        return dx_channel_stopped(c);
    if (slot >= c->geometry.slots)
        return dx_fail(DX_ERR_INVALID, "slot %u: the region has %u", slot, c->geometry.slots);
    add(stats, &c->counters[slot]);
    return DX_OK;
}
