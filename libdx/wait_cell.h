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

/* Sets a cell of our side to its first state. The sleeper's side calls it before anybody can sleep
 * there. */
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

/* For a thread that does nothing but wait for rings of this cell, which somebody else announced. It
 * blocks until the cell has been rung since *seen, and updates *seen, or until it is released with
 * *ended set. */
void dx_cell_await_ring(struct dx_cell *cell, enum dx_park kind, uint32_t *seen,
                        const _Atomic uint32_t *ended);

/* Ends a dx_cell_await_ring of this process; set *ended before. Repeat the call until the waiter
 * has ended: the other side can withdraw a wake-up just before the waiter falls asleep. */
void dx_cell_release(struct dx_cell *cell, enum dx_park kind);

/* Has the cell been rung since it was armed? */
bool dx_cell_rung(const struct dx_cell *cell, uint32_t armed);

/* Returns how a sleep ended. timed_out: its time ran out. */
enum dx_slept dx_cell_slept(const struct dx_cell *cell, uint32_t armed, bool timed_out);

/* Ends the announcement. */
void dx_cell_disarm(struct dx_cell *cell, uint32_t armed);

/* Wakes the sleeper if it still sleeps for `armed`. Returns true if this call rang the cell. If the
 * sleeper asked for a doorbell, ring that then. */
bool dx_cell_ring_armed(struct dx_cell *cell, uint32_t armed);

/* Makes only the system call of a ring, for a cell that was rung. */
void dx_cell_wake(struct dx_cell *cell, uint32_t armed);

/* Wakes the sleeper of a cell of ours if it was rung by doorbell. */
void dx_cell_dispatch(struct dx_cell *cell);

/* Rings if somebody sleeps; the news must have been published before. Any thread, any process. */
static inline bool dx_cell_ring(struct dx_cell *cell)
{
    /* S1 <-> S2, S3 <-> S4: the load after the publishing store. */
    uint32_t armed = dx_load_seqcst(&cell->armed);
    return dx_unlikely(armed & DX_CELL_ARMED) && dx_cell_ring_armed(cell, armed);
}

#endif
