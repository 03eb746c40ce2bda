/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams on one slot, after each other, in the memory of weak_memory.pml: the caller writes items into a
 * ring with one place, and the handler reads them; the other direction has the same orders. stream.pml
 * has the rest, in a memory whose loads keep their order.
 *
 * What is checked: the handler reads each item as it was written, once and in order, and could have read
 * nothing else; its place is written again only after that; no number of an earlier stream is taken for one
 * of this; no invalid end state, so that no wake-up is lost. MUTATE_... is as in weak_slot.pml.
 */
#ifndef STREAMS
#define STREAMS 1
#endif
#ifndef ITEMS
#define ITEMS 2
#endif

#define CALLER 0
#define SERVER 1
#define THREADS 2

#define REQUEST 0 /* the ring's one place */
#define SENT 1
#define CALLER_WORD 2
#define TAKEN 3
#define SERVER_WORD 4
#define PARKED 5
#define ARMED 6
#define RINGS 7
#define SERVER_ARMED 8
#define SERVER_RINGS 9
#define WORDS 10
#define STORES 12

byte which; /* of LOAD */

#include "weak_memory.pml"

#define R2 RELEASE
#ifdef MUTATE_WEAK_STREAM_RELAXED_LOOK_AT_WORD
#define A2 RELAXED
#else
#define A2 ACQUIRE
#endif
#define R3 RELEASE
#ifdef MUTATE_WEAK_STREAM_RELAXED_ACCEPTANCE
#define A3 RELAXED
#else
#define A3 ACQUIRE
#endif
#define R7 RELEASE
#define A7 ACQUIRE
#ifdef MUTATE_WEAK_STREAM_RELAXED_SENT
#define R12 RELAXED
#else
#define R12 RELEASE
#endif
#ifdef MUTATE_WEAK_STREAM_RELAXED_LOOK_AT_SENT
#define A12 RELAXED
#else
#define A12 ACQUIRE
#endif
#ifdef MUTATE_WEAK_STREAM_RELAXED_TAKEN
#define R13 RELAXED
#else
#define R13 RELEASE
#endif
#define A13 ACQUIRE /* for C11; no processor makes a store that depends on a load before it */

#include "weak_cell.pml"

/* The server's words of stream n. */
#define PROCESSING(n) ((n) * 2 - 1)
#define ANSWERED(n) ((n) * 2)
#define ITEM(n, i) ((n) * 8 + (i))

/* refresh() of a caller: the numbers of a stream are believed once the server's word is of it. */
#define CALLER_LOOKS                                                                               \
    LOAD(CALLER, SERVER_WORD, A3, now.seen[CALLER]);                                               \
    answered = (seen[CALLER] == ANSWERED(stream));                                                 \
    accepted = accepted || answered || seen[CALLER] == PROCESSING(stream);                         \
    seen[CALLER] = 0;                                                                              \
    if                                                                                             \
    :: accepted ->                                                                                 \
       LOAD(CALLER, TAKEN, A13, now.seen[CALLER]);                                                 \
       assert(seen[CALLER] >= taken && seen[CALLER] <= written);                                   \
       taken = seen[CALLER];                                                                       \
       seen[CALLER] = 0                                                                            \
    :: else                                                                                        \
    fi

#define THERE (written < ITEMS && written - taken < 1 || answered)

/* dx_stream_await() */
inline caller_waits()
{
    CALLER_LOOKS;
    do
    :: THERE -> break
    :: else ->
       LOAD(CALLER, RINGS, RELAXED, now.rings[CALLER]);
       STORE(CALLER, ARMED, now.rings[CALLER] << 1 | 1, RELAXED);
       if
       :: !parked -> STORE(CALLER, PARKED, 1, R7); parked = true
       :: else
       fi;
#ifndef MUTATE_WEAK_STREAM_NO_CALLER_ARM_FENCE
       FENCE(CALLER);
#endif
       CALLER_LOOKS;
       if
       :: !THERE ->
          FUTEX_WAIT(CALLER, RINGS);
          !asleep[CALLER];
          CALLER_LOOKS
       :: else
       fi;
       rings[CALLER] = 0;
       STORE(CALLER, ARMED, 0, RELAXED)
    od;
    if
    :: parked -> STORE(CALLER, PARKED, 0, RELAXED); parked = false
    :: else
    fi
}

