/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Histograms of latency, which are switched on and off from outside while programs run.
 *
 * They lie in the region, like the counters of dx_stats.h. Whoever does the work writes them, one
 * writer each, and any observer may read them. They are off at first, and a call then costs one
 * load more. dx_histogram_switch() switches them on for every call, or for one call in so many.
 * Three kinds of time are measured:
 *
 *   round trips  of a call, from when its request is published until its answer is found; of a
 *                queue from the submission until the completion is collected; not of streams
 *   handlers     from when a handler is entered until its answer is published; a handler that is
 *                answered later, until it returns. It is counted just after that
 *   wake-ups     from just before a sleeping thread is rung until it runs; only between two sides
 *                under one kernel, since two kernels have different clocks, and not of threads that
 *                wait for descriptors in event loops
 *
 * A bucket is at most 1/32 as wide as the times in it are long, so that dx_histogram_value() is
 * wrong by at most 1.6 %. Times below 64 ns have buckets of 1 ns, and times of 2^40 ns (18 minutes)
 * and more share the last one.
 *
 * Where the CPU has a time-stamp counter of constant rate, times are read from it (some 10 ns
 * each), elsewhere, and while a process has known that counter for less than 10 ms, from
 * CLOCK_MONOTONIC (some 25 ns each). What that costs is in docs/measurements/histograms.md.
 */
#ifndef DX_HISTOGRAM_H
#define DX_HISTOGRAM_H

#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/** How many buckets a histogram has. */
#define DX_HISTOGRAM_BUCKETS 1152u

/** One histogram, or the sum of several. */
struct dx_histogram {
    uint64_t count;                        /**< times that were measured */
    uint64_t sum_ns;                       /**< all of them together, ns */
    uint64_t max_ns;                       /**< the longest, ns; exact */
    uint64_t reserved[5];                  /**< zero */
    uint64_t counts[DX_HISTOGRAM_BUCKETS]; /**< how many times fell into each bucket */
};

/** What is measured, and on which side. */
enum dx_histogram_of {
    DX_HISTOGRAM_HOST_CALLS = 0,     /**< round trips; one histogram for each slot of the host */
    DX_HISTOGRAM_GUEST_HANDLERS = 1, /**< one for each serving thread of the guest */
    DX_HISTOGRAM_GUEST_CALLS = 2,    /**< round trips; one for each slot of the guest */
    DX_HISTOGRAM_HOST_HANDLERS = 3,  /**< one for each serving thread of the host */
    DX_HISTOGRAM_HOST_WAKES = 4,     /**< one for each slot, then one for each serving thread, then
                                        one for the cell that a process' other sleepers share */
    DX_HISTOGRAM_GUEST_WAKES = 5,    /**< the same of the guest */
};

/**
 * Switches the histograms of a region on or off, from any process of the region's user.
 *
 * Switched on, they begin anew: what was measured before is forgotten. Switched off, they keep what
 * they have. The first time reserves their memory in the region, 620 KiB and 19 KiB for each slot,
 * which is kept until the region ends.
 *
 * @param url    the region's URL
 * @param place  which of the host's places, from 0; 0 if it serves one guest
 * @param every  1: every call is measured; N: one call in N of each caller, and one of N requests
 * of each serving thread; wake-ups are then all measured. 0: none
 *
 * @retval DX_ERR_URL        as of dx_observe(), and so are DX_ERR_NO_PEER, DX_ERR_PERMISSION,
 *                           DX_ERR_STALE, DX_ERR_NOT_DX, DX_ERR_VERSION, DX_ERR_GEOMETRY and
 *                           DX_ERR_SYSTEM
 * @retval DX_ERR_NO_SLOT  the host has no such place
 * @retval DX_ERR_SHORT    the region has no room for histograms: an older libdx made it, its memory
 *                         ends before, or it lies on huge pages
 *
 * @threads Any thread. Blocks as dx_observe() does.
 */
DX_API dx_status dx_histogram_switch(const char *url, uint32_t place, uint32_t every);

/**
 * Tells how often is measured.
 *
 * @param channel  a host's, a guest's or an observer's channel
 *
 * @return 0 for never, 1 for every call, N for one call in N
 *
 * @threads Any thread. Never blocks.
 */
DX_API uint32_t dx_histogram_every(const struct dx_channel *channel);

/**
 * Reads the sum of all histograms of a kind.
 *
 * Where they were never switched on it is empty. Histograms that are read while calls run need not
 * be of the same instant.
 *
 * @param channel         a host's, a guest's or an observer's channel
 * @param of              which ones
 * @param[out] histogram  set to their sum
 *
 * @retval DX_ERR_INVALID  there is no such kind
 * @retval DX_ERR_FORKED   another process opened the channel
 * @retval DX_ERR_SHORT    as of dx_histogram_switch()
 * @retval DX_ERR_SYSTEM   they cannot be mapped; dx_last_error() says why
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_histogram_read(struct dx_channel *channel, enum dx_histogram_of of,
                                   struct dx_histogram *histogram);

/**
 * Reads one histogram of a kind.
 *
 * @param channel         a host's, a guest's or an observer's channel
 * @param of              which kind
 * @param index           which one, from 0: see enum dx_histogram_of
 * @param[out] histogram  set to it
 *
 * @return As dx_histogram_read(); DX_ERR_INVALID also if there is no such one
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_histogram_read_one(struct dx_channel *channel, enum dx_histogram_of of,
                                       uint32_t index, struct dx_histogram *histogram);

/**
 * Tells the time that a percentage of what was measured does not exceed.
 *
 * @param histogram   the histogram
 * @param percentile  0 to 100, such as 99.9
 *
 * @return The middle of the bucket, in ns; max_ns of the longest; 0 of an empty histogram
 *
 * @threads Any thread. Never blocks.
 */
DX_API uint64_t dx_histogram_value(const struct dx_histogram *histogram, double percentile);

/**
 * Tells where a bucket begins.
 *
 * @param bucket  its number, from 0
 *
 * @return Its shortest time, in ns; its longest is one less than the next one's shortest. 2^40 from
 *         DX_HISTOGRAM_BUCKETS on
 *
 * @threads Any thread. Never blocks.
 */
DX_API uint64_t dx_histogram_from(uint32_t bucket);

DX_END_DECLS

#endif
