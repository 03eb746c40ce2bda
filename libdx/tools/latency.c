/* SPDX-License-Identifier: Apache-2.0 */
#include "latency.h"

const char *latency_name(enum latency_kind kind)
{
    static const char *const names[LATENCY_KINDS] = {"round trip", "handler", "wake-up"};
    return names[kind];
}

const char *latency_key(enum latency_kind kind)
{
    static const char *const keys[LATENCY_KINDS] = {"calls", "handlers", "wakes"};
    return keys[kind];
}

enum dx_histogram_of latency_of(enum dx_side side, enum latency_kind kind)
{
    static const enum dx_histogram_of all[2][LATENCY_KINDS] = {
        {DX_HISTOGRAM_HOST_CALLS, DX_HISTOGRAM_HOST_HANDLERS, DX_HISTOGRAM_HOST_WAKES},
        {DX_HISTOGRAM_GUEST_CALLS, DX_HISTOGRAM_GUEST_HANDLERS, DX_HISTOGRAM_GUEST_WAKES}};
    return all[side][kind];
}

struct latency latency_make(const struct dx_histogram *h)
{
    return (struct latency){
        .count = h->count,
        .mean_ns = h->count != 0 ? h->sum_ns / h->count : 0,
        .p50_ns = dx_histogram_value(h, 50),
        .p90_ns = dx_histogram_value(h, 90),
        .p99_ns = dx_histogram_value(h, 99),
        .p999_ns = dx_histogram_value(h, 99.9),
        .max_ns = h->max_ns,
    };
}

struct latency latency_read(struct dx_channel *c, enum dx_side side, enum latency_kind kind)
{
    struct dx_histogram h;
    if (dx_histogram_read(c, latency_of(side, kind), &h) != DX_OK)
        return (struct latency){.count = 0};
    return latency_make(&h);
}
