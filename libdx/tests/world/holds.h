/* SPDX-License-Identifier: Apache-2.0 */
/* What this process holds of the system: a call that failed must have given back all it took. */
#ifndef DX_TEST_WORLD_HOLDS_H
#define DX_TEST_WORLD_HOLDS_H

#include <stdbool.h>
#include <stddef.h>

struct holds {
    long blocks;      /* of memory, allocated by the library */
    long descriptors; /* open in this process */
    long mappings;    /* of regions */
    long threads;
    long names; /* in the folder of this run, and in shared memory with its tag */
};

/* Everything that a run makes has `tag` in its name or lies in the folder. */
struct holds holds_now(const char *folder, const char *tag);

/* True if both are the same; else what differs, in words. */
bool holds_equal(const struct holds *before, const struct holds *after, char *text, size_t bytes);

/* Waits until they are, for threads and peers that are just ending; false if nothing changes any
 * more for some seconds. */
bool holds_settle(const struct holds *before, const char *folder, const char *tag, char *text,
                  size_t bytes);

#endif
