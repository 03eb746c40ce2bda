/* SPDX-License-Identifier: Apache-2.0 */
/* Times of calls, to eleven binary digits, as pairs of a time and how often it was met. */
#ifndef PEER_TIMES_H
#define PEER_TIMES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TIMES_DIGITS 11
#define TIMES_SHIFTS 26
#define TIMES_BUCKETS ((TIMES_SHIFTS + 1) << TIMES_DIGITS)

struct times {
    uint64_t count[TIMES_BUCKETS];
};

static inline void times_record(struct times *t, int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    unsigned length = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned shift = length > TIMES_DIGITS ? length - TIMES_DIGITS : 0;
    if (shift > TIMES_SHIFTS) {
        shift = TIMES_SHIFTS;
        value = (UINT64_C(1) << (TIMES_DIGITS + TIMES_SHIFTS)) - 1;
    }
    t->count[(shift << TIMES_DIGITS) + (value >> shift)]++;
}

/* Prints [[ns,count],...] of so many histograms, one after the other in memory. */
static inline void times_print(FILE *out, const struct times *all, unsigned histograms)
{
    const char *separator = "";
    (void)fputc('[', out);
    for (unsigned i = 0; i < TIMES_BUCKETS; i++) {
        uint64_t count = 0;
        for (unsigned j = 0; j < histograms; j++)
            count += all[j].count[i];
        if (count == 0)
            continue;
        unsigned shift = i >> TIMES_DIGITS;
        uint64_t ns = ((uint64_t)(i & ((1u << TIMES_DIGITS) - 1)) << shift) +
                      ((UINT64_C(1) << shift) >> 1); /* the middle of the bucket */
        (void)fprintf(out, "%s[%llu,%llu]", separator, (unsigned long long)ns,
                      (unsigned long long)count);
        separator = ",";
    }
    (void)fputc(']', out);
}

#endif
