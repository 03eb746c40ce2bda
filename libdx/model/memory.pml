/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory as x86-TSO has it. A store goes into the storing thread's buffer, which drains in
 * order, at any time; a load sees the thread's own buffer first; fences, locked instructions and
 * system calls wait until the buffer is empty. An assertion sees to it that no store finds its
 * buffer full, so that their length leaves nothing out. What a dead process has stored drains.
 *
 * With WEAK = 1 stores pass earlier ones to other addresses, except that a release (RELEASES(a))
 * passes none: more than x86 does, and what arm64 and C11 allow to stores. Loads keep their order.
 */

/* A load: the newest store of one's own, or else memory. What a thread never stores to it reads in
 * memory[] itself. */
#define IN_ORDER(t, i, a, older)                                                                   \
    (stores[t].count > i && stores[t].at[i] == (a) -> stores[t].value[i] : older)
#define UP_TO_5(t, a)                                                                              \
    IN_ORDER(t, 5, a, IN_ORDER(t, 4, a, IN_ORDER(t, 3, a, IN_ORDER(t, 2, a, IN_ORDER(t, 1, a,      \
    IN_ORDER(t, 0, a, memory[a]))))))
#if SLOTS == 1 && !defined LONG_BUFFER
#define BUFFER 6
#define READ(t, a) UP_TO_5(t, a)
#else
#define BUFFER 8
#define READ(t, a) IN_ORDER(t, 7, a, IN_ORDER(t, 6, a, UP_TO_5(t, a)))
#endif

typedef buffer {
    byte count;
    byte at[BUFFER];
    byte value[BUFFER]
};

byte memory[MEMORY];
buffer stores[THREADS];
byte deaths[THREADS]; /* how often that thread's process may yet die, at any step */

#if CALLER_DEATHS + SERVER_DEATHS > 0
#define OR_DIE(t) :: deaths[t] > 0 -> goto dead
#else
#define OR_DIE(t)
#endif

#define DRAINED(t) (stores[t].count == 0)

/* A store within a step. */
inline put(t, a, v)
{
    assert(stores[t].count < BUFFER);
    stores[t].at[stores[t].count] = a;
    stores[t].value[stores[t].count] = v;
    stores[t].count++
}

inline store(t, a, v)
{
    if
    :: d_step { put(t, a, v) }
    OR_DIE(t)
    fi
}

inline drain_one(first)
{
    d_step {
        i = first;
        memory[stores[t].at[i]] = stores[t].value[i];
        stores[t].count--;
        do
        :: i < stores[t].count ->
           stores[t].at[i] = stores[t].at[i + 1];
           stores[t].value[i] = stores[t].value[i + 1];
           i++
        :: else -> break
        od;
        stores[t].at[i] = 0;
        stores[t].value[i] = 0;
        i = 0
    }
}

#define PASSES(i, j) (stores[t].at[i] != stores[t].at[j])
#define MAY_PASS(i) (stores[t].count > i && !RELEASES(stores[t].at[i]) && PASSES(i, 0))

proctype drain(byte t)
{
    byte i;
end:
    do
    :: atomic { stores[t].count > 0 -> drain_one(0) }
#if WEAK
    :: atomic { MAY_PASS(1) -> drain_one(1) }
    :: atomic { MAY_PASS(2) && PASSES(2, 1) -> drain_one(2) }
    :: atomic { MAY_PASS(3) && PASSES(3, 1) && PASSES(3, 2) -> drain_one(3) }
    :: atomic { MAY_PASS(4) && PASSES(4, 1) && PASSES(4, 2) && PASSES(4, 3) -> drain_one(4) }
#endif
    od
}
