/* SPDX-License-Identifier: Apache-2.0 */
/* What histograms say, and the switch. */
#include <string.h>

#include "atomic.h"
#include "error.h"
#include "histogram.h"

static enum dx_side side_of(enum dx_histogram_of of)
{
    return of == DX_HISTOGRAM_HOST_CALLS || of == DX_HISTOGRAM_HOST_HANDLERS ||
                   of == DX_HISTOGRAM_HOST_WAKES
               ? DX_HOST
               : DX_GUEST;
}

/* How many there are of a kind; 0: there is no such kind. */
static uint32_t count_of(const struct dx_geometry *g, enum dx_histogram_of of)
{
    uint32_t slots = dx_slot_count(g, side_of(of));
    switch (of) {
    case DX_HISTOGRAM_HOST_CALLS:
    case DX_HISTOGRAM_GUEST_CALLS:
        return slots;
    case DX_HISTOGRAM_HOST_HANDLERS:
    case DX_HISTOGRAM_GUEST_HANDLERS:
        return DX_SERVE_THREADS_MAX;
    case DX_HISTOGRAM_HOST_WAKES:
    case DX_HISTOGRAM_GUEST_WAKES:
        return slots + DX_SERVE_THREADS_MAX + 1u;
    }
    return 0;
}

/* Where the one of that index lies among all histograms of the region. */
static uint32_t number_of(const struct dx_geometry *g, enum dx_histogram_of of, uint32_t index)
{
    enum dx_side side = side_of(of);
    uint32_t first = dx_first_slot(g, side);
    uint32_t slots = dx_slot_count(g, side);
    if (of == DX_HISTOGRAM_HOST_CALLS || of == DX_HISTOGRAM_GUEST_CALLS)
        return first + index;
    if (of == DX_HISTOGRAM_HOST_HANDLERS || of == DX_HISTOGRAM_GUEST_HANDLERS)
        return dx_histogram_of_handler(g, side, index);
    uint32_t cell =
        index < slots ? first + index : dx_cell_of_worker(g->slots, side, index - slots);
    return dx_histogram_of_wake(g, cell);
}

static void add(const struct dx_histogram_lines *lines, uint32_t generation,
                struct dx_histogram *sum)
{
    /* A20 <- R20: what it held before is cleared. */
    if (dx_load_acquire(&lines->generation) != generation)
        return;
    /* Relaxed: counters are of no common instant. */
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = dx_load_relaxed(&lines->counts[i]);
        sum->counts[i] += count;
        sum->count += count;
    }
    sum->sum_ns += dx_load_relaxed(&lines->sum_ns);
    uint64_t max_ns = dx_load_relaxed(&lines->max_ns); /* relaxed: as above */
    sum->max_ns = max_ns > sum->max_ns ? max_ns : sum->max_ns;
}

/* Adds up those from `index` on. */
static dx_status add_up(struct dx_channel *c, enum dx_histogram_of of, uint32_t index,
                        uint32_t count, struct dx_histogram *out)
{
    memset(out, 0, sizeof *out);
    if (dx_channel_forked(c))
        return dx_channel_stopped(c);
    uint32_t there = count_of(&c->geometry, of);
    if (there == 0 && (of < DX_HISTOGRAM_HOST_CALLS || of > DX_HISTOGRAM_GUEST_WAKES))
        return dx_fail(DX_ERR_INVALID, "histograms of kind %d: 0 to 5 exist", (int)of);
    if (count == 0)
        count = there;
    else if (index >= there)
        return dx_fail(DX_ERR_INVALID, "histogram %u of kind %d: there are %u", index, (int)of,
                       there);
    uint64_t control = dx_histogram_control(c);
    struct dx_histogram_lines *lines;
    if (control == 0)
        return DX_OK; /* never switched on: nothing is there, and nothing has to be */
    dx_status status = dx_histogram_map(c, &lines);
    if (status == DX_OK && c->region.read_only)
        status = dx_histogram_touch(c);
    for (uint32_t i = index; status == DX_OK && i < index + count; i++)
        add(&lines[number_of(&c->geometry, of, i)], (uint32_t)(control >> 32), out);
    return status;
}

dx_status dx_histogram_read(struct dx_channel *c, enum dx_histogram_of of,
                            struct dx_histogram *histogram)
{
    return add_up(c, of, 0, 0, histogram);
}

dx_status dx_histogram_read_one(struct dx_channel *c, enum dx_histogram_of of, uint32_t index,
                                struct dx_histogram *histogram)
{
    return add_up(c, of, index, 1, histogram);
}

uint32_t dx_histogram_every(const struct dx_channel *c)
{
    return dx_channel_forked(c) ? 0 : (uint32_t)dx_histogram_control(c);
}

uint64_t dx_histogram_from(uint32_t bucket)
{
    if (bucket < 64)
        return bucket;
    if (bucket >= DX_HISTOGRAM_BUCKETS)
        return 1ull << 40;
    uint32_t octave = 6u + (bucket - 64u) / 32u;
    return (32ull + (bucket - 64u) % 32u) << (octave - 5u);
}

uint64_t dx_histogram_value(const struct dx_histogram *h, double percentile)
{
    double share = percentile < 0 ? 0 : percentile > 100 ? 1 : percentile / 100;
    /* The first bucket with which as many are reached; at least one. */
    uint64_t wanted = (uint64_t)(share * (double)h->count + 0.5);
    uint64_t reached = 0;
    uint32_t bucket = 0;
    if (h->count == 0)
        return 0;
    if (wanted >= h->count)
        return h->max_ns;
    while (bucket < DX_HISTOGRAM_BUCKETS - 1 &&
           (reached += h->counts[bucket]) < (wanted != 0 ? wanted : 1))
        bucket++;
    uint64_t middle = dx_histogram_from(bucket) +
                      (dx_histogram_from(bucket + 1) - dx_histogram_from(bucket) - 1) / 2;
    return middle < h->max_ns ? middle : h->max_ns;
}
