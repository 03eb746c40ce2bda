/* SPDX-License-Identifier: Apache-2.0 */
/* What the histograms of a region say, for dx histogram and dx top. */
#ifndef DX_TOOL_LATENCY_H
#define DX_TOOL_LATENCY_H

#include <stdint.h>

#include "../channel.h"
#include "../dx_histogram.h"

/* What is measured of a side. */
enum latency_kind { LATENCY_CALLS, LATENCY_HANDLERS, LATENCY_WAKES, LATENCY_KINDS };

const char *latency_name(enum latency_kind kind); /* for people */
const char *latency_key(enum latency_kind kind);  /* for programs */
enum dx_histogram_of latency_of(enum dx_side side, enum latency_kind kind);

struct latency {
    uint64_t count; /* 0: nothing was measured, or it cannot be read */
    uint64_t mean_ns;
    uint64_t p50_ns;
    uint64_t p90_ns;
    uint64_t p99_ns;
    uint64_t p999_ns;
    uint64_t max_ns;
};

struct latency latency_make(const struct dx_histogram *histogram);

/* All of a kind that one side has. */
struct latency latency_read(struct dx_channel *channel, enum dx_side side, enum latency_kind kind);

#endif
