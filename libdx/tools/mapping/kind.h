/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells by timing what kind of memory a mapping is.
 *
 * A BAR is mapped uncached (UC) or write-combining (WC) by what the guest's kernel asks for, and
 * write-back (WB) if the hypervisor does not let it have its way. Only time tells:
 *
 *   cached (WB)     a line that was read before is read again in about 1 ns
 *   not cached      every load goes to memory, 100 ns and more, whatever its width
 *   WC and not UC   loads of the kind MOVNTDQA bring a whole line into a buffer of the CPU, so that
 *                   the four of one line cost little more than one
 */
#ifndef DX_MAPPING_KIND_H
#define DX_MAPPING_KIND_H

#include <stddef.h>

#define MAPPING_KIND_BYTES 32768 /* fits any first-level cache */

enum mapping_kind {
    MAPPING_CACHED,
    MAPPING_WRITE_COMBINING,
    MAPPING_UNCACHED,
    MAPPING_NOT_CACHED, /* UC or WC: this CPU has no loads that tell them apart */
    MAPPING_UNCLEAR,    /* neither fast enough for a cache nor slow enough for none */
};

/* Nanoseconds a line of 64 bytes, each the best of several passes. */
struct mapping_times {
    double first_ns;  /* one load of 8 bytes a line, the first pass over the memory */
    double line_ns;   /* the same again */
    double loads8_ns; /* eight loads of 8 bytes a line */
    double stream_ns; /* four MOVNTDQA a line; 0: there is no such instruction */
};

/* Reads `bytes` (a multiple of 64) of mapped memory again and again, for 20 ms at most; nothing is
 * written. */
void mapping_kind_time(void *memory, size_t bytes, struct mapping_times *times);

enum mapping_kind mapping_kind_of(const struct mapping_times *times);

/* For people, such as "cached (write-back)". */
const char *mapping_kind_text(enum mapping_kind kind);

/* For programs, such as "cached". */
const char *mapping_kind_name(enum mapping_kind kind);

#endif
