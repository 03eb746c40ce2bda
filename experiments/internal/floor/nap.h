/* SPDX-License-Identifier: Apache-2.0 */
/* What a timed sleep costs without any channel: a process that sleeps, again and again. */
#ifndef FLOOR_NAP_H
#define FLOOR_NAP_H

#include <stdint.h>

struct floor_naps {
    int64_t elapsed_ns;
    int64_t cpu_ns; /* of the whole process in that time */
    uint64_t sleeps;
};

/*
 * Lets a child process sleep sleep_ns at a time, for settle_ns that do not count and then for
 * duration_ns, by its own clocks. Blocks; the child has ended on return, and dies with the calling
 * thread. Returns 0 or an errno.
 */
int floor_nap(int64_t sleep_ns, int64_t settle_ns, int64_t duration_ns, struct floor_naps *out);

#endif
