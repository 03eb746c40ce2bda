/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random and come again with the same seed, and values at which code breaks. */
#ifndef DX_TEST_DICE_H
#define DX_TEST_DICE_H

#include <stdint.h>
#include <stdlib.h>

struct dice {
    uint64_t state;
};

/* Splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t dice_roll(struct dice *d)
{
    uint64_t x = d->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t dice_below(struct dice *d, uint64_t bound)
{
    return dice_roll(d) % bound;
}

/* Ends of ranges, signs, pages, and the small numbers that states, kinds and cells are. */
static const uint64_t dice_edges[] = {0,
                                      1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      15,
                                      16,
                                      0x7f,
                                      0x80,
                                      0xfff,
                                      0x1000,
                                      0x1001,
                                      0xffff,
                                      0x10000,
                                      0xffffff,
                                      0x40000000,
                                      0x40000001,
                                      0x7fffffff,
                                      0x80000000,
                                      0xfffffffe,
                                      0xffffffff,
                                      0x100000000,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0xfffffffffffffffe,
                                      0xffffffffffffffff};
#define DICE_EDGES (sizeof dice_edges / sizeof *dice_edges)

static inline uint64_t dice_edge(struct dice *d)
{
    return dice_edges[dice_below(d, DICE_EDGES)];
}

/* How long to go on: DX_TEST_SECONDS, or so long if it is not set. */
static inline int64_t dice_test_seconds(int64_t otherwise)
{
    const char *text = getenv("DX_TEST_SECONDS");
    int64_t seconds = text != NULL ? strtoll(text, NULL, 10) : 0;
    return seconds > 0 ? seconds : otherwise;
}

#endif
