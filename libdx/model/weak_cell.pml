/* SPDX-License-Identifier: Apache-2.0 */
/* How a thread sleeps and is rung, as cell.pml, in the memory of weak_memory.pml. */

bool asleep[THREADS];
byte seen[THREADS], rings[THREADS]; /* of each thread; C code can name them so */
bool won[THREADS];

/* dx_cell_ring() */
#define RING(t, armed_at, rings_at, sleeper)                                                       \
    LOAD(t, armed_at, RELAXED, now.seen[t]);                                                       \
    if                                                                                             \
    :: seen[t] & 1 ->                                                                              \
       c_code { now.won[t] = exchange_if(&now.memory, t, rings_at, now.seen[t] >> 1,               \
                                         (now.seen[t] >> 1) + 1); };                               \
       if                                                                                          \
       :: won[t] ->                                                                                \
          atomic {                                                                                 \
              c_code { join(now.memory.kernel, now.memory.view[t]); };                             \
              asleep[sleeper] = false                                                              \
          }                                                                                        \
       :: else                                                                                     \
       fi                                                                                          \
    :: else                                                                                        \
    fi;                                                                                            \
    seen[t] = 0;                                                                                   \
    won[t] = false

/* The kernel compares under the lock under which it wakes: it sees what earlier wakers saw. */
#define FUTEX_WAIT(t, rings_at)                                                                    \
    atomic {                                                                                       \
        c_code { join(now.memory.view[t], now.memory.kernel); forget(&now.memory); };              \
        LOAD(t, rings_at, RELAXED, now.seen[t]);                                                   \
        asleep[t] = (seen[t] == rings[t]);                                                         \
        seen[t] = 0                                                                                \
    }
