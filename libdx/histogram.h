/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How histograms lie in a region's memory, and how they are written.
 *
 *   for each slot: round trips | for each serving thread, host's first: handlers | for each cell:
 *   wake-ups
 *
 * They lie behind all places, each place's at the multiple of 64 KiB that its header names. What
 * says how often is measured is a word in the header's page, which people write: see
 * dx_histogram.h. A writer that finds another generation there clears its histogram first.
 */
#ifndef DX_HISTOGRAM_PRIVATE_H
#define DX_HISTOGRAM_PRIVATE_H

#include "channel.h"
#include "dx_histogram.h"
#include "ticks.h"

struct dx_histogram_lines {
    _Atomic uint32_t generation; /* of what follows */
    uint32_t padding0;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
    uint64_t padding1[5];
    _Atomic uint64_t counts[DX_HISTOGRAM_BUCKETS];
};

_Static_assert(sizeof(struct dx_histogram_lines) % DX_LINE == 0, "whole lines");

/* What one who measures remembers. */
struct dx_recorder {
    uint64_t control;                 /* at which the rest was found; 0: nothing was */
    struct dx_histogram_lines *lines; /* NULL: they cannot be had */
    dx_ticks_scale scale;
    uint32_t left;     /* until the next that is measured */
    uint32_t unscaled; /* times that were measured without a scale */
};

/* After so many times without a scale it is asked for again. */
#define DX_UNSCALED 1024u

/* Bytes of the histograms of one place, and from those of one place to those of the next. */
uint64_t dx_histogram_bytes(const struct dx_geometry *geometry);
uint64_t dx_histogram_stride(const struct dx_geometry *geometry);

/* Sets where the histograms of the host's places are, if its memory has room for them. */
void dx_histogram_place(struct dx_channel **channels, uint32_t places);

/* Bytes that memory which is made for these places should have behind them. */
uint64_t dx_histogram_room(const struct dx_geometry *geometry, uint32_t places);

/* Maps them, once for a channel. DX_ERR_SHORT: there are none; DX_ERR_SYSTEM. */
dx_status dx_histogram_map(struct dx_channel *channel, struct dx_histogram_lines **out);
void dx_histogram_unmap(struct dx_channel *channel);

/* For one who only reads: what is mapped can be read without a SIGBUS. */
dx_status dx_histogram_touch(const struct dx_channel *channel);

/* Finds the histogram of that number for its writer, as `control` says. */
void dx_recorder_find(struct dx_recorder *recorder, struct dx_channel *channel, uint64_t control,
                      uint32_t index);

static inline uint32_t dx_histogram_of_handler(const struct dx_geometry *g, enum dx_side side,
                                               uint32_t worker)
{
    return g->slots + (uint32_t)side * DX_SERVE_THREADS_MAX + worker;
}

static inline uint32_t dx_histogram_of_wake(const struct dx_geometry *g, uint32_t cell)
{
    return g->slots + 2u * DX_SERVE_THREADS_MAX + cell;
}

/* The switch; input. 0 in its lower half: nothing is measured. */
static inline uint64_t dx_histogram_control(const struct dx_channel *c)
{
    return dx_load_relaxed(&c->switches->histograms); /* relaxed: a number */
}

static inline bool dx_histogram_is_on(uint64_t control)
{
    return (uint32_t)control != 0;
}

/* Is this one of those that are not measured? Then it is counted. */
static inline bool dx_recorder_skips(struct dx_recorder *r, uint64_t control)
{
    if (r->control != control || r->left <= 1)
        return false;
    r->left--;
    return true;
}

/* Is this one to be measured? To be asked while the switch is on. */
static inline bool dx_recorder_due(struct dx_recorder *r, struct dx_channel *c, uint64_t control,
                                   uint32_t index)
{
    if (dx_unlikely(r->control != control))
        dx_recorder_find(r, c, control, index);
    if (r->lines == NULL || --r->left != 0)
        return false;
    r->left = (uint32_t)control;
    if (dx_unlikely(r->scale == 0) && ++r->unscaled % DX_UNSCALED == 0)
        r->scale = dx_ticks_find_scale();
    return true;
}

static inline uint32_t dx_histogram_bucket(uint64_t ns)
{
    if (ns < 64)
        return (uint32_t)ns;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(ns);
    if (octave > 39)
        return DX_HISTOGRAM_BUCKETS - 1;
    return 64u + (octave - 6u) * 32u + ((uint32_t)(ns >> (octave - 5u)) & 31u);
}

/* Adds a time; the calling thread is the histogram's sole writer. */
static inline void dx_recorder_add(struct dx_recorder *r, uint64_t ns)
{
    struct dx_histogram_lines *lines = r->lines;
    dx_count(&lines->counts[dx_histogram_bucket(ns)], 1u);
    dx_count(&lines->sum_ns, ns);
    /* Relaxed, both: as all counters. */
    if (ns > dx_load_relaxed(&lines->max_ns))
        dx_store_relaxed(&lines->max_ns, ns);
}

static inline void dx_recorder_end(struct dx_recorder *r, uint64_t began)
{
    dx_recorder_add(r, dx_ticks_between(r->scale, began, dx_ticks(r->scale)));
}

#endif
