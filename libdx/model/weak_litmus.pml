/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether weak_memory.pml is the memory that it says: small programs whose outcomes are known (the
 * names are those of the literature). check.sh expects each that may come about to be found, and none
 * of the others.
 */
#define THREADS 2
#define STORES 3
#define X 0
#define Y 1
#define WORDS 2

#ifndef ORDER
#define ORDER RELAXED
#endif
#ifndef FENCES
#define FENCES 0
#endif

byte which;
byte a, b, ended;

#include "weak_memory.pml"

#if FENCES
#define MAYBE_FENCE(t) FENCE(t)
#else
#define MAYBE_FENCE(t)
#endif

proctype first()
{
    STORE(0, X, 1, RELAXED);
    MAYBE_FENCE(0);
#ifdef MESSAGE
    STORE(0, Y, 1, ORDER);
#else
    LOAD(0, Y, ORDER, now.a);
#endif
    ended++
}

proctype second()
{
#ifdef MESSAGE
    LOAD(1, Y, ORDER, now.a);
    MAYBE_FENCE(1);
    LOAD(1, X, RELAXED, now.b);
#elif defined COHERENCE
    LOAD(1, X, RELAXED, now.a);
    LOAD(1, X, RELAXED, now.b);
#else
    STORE(1, Y, 1, ORDER);
    MAYBE_FENCE(1);
    LOAD(1, X, RELAXED, now.b);
#endif
    ended++
}

init
{
    atomic {
        c_code { begin_memory(&now.memory); };
        run first();
        run second()
    }
    ended == 2;
#if defined MESSAGE || defined COHERENCE
    assert(!(a == 1 && b == 0)) /* the flag is there, and what it tells of is not; or time goes back */
#else
    assert(!(a == 0 && b == 0)) /* store buffering: neither sees the other's store */
#endif
}
