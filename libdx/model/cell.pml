/* SPDX-License-Identifier: Apache-2.0 */
/* Cells: how a thread sleeps, and how it is rung. Part of slot.pml and stream.pml. */

bool asleep[THREADS]; /* in the futex of its cell */

/* dx_cell_ring(), behind a publication. `won`, of the ringer: it owes a wake-up. If it dies then,
 * no later ring comes through, for rings is past the armed value: that one sleep is ended by its
 * time limit, for which the end of the ringer stands here. */
inline ring(t, armed_at, rings_at, sleeper)
{
    if
    :: d_step { memory[armed_at] & 1 -> seen = memory[armed_at] }
       if
       :: d_step {
              DRAINED(t) -> /* a locked instruction */
              won = (memory[rings_at] == seen >> 1);
#ifndef MUTATE_RING_WITHOUT_STEP
              memory[rings_at] = memory[rings_at] + won;
#endif
              seen = 0
          }
       OR_DIE(t)
       fi;
       if
       :: !won
       :: d_step { won -> asleep[sleeper] = false; won = false }
       OR_DIE(t)
       fi
    :: else
    fi
}

/* The kernel compares and goes to sleep in one step. */
inline futex_wait(t, rings_at)
{
    d_step {
        DRAINED(t) -> /* a system call */
#ifndef MUTATE_WAIT_WITHOUT_COMPARE
        asleep[t] = (memory[rings_at] == rings);
#else
        asleep[t] = true;
#endif
#ifdef MUTATE_NEVER_SLEEP
        asleep[t] = false;
#endif
        rings = 0
    }
}
