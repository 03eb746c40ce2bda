/* SPDX-License-Identifier: Apache-2.0 */
/* A caller: its lives, its calls and how it waits. Part of slot.pml. */

/* dx_caller_publish(). The caller's thread is s. */
inline publish(state)
{
    store(s, CALLER_WORD(s), WORD(epoch, state, sequence));
#ifndef MUTATE_NO_CALLER_FENCE
    DRAINED(s)
#endif
}

inline ring_server()
{
    if
    :: memory[SERVER_CELL(s)] -> ring(s, SERVER_ARMED, SERVER_RINGS, SERVER)
    :: else
    fi
}

#ifdef MUTATE_IGNORE_EPOCH
#define ARRIVED ((memory[SERVER_WORD(s)] & 31) == (awaited & 31))
#else
#define ARRIVED (memory[SERVER_WORD(s)] == awaited)
#endif

/* sleep_once() of a caller. */
inline caller_sleeps()
{
    rings = READ(s, RINGS(s));
    store(s, ARMED(s), rings << 1 | 1);
    if
    :: !parked -> store(s, PARKED(s), 1); parked = true
    :: else
    fi;
#ifndef MUTATE_NO_CALLER_ARM_FENCE
    DRAINED(s);
#endif
    if
#ifndef MUTATE_NO_CALLER_RECHECK
    :: ARRIVED -> arrived = true; rings = 0
#endif
    :: else ->
       futex_wait(s, RINGS(s));
       if
       :: !asleep[s]
       :: d_step { asleep[s] && deadline -> asleep[s] = false; late = true }
       OR_DIE(s)
       fi;
       if
       :: ARRIVED -> arrived = true
       :: else
       fi
    fi;
    store(s, ARMED(s), 0)
}

/* dx_wait_on() of a caller: `arrived` says whether the word that it awaits came. */
inline await()
{
    if
    :: ARRIVED -> arrived = true
#if !SPINNING
    :: true ->
       do
       :: arrived || deadline -> break
       :: !arrived && !late -> caller_sleeps()
       od;
       if
       :: parked -> store(s, PARKED(s), 0); parked = false
       :: else
       fi;
       if
       :: arrived
       :: !arrived && ARRIVED -> arrived = true
       :: else
       fi;
       late = false
#endif
    fi;
    awaited = 0
}

/* get_ready(): the greeting, or the end of a call that was given up. */
inline get_ready()
{
    awaited = (abandoned -> WORD(epoch, ACKNOWLEDGED, sequence) : WORD(epoch, READY, 0));
    if
    :: ARRIVED -> arrived = true; awaited = 0
    :: else -> ring_server(); await()
    fi;
    if
    :: arrived -> ready = true; abandoned = false
    :: else
    fi
}

/* exchange() */
inline exchange()
{
    d_step { assert(answer == 0 || memory[RESPONSE(s)] == answer); answer = 0; sequence++ }
    store(s, REQUEST(s), NAME(epoch, sequence));
    publish(SENDING);
    ring_server();
    arrived = false;
    awaited = WORD(epoch, ACKNOWLEDGED, sequence);
    await();
    if
    :: arrived ->
       d_step {
           answer = memory[RESPONSE(s)];
           seen = NAME(epoch, sequence);
           assert(answer == ANSWER(OK, seen) && (entered[s] & BIT(seen)) ||
                  answer == ANSWER(LOST, seen) && (journalled[s] & BIT(seen)));
           seen = 0
       }
    :: else ->
       abandoned = true;
#ifndef MUTATE_REUSE_ABANDONED
       ready = false;
#endif
       publish(ABANDONED);
       ring_server()
    fi
}

proctype caller(byte s)
{
    byte epoch, sequence, calls, awaited, answer, rings, seen;
    bool ready, abandoned, deadline, late, parked, arrived, won;
#if GREETED
    epoch = 1;
    ready = true;
    goto begun;
#endif
life:
    /* dx_session_begin_guest(), and dx_caller_open() */
#ifndef MUTATE_SAME_EPOCH
    epoch = READ(s, EPOCH(s)) + 1;
#else
    epoch = 1;
#endif
    store(s, USED(s), 0);
#ifdef MUTATE_NEW_LIFE_CLEARS_REQUEST
    store(s, REQUEST(s), 0);
#endif
    store(s, PARKED(s), 0);
    store(s, ARMED(s), 0);
    store(s, RINGS(s), 0);
    publish(READY);
    store(s, EPOCH(s), epoch);
    ring(s, SERVER_ARMED, SERVER_RINGS, SERVER);
    store(s, USED(s), 1);
#ifndef MUTATE_NO_UNLOCK_FENCE
    DRAINED(s); /* the mutex is unlocked by a locked instruction */
#endif
#ifdef MUTATE_NO_GREETING
    ready = true;
#endif
begun:
    do
    :: calls < CALLS ->
       calls++;
#if DEADLINES
       if
       :: deadline = true
       :: deadline = false
       fi;
#endif
       arrived = ready;
       if
       :: !ready -> get_ready()
       :: else
       fi;
       if
       :: arrived -> exchange()
       :: else
       fi
    :: else -> break
    od;
    if
    :: !abandoned -> publish(COMPLETED)
    :: else
    fi;
    goto ended;
dead:
    deaths[s]--;
    d_step {
        asleep[s] = false;
        if
#ifndef MUTATE_NO_TIME_LIMIT_SERVER
        :: won -> asleep[SERVER] = false
#endif
        :: else
        fi;
        epoch = 0; sequence = 0; calls = 0; awaited = 0; answer = 0; rings = 0; seen = 0;
        ready = false; abandoned = false; deadline = false; late = false; parked = false;
        arrived = false; won = false
    }
    DRAINED(s);
    goto life;
ended:
    skip
}
