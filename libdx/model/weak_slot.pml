/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on one slot, and how both sides sleep, in the memory of weak_memory.pml: every load and store
 * has the order that it has in libdx, by the labels of docs/protocol.md, or a weaker one. slot.pml has the rest of the
 * protocol (lives, deadlines, more slots), in a memory whose loads keep their order.
 *
 * What is checked: what a handler reads is the request of its call, what the caller reads is its
 * response, and neither could have read anything else; no invalid end state, so that no wake-up is
 * lost: sleeps have no time limit, and only the server may sleep for ever, after the last call.
 * MUTATE_... makes one order weaker or leaves out one fence or look; check.sh expects that spin finds it.
 */
#ifndef CALLS
#define CALLS 2
#endif

#define CALLER 0
#define SERVER 1
#define THREADS 2

#define REQUEST 0
#define CALLER_WORD 1
#define RESPONSE 2
#define SERVER_WORD 3
#define PARKED 4
#define ARMED 5
#define RINGS 6
#define SERVER_ARMED 7
#define SERVER_RINGS 8
#define WORDS 9
#define STORES 10

byte which; /* of LOAD */

#include "weak_memory.pml"

#ifdef MUTATE_WEAK_RELAXED_CALLER_WORD
#define R2 RELAXED
#else
#define R2 RELEASE
#endif
#ifdef MUTATE_WEAK_RELAXED_LOOK_OF_SERVER
#define A2 RELAXED
#else
#define A2 ACQUIRE
#endif
#ifdef MUTATE_WEAK_RELAXED_SERVER_WORD
#define R3 RELAXED
#else
#define R3 RELEASE
#endif
#ifdef MUTATE_WEAK_RELAXED_LOOK_OF_CALLER
#define A3 RELAXED
#else
#define A3 ACQUIRE
#endif
#define R7 RELEASE
#define A7 ACQUIRE

#include "weak_cell.pml"

proctype caller()
{
    bool arrived, parked;
    byte call;
    do
    :: call < CALLS ->
       call++;
       STORE(CALLER, REQUEST, Pcaller->call, RELAXED);
       READ_AND_STORE(assert(ONLY(CALLER, RESPONSE, Pcaller->call - 1)), CALLER, CALLER_WORD,
                      Pcaller->call, R2);
#ifndef MUTATE_WEAK_NO_CALLER_FENCE
       FENCE(CALLER);
#endif
       RING(CALLER, SERVER_ARMED, SERVER_RINGS, SERVER);
       do
       :: LOAD(CALLER, SERVER_WORD, A3, now.seen[CALLER]);
          arrived = (seen[CALLER] == call);
          seen[CALLER] = 0;
          if
          :: arrived -> break
          :: else
          fi;
          LOAD(CALLER, RINGS, RELAXED, now.rings[CALLER]);
          STORE(CALLER, ARMED, now.rings[CALLER] << 1 | 1, RELAXED);
          if
          :: !parked -> STORE(CALLER, PARKED, 1, R7); parked = true
          :: else
          fi;
#ifndef MUTATE_WEAK_NO_CALLER_ARM_FENCE
          FENCE(CALLER);
#endif
#ifndef MUTATE_WEAK_NO_CALLER_RECHECK
          LOAD(CALLER, SERVER_WORD, A3, now.seen[CALLER]);
          arrived = (seen[CALLER] == call);
          seen[CALLER] = 0;
#endif
          if
          :: !arrived ->
             FUTEX_WAIT(CALLER, RINGS);
             !asleep[CALLER]
          :: else
          fi;
          rings[CALLER] = 0;
          STORE(CALLER, ARMED, 0, RELAXED);
          if
          :: arrived -> break
          :: else
          fi
       od;
       if
       :: parked -> STORE(CALLER, PARKED, 0, RELAXED); parked = false
       :: else
       fi;
       arrived = false;
       assert(ONLY(CALLER, RESPONSE, Pcaller->call))
    :: else -> break
    od
}

proctype server()
{
    byte taken, word;
    do
    :: LOAD(SERVER, CALLER_WORD, A2, Pserver->word);
       if
       :: word != taken ->
          taken = word;
          assert(ONLY(SERVER, REQUEST, Pserver->taken));
          STORE(SERVER, RESPONSE, Pserver->taken, RELAXED);
          READ_AND_STORE(assert(ONLY(SERVER, REQUEST, Pserver->taken)), SERVER, SERVER_WORD,
                         Pserver->taken, R3);
#ifndef MUTATE_WEAK_NO_SERVER_FENCE
          FENCE(SERVER);
#endif
          LOAD(SERVER, PARKED, A7, Pserver->word);
          if
          :: word -> RING(SERVER, ARMED, RINGS, CALLER)
          :: else
          fi
       :: else ->
          LOAD(SERVER, SERVER_RINGS, RELAXED, now.rings[SERVER]);
          STORE(SERVER, SERVER_ARMED, now.rings[SERVER] << 1 | 1, RELAXED);
#ifndef MUTATE_WEAK_NO_SERVER_ARM_FENCE
          FENCE(SERVER);
#endif
#ifndef MUTATE_WEAK_NO_SERVER_RECHECK
          LOAD(SERVER, CALLER_WORD, A2, Pserver->word);
#endif
          if
          :: word == taken ->
             FUTEX_WAIT(SERVER, SERVER_RINGS);
end:
             !asleep[SERVER]
          :: else
          fi;
          rings[SERVER] = 0;
          STORE(SERVER, SERVER_ARMED, 0, RELAXED)
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
