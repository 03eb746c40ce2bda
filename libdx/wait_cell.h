/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells: where a thread sleeps until the other side rings. An eventcount with two words:
 *
 *   rings   multiples of 16; one step for each ring
 *   armed   0, or rings at the time of arming | park kind << 1 | 1
 *
 * Sleeper: arm, look for news once more, wait, disarm.     Ringer: publish news, look at `armed`,
 * and if it is set advance `rings` from the armed value by compare-and-swap: of many ringers just
 * one succeeds, and it makes the one system call. The sleeper's kind is in the word, so that the
 * ringer needs no setting of its own.
 *
 * Nothing here trusts the other side: a lying ringer wakes us early, a lying sleeper costs the
 * ringer a system call, and no sleep lasts longer than its time limit.
 */
#ifndef DX_WAIT_CELL_H
#define DX_WAIT_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"
#include "dx_protocol.h"
#include "dx_wait.h"
#include "layout.h"

#define DX_CELL_KIND(armed) ((armed) >> DX_CELL_KIND_SHIFT & DX_CELL_KIND_MASK)
#define DX_CELL_RINGS(armed) ((armed) & ~(DX_CELL_STEP - 1u))

/* Makes a cell of ours new. The sleeper's side calls it before anybody can sleep there. */
void dx_cell_init(struct dx_cell *cell);

/* Announces a sleep of this kind; returns the value for dx_cell_wait. Look for news afterwards,
 * with a load that is sequentially consistent. */
uint32_t dx_cell_arm(struct dx_cell *cell, enum dx_park kind);

/* How a sleep ended. */
enum dx_slept {
    DX_SLEPT_UNRUNG, /* nobody has rung: the time is up, or a signal came */
    DX_SLEPT_RUNG,
    DX_SLEPT_LATE, /* by doorbell: rung, but what woke us was the end of the time */
};

/* Sleeps until rung, or timeout_ns (> 0) have passed, or a signal came. */
enum dx_slept dx_cell_wait(struct dx_cell *cell, uint32_t armed, const struct dx_wait *wait,
                           int64_t timeout_ns);

/* For a thread that does nothing but wait for rings of this cell, announced by somebody else:
 * blocks until there has been a ring since the one that left *seen, and updates it; or until it
 * is released with *ended set. */
void dx_cell_await_ring(struct dx_cell *cell, enum dx_park kind, uint32_t *seen,
                        const _Atomic uint32_t *ended);

/* Ends a dx_cell_await_ring of ours; *ended must be set before. Again and again until it has: the
 * other side can take back what wakes it, just before it falls asleep. */
void dx_cell_release(struct dx_cell *cell, enum dx_park kind);

/* Has it been rung since it was armed? */
bool dx_cell_rung(const struct dx_cell *cell, uint32_t armed);

/* How a sleep ended that ran out of time, or did not. */
enum dx_slept dx_cell_slept(const struct dx_cell *cell, uint32_t armed, bool timed_out);

/* Ends the announcement. */
void dx_cell_disarm(struct dx_cell *cell, uint32_t armed);

/* Wakes the sleeper if it still sleeps for `armed`. Returns true if this call rang it; whoever
 * asked for a doorbell is to be rung by it then. */
bool dx_cell_ring_armed(struct dx_cell *cell, uint32_t armed);

/* The system call of a ring alone, for a cell that was rung. */
void dx_cell_wake(struct dx_cell *cell, uint32_t armed);

/* Wakes the sleeper of a cell of ours if it was rung by doorbell. */
void dx_cell_dispatch(struct dx_cell *cell);

/* Rings if somebody sleeps; the news must have been published before. Any thread, any process. */
static inline bool dx_cell_ring(struct dx_cell *cell)
{
    /* S1 <-> S2, S3 <-> S4: the load behind the publishing store. */
    uint32_t armed = dx_load_seqcst(&cell->armed);
    return dx_unlikely(armed & DX_CELL_ARMED) && dx_cell_ring_armed(cell, armed);
}

#endif
