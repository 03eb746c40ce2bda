/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, kept in the region by whoever does the work (one writer each), so that a third process
 * can read them through dx_observe without disturbing anybody. Each counter is exact; counters
 * read while calls run need not be of one instant.
 */
#ifndef DX_STATS_H
#define DX_STATS_H

#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

struct dx_stats {
    uint64_t calls;          /* callers: answered calls; serving threads: calls served */
    uint64_t request_bytes;  /* payload only */
    uint64_t response_bytes; /* payload only */
    uint64_t looks;          /* looks at the awaited word or round over the slots */
    uint64_t spin;           /* waits that ended while spinning */
    uint64_t yield;          /* waits that ended after a yield and before a park */
    uint64_t park;           /* waits that ended after a park was begun */
    uint64_t errors;         /* calls that failed (any status but DX_OK), timeouts included */
    uint64_t timeouts;       /* calls that failed with DX_ERR_TIMEOUT or DX_ERR_NO_PEER */
    uint64_t parks;          /* sleeps begun; one wait may need several */
    uint64_t park_ns;        /* time asleep, ns */
    uint64_t spurious;       /* sleeps ended by a ring that brought nothing */
    uint64_t rings;          /* system calls made to wake the other side */
    uint64_t rescued;        /* answers found when a sleep timed out; 0 but for races */
    uint64_t yields;         /* yields, forced ones (burst) included */
    uint64_t spin_limit;     /* gauge: the spin limit of now, looks (sums: the largest) */
};

/* Which counters: those of all callers, or of all serving threads, of one side. */
enum dx_stats_of {
    DX_STATS_HOST_CALLERS = 0,
    DX_STATS_GUEST_SERVERS = 1,
    DX_STATS_GUEST_CALLERS = 2,
    DX_STATS_HOST_SERVERS = 3,
};

/* Sums the counters of a kind into *stats. Any thread, any process that has the region mapped. */
DX_API dx_status dx_stats_read(const struct dx_channel *channel, enum dx_stats_of of,
                               struct dx_stats *stats);

/* Counters of the caller that holds `slot` (host slots first, then guest slots). */
DX_API dx_status dx_stats_read_slot(const struct dx_channel *channel, uint32_t slot,
                                    struct dx_stats *stats);

DX_END_DECLS

#endif
