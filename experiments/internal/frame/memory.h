/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to memory in a phase. Sizes are multiples of FRAME_STEP, addresses are aligned to
 * it. Nothing here allocates, prints or reads a clock. */
#ifndef DX_EXPERIMENT_FRAME_MEMORY_H
#define DX_EXPERIMENT_FRAME_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "frame.h"

/* Writes content that no other sequence number has; its first word is the number itself. Returns
 * the sum of all its words. */
uint64_t memory_generate(void *to, size_t bytes, uint64_t sequence);

/* Loads every byte, 16 at a time; returns the sum of all words, *loads is how many loads it took.
 */
uint64_t memory_read(const void *from, size_t bytes, uint64_t *loads);

/* Loads the first word of each line of 64 bytes, and no other. */
uint64_t memory_read_strided(const void *from, size_t bytes, uint64_t *loads);

/* Stores every byte and loads none. */
void memory_write(void *to, size_t bytes, uint64_t pattern);

void memory_copy(void *to, const void *from, size_t bytes);

/* Moves the lines out of every cache, to memory. */
void memory_flush(const void *at, size_t bytes);
enum frame_flush memory_flush_kind(void);

/* Private memory that is not there yet: the first touch of each page brings it. NULL if there is
 * none. */
void *memory_map(size_t bytes);
void memory_unmap(void *at, size_t bytes);

/* Anonymous memory that this process occupies now, in bytes; 0 if the kernel does not say. */
uint64_t memory_anonymous_bytes(void);

static inline int64_t memory_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
