/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns: threads of one process that call as fast as they can, and are more than its CPUs, have the
 * CPUs one after the other for a turn of calls each. Left to itself the kernel gives one of them
 * the CPU for milliseconds, and sched_yield may put a thread behind all others twice in a row.
 *
 * As many threads as there are CPUs are awake. Who ends a turn lines up behind those that sleep,
 * and wakes the first of them. Threads take part only if the kernel has taken the CPU from them
 * since their last turn, or others sleep already, and only if they do not sleep by themselves
 * between their calls. Who is awake is a guess, because a thread can stop calling at any time:
 * nobody sleeps for much longer than the turns of those before him take, and who wakes by himself
 * begins the count anew.
 */
#ifndef DX_WAIT_TURN_H
#define DX_WAIT_TURN_H

#include <stdbool.h>
#include <stdint.h>

/* A turn has so many calls for each one of `burst`, fewer where they take longer: to change between
 * threads takes some microseconds. */
#define DX_CALLS_PER_BURST 64u
#define DX_TURN_CALLS_MIN 16u

/* Turns that take longer get fewer calls, and more calls if they take less than a quarter of it. */
#define DX_TURN_NS 300000

/* One thread's turns. */
struct dx_turn {
    uint32_t mask;       /* a turn ends with a call whose sequence has none of these bits */
    uint32_t mask_most;  /* what `burst` allows */
    uint32_t cpus;       /* that the thread may use: so many threads are awake */
    uint32_t generation; /* of the count in which the thread is; 0: in none */
    int64_t began_ns;    /* 0: this turn was not waited for */
    int64_t taken;       /* times that the kernel took the CPU from the thread; -1: not known */
    int64_t slept;       /* times that the thread gave it away by sleeping */
};

void dx_turn_init(struct dx_turn *turn, uint32_t burst);

/* Ends a turn: returns when it is the thread's turn again. */
void dx_turn_end(struct dx_turn *turn);

/* The thread will end no more turns. */
void dx_turn_leave(struct dx_turn *turn);

#endif