proctype caller()
{
    bool accepted, answered, parked;
    byte stream, written, taken;
    do
    :: stream < STREAMS ->
       stream++;
       STORE(CALLER, SENT, 0, RELAXED);
       STORE(CALLER, CALLER_WORD, Pcaller->stream, R2);
       FENCE(CALLER);
       RING(CALLER, SERVER_ARMED, SERVER_RINGS, SERVER);
       do
       :: written < ITEMS ->
          caller_waits();
          assert(!answered);
          written++;
          STORE(CALLER, REQUEST, ITEM(Pcaller->stream, Pcaller->written), RELAXED);
          STORE(CALLER, SENT, Pcaller->written, R12);
#ifndef MUTATE_WEAK_STREAM_NO_SENT_FENCE
          FENCE(CALLER);
#endif
          RING(CALLER, SERVER_ARMED, SERVER_RINGS, SERVER)
       :: else -> break
       od;
       caller_waits();
       assert(taken == ITEMS);
       written = 0; taken = 0; accepted = false; answered = false
    :: else -> break
    od
}

inline ring_caller()
{
    LOAD(SERVER, PARKED, A7, Pserver->parked);
    if
    :: parked -> RING(SERVER, ARMED, RINGS, CALLER)
    :: else
    fi;
    parked = 0
}

/* Sleeps unless the word `at` is other than `old` by now. `label` names where. */
#define SERVER_SLEEPS(label, at, order, old)                                                       \
    LOAD(SERVER, SERVER_RINGS, RELAXED, now.rings[SERVER]);                                        \
    STORE(SERVER, SERVER_ARMED, now.rings[SERVER] << 1 | 1, RELAXED);                              \
    SERVER_ARM_FENCE;                                                                              \
    LOAD(SERVER, at, order, Pserver->word);                                                        \
    if                                                                                             \
    :: word == old ->                                                                              \
       FUTEX_WAIT(SERVER, SERVER_RINGS);                                                           \
       label !asleep[SERVER]                                                                       \
    :: else                                                                                        \
    fi;                                                                                            \
    rings[SERVER] = 0;                                                                             \
    STORE(SERVER, SERVER_ARMED, 0, RELAXED)

#ifdef MUTATE_WEAK_STREAM_NO_SERVER_ARM_FENCE
#define SERVER_ARM_FENCE skip
#else
#define SERVER_ARM_FENCE FENCE(SERVER)
#endif

/* The handler reads all items. */
inline handle()
{
    do
    :: read < ITEMS ->
       LOAD(SERVER, SENT, A12, Pserver->word);
       assert(word == read || word == read + 1);
       if
       :: word > read ->
          read++;
          assert(ONLY(SERVER, REQUEST, ITEM(Pserver->stream, Pserver->read)));
          READ_AND_STORE(assert(ONLY(SERVER, REQUEST, ITEM(Pserver->stream, Pserver->read))), SERVER,
                         TAKEN, Pserver->read, R13);
#ifndef MUTATE_WEAK_STREAM_NO_TAKEN_FENCE
          FENCE(SERVER);
#endif
          ring_caller()
       :: else -> SERVER_SLEEPS(/* none */, SENT, A12, read)
       fi;
       word = 0
    :: else -> break
    od;
    read = 0
}

proctype server()
{
    byte stream, word, read, parked;
    do
    :: LOAD(SERVER, CALLER_WORD, A2, Pserver->word);
       if
       :: word != stream ->
          stream = word;
          word = 0;
          STORE(SERVER, TAKEN, 0, RELAXED);
          STORE(SERVER, SERVER_WORD, PROCESSING(Pserver->stream), R3);
          handle();
          STORE(SERVER, SERVER_WORD, ANSWERED(Pserver->stream), R3);
          FENCE(SERVER);
          ring_caller()
       :: else -> SERVER_SLEEPS(end_asleep:, CALLER_WORD, A2, stream)
       fi;
       word = 0
    od
}

init
{
    atomic {
        c_code { begin_memory(&now.memory); };
        run caller();
        run server()
    }
}
