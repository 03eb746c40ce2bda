/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Counters of calls, bytes, waits and errors.
 *
 * They lie in the region. Whoever does the work writes them, one writer each. So a third
 * process can read them through dx_observe without disturbing anybody. Each counter is exact.
 * Counters that are read while calls run need not be of the same instant.
 */
#ifndef DX_STATS_H
#define DX_STATS_H

#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/** Counters of one caller or serving thread, or the sum of several. */
struct dx_stats {
    uint64_t calls;          /**< callers: answered calls; serving threads: calls served */
    uint64_t request_bytes;  /**< payload only */
    uint64_t response_bytes; /**< payload only */
    uint64_t looks;          /**< looks at the awaited word, or rounds over the slots */
    uint64_t spin;           /**< waits that ended while spinning */
    uint64_t yield;          /**< waits that ended after a yield and before a park */
    uint64_t park;           /**< waits that ended after a park was begun */
    uint64_t errors;         /**< calls that failed, with any status but DX_OK; includes timeouts */
    uint64_t timeouts;       /**< calls that failed with DX_ERR_TIMEOUT or DX_ERR_NO_PEER */
    uint64_t parks;          /**< sleeps begun; one wait may need several */
    uint64_t park_ns;        /**< time asleep, ns */
    uint64_t spurious;       /**< sleeps that a ring ended, and nothing had come */
    uint64_t rings;          /**< system calls made to wake the other side */
    uint64_t rescued;        /**< answers found when a sleep timed out; 0 except after a race */
    uint64_t yields;         /**< yields; includes forced ones (burst) */
    uint64_t spin_limit;     /**< gauge: the spin limit now, in looks; of several, the largest */
    uint64_t reserved[8];    /**< zero; room for counters of later versions */
};

/** Whose counters: those of all callers or of all serving threads of one side. */
enum dx_stats_of {
    DX_STATS_HOST_CALLERS = 0,  /**< the host's callers */
    DX_STATS_GUEST_SERVERS = 1, /**< the guest's serving threads */
    DX_STATS_GUEST_CALLERS = 2, /**< the guest's callers */
    DX_STATS_HOST_SERVERS = 3,  /**< the host's serving threads */
};

/**
 * Reads the sum of the counters of all callers or of all serving threads of one side.
 *
 * @param channel     a host's, a guest's or an observer's channel
 * @param of          whose counters
 * @param[out] stats  set to their sum
 *
 * @retval DX_ERR_INVALID  there is no such kind
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_stats_read(const struct dx_channel *channel, enum dx_stats_of of,
                               struct dx_stats *stats);

/**
 * Reads the counters of the caller that holds a slot.
 *
 * @param channel     a host's, a guest's or an observer's channel
 * @param slot        the number of the slot: host slots come first, then guest slots
 * @param[out] stats  set to the caller's counters
 *
 * @retval DX_ERR_INVALID  there is no such slot
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_stats_read_slot(const struct dx_channel *channel, uint32_t slot,
                                    struct dx_stats *stats);

DX_END_DECLS

#endif
