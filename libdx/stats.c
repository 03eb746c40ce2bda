/* SPDX-License-Identifier: Apache-2.0 */
#include "dx_stats.h"

#include <string.h>

#include "atomic.h"
#include "channel.h"
#include "error.h"

#define COUNTERS (sizeof(struct dx_counters) / sizeof(uint64_t))

_Static_assert(sizeof(struct dx_stats) == sizeof(struct dx_counters), "same fields, same order");
_Static_assert(offsetof(struct dx_stats, rescued) == offsetof(struct dx_counters, rescued),
               "same fields, same order");
_Static_assert(offsetof(struct dx_stats, spin_limit) == sizeof(struct dx_stats) - 8,
               "the gauge is last");

static void add(struct dx_stats *sum, const struct dx_counters *counters)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const _Atomic uint64_t *from = (const _Atomic uint64_t *)(const void *)counters;
    for (size_t i = 0; i + 1 < COUNTERS; i++)
        to[i] += dx_load_relaxed(&from[i]); /* Relaxed: counters are of no common instant. */
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
