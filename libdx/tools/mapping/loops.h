/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that load and store in one known way each, for what a mapping costs per instruction. The
 * compiler neither widens nor leaves out any of their accesses.
 */
#ifndef DX_MAPPING_LOOPS_H
#define DX_MAPPING_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPING_LINE_BYTES 64

enum mapping_operation { MAPPING_LOAD, MAPPING_STORE, MAPPING_COPY_OUT, MAPPING_COPY_IN };

struct mapping_loop {
    const char *name; /* such as "load-8x4": four loads of 8 bytes in each line */
    enum mapping_operation operation;
    unsigned access_bytes; /* 0: as wide as memcpy likes */
    unsigned per_line;     /* accesses to each line; 0 for memcpy */
    bool streaming;        /* MOVNTDQA, or stores around the cache */
    bool (*usable)(void);  /* whether this CPU has the instruction */
    /* Goes once over `bytes` of the mapping (a multiple of the line); `private` is as large, and
     * only memcpy uses it. */
    void (*run)(void *mapping, void *private, size_t bytes);
};

/* All of them, in the order in which they are shown; ends with a NULL name. */
extern const struct mapping_loop mapping_loops[];

/* The one of that name, which must exist. NULL: this CPU cannot run it. */
const struct mapping_loop *mapping_loop(const char *name);

/* Nanoseconds of so many passes one after the other; at least one. */
int64_t mapping_loop_time(const struct mapping_loop *loop, void *mapping, void *private_memory,
                          size_t bytes, int passes);

#endif
