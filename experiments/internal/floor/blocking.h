/* SPDX-License-Identifier: Apache-2.0 */
/* What a wake-up costs without any protocol: two processes that do nothing but wake each other. */
#ifndef FLOOR_BLOCKING_H
#define FLOOR_BLOCKING_H

#include <stdint.h>

enum floor_bell { FLOOR_FUTEX = 0, FLOOR_EVENTFD = 1, FLOOR_PIPE = 2 };

/*
 * Makes `trips` round trips of two wake-ups between a thread on cpu_a and a child process on cpu_b,
 * after as many again for warming up, 1000 at most. rtt_ns[0 ... trips - 1] gets each one's time,
 * *cpu_ns the CPU time of both for all of them, warm-up included, *all how many those were. Blocks;
 * thread and child have ended on return, and the child dies with the thread. Returns 0 or an errno.
 */
int floor_blocking(enum floor_bell bell, int cpu_a, int cpu_b, uint32_t trips, uint32_t *rtt_ns,
                   int64_t *cpu_ns, uint32_t *all);

#endif
