/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slot protocol of docs/protocol.md, for spin; check.sh runs it. Slots with a caller each, and
 * one server of them all. Either side's process may die at any step, and a new one takes its place.
 * Names are those of libdx.
 *
 * What is checked:
 *   - assertions: a handler is entered at most once for a request, reads that request from begin to
 *     end, and is not entered after an answer has said that it will not be; the answer that a
 *     caller takes belongs to its call, says the truth and stays as it is until the next call;
 *   - no invalid end state: sleeps have no time limit, so that a lost wake-up is a deadlock. Only
 *     the server may sleep for ever, once all callers have ended;
 *   - progress: calls, deaths and rings are bounded and every wait is a sleep, so that nobody can
 *     do the same step again and again. The states then have no cycle, and every run, fair or not,
 *     ends with every call ended. spin looks for cycles (-DNP, no progress label anywhere).
 *
 * Looks before the first sleep are one choice, "seen or not", as looks that find nothing change
 * nothing. A process can die before each step that others may see, which is as good as everywhere.
 * MUTATE_... breaks one rule each; check.sh expects that spin finds it.
 */

#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef CALLS
#define CALLS 1 /* by each life of a caller */
#endif
#ifndef CALLER_DEATHS
#define CALLER_DEATHS 0 /* 0 or 1; with 1 slot */
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#ifndef DEADLINES
#define DEADLINES 0 /* 1: each call may have one, which may pass at any time */
#endif
#ifndef SPINNING
#define SPINNING 0 /* 1: callers look and never sleep; neither deadlines nor deaths of callers */
#endif
#ifndef GREETED
#define GREETED 0 /* 1: begins where the server has greeted all callers */
#endif

#if SLOTS > 1
#define EACH_SLOT for (s : 0 .. SLOTS - 1)
#else
#define EACH_SLOT /* s is 0 */
#endif

/* Threads: callers, by slot, and the server. */
#define SERVER SLOTS
#define THREADS (SLOTS + 1)

/* Memory: what a slot has, and what the server has. */
#define FIELD(s, field) ((s) * 10 + field)
#define EPOCH(s) FIELD(s, 0)
#define USED(s) FIELD(s, 1) /* slots_used is greater than s */
#define REQUEST(s) FIELD(s, 2)
#define CALLER_WORD(s) FIELD(s, 3)
#define PARKED(s) FIELD(s, 4)
#define ARMED(s) FIELD(s, 5)
#define RINGS(s) FIELD(s, 6)
#define RESPONSE(s) FIELD(s, 7)
#define SERVER_WORD(s) FIELD(s, 8)
#define SERVER_CELL(s) FIELD(s, 9)
#define SERVER_ARMED FIELD(SLOTS, 0)
#define SERVER_RINGS FIELD(SLOTS, 1)
#define JOURNAL FIELD(SLOTS, 2)
#define MEMORY (SLOTS * 10 + 3)

/* The fields whose stores are releases, by the labels of docs/protocol.md; R6 is the journal. */
#define R5 1
#ifndef MUTATE_RELAXED_CALLER_WORD
#define R2 3
#else
#define R2 R5
#endif
#ifndef MUTATE_RELAXED_SERVER_WORD
#define R3 8
#else
#define R3 R5
#endif
#define RELEASES(a)                                                                                \
    ((a) == JOURNAL || (a) < SERVER_ARMED && ((a) % 10 == R2 || (a) % 10 == R3 || (a) % 10 == R5))

/* Words: 3 bits of epoch, 3 of state, 2 of sequence. */
#define READY 2
#define SENDING 3
#define COMPLETED 4
#define ABANDONED 5
#define ACKNOWLEDGED 4
#define WORD(epoch, state, sequence) ((epoch) << 5 | (state) << 2 | (sequence))
#define EPOCH_OF(word) ((word) >> 5)
#define STATE_OF(word) ((word) >> 2 & 7)
#define SEQUENCE_OF(word) ((word) & 3)

/* Requests and responses are the call's name. */
#define NAME(epoch, sequence) ((epoch) << 2 | (sequence))
#define NAME_OF(word) NAME(EPOCH_OF(word), SEQUENCE_OF(word))
#define BIT(name) (1 << (name))
#define ENTRY(s, name) ((s) + 1 << 5 | (name))
#define OK 0
#define LOST 1
#define CANCELLED 2
#define ANSWER(result, name) ((result) << 5 | (name))

#include "memory.pml"

bool asleep[THREADS]; /* in the futex of its cell */

/* What only the checks remember: of each slot, a BIT for each request */
int journalled[SLOTS]; /* of which the journal was told */
int entered[SLOTS];    /* whose handler was entered */
int refused[SLOTS];    /* answered with lost or cancelled */

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

/* publish() */
inline answer_word(state)
{
    store(SERVER, SERVER_WORD(s), WORD(EPOCH_OF(word), state, SEQUENCE_OF(word)));
    answered = answered | 1 << s
}

/* publish_result() */
inline answer_request(result)
{
    store(SERVER, RESPONSE(s), ANSWER(result, NAME_OF(word)));
    answer_word(ACKNOWLEDGED)
}

inline write_journal()
{
    if
    :: d_step {
           put(SERVER, JOURNAL, ENTRY(s, NAME_OF(word)));
           journalled[s] = journalled[s] | BIT(NAME_OF(word))
       }
    OR_DIE(SERVER)
    fi
}

/* serve_request(): what the handler reads first and last. */
inline serve_request()
{
#ifndef MUTATE_LATE_JOURNAL
    write_journal();
#endif
    if
    :: d_step {
           assert(memory[REQUEST(s)] == NAME_OF(word));
           assert(!((entered[s] | refused[s]) & BIT(NAME_OF(word))));
           entered[s] = entered[s] | BIT(NAME_OF(word))
       }
    OR_DIE(SERVER)
    fi;
    assert(memory[REQUEST(s)] == NAME_OF(word));
#ifdef MUTATE_LATE_JOURNAL
    write_journal();
#endif
    answer_request(OK)
}

inline take_up()
{
    if
    :: STATE_OF(word) == SENDING -> serve_request()
    :: STATE_OF(word) == ABANDONED ->
       if
       :: before != WORD(EPOCH_OF(word), SENDING, SEQUENCE_OF(word)) ->
          d_step {
              assert(!(journalled[s] & BIT(NAME_OF(word))));
              refused[s] = refused[s] | BIT(NAME_OF(word))
          }
          answer_request(CANCELLED)
       :: else
       fi
    :: STATE_OF(word) == READY || STATE_OF(word) == COMPLETED ->
       if
       :: EPOCH_OF(before) != EPOCH_OF(word) -> answer_word(READY)
       :: else
       fi
    :: else
    fi
}

/* dx_server_begin(), of a slot. */
inline take_over()
{
    word = memory[CALLER_WORD(s)];
    d_step { /* the rest was written by the server before, and it is dead */
        before = READ(SERVER, SERVER_WORD(s));
        known = EPOCH_OF(before) == EPOCH_OF(word);
        pending = STATE_OF(word) == SENDING || STATE_OF(word) == ABANDONED;
        pending = pending && before != WORD(EPOCH_OF(word), ACKNOWLEDGED, SEQUENCE_OF(word));
#if defined MUTATE_IGNORE_JOURNAL
        begun = false;
#elif defined MUTATE_JOURNAL_WITHOUT_EPOCH
        begun = known && pending &&
                (READ(SERVER, JOURNAL) & 99) == (ENTRY(s, NAME_OF(word)) & 99);
#else
        begun = known && pending && READ(SERVER, JOURNAL) == ENTRY(s, NAME_OF(word));
#endif
#ifdef MUTATE_FORGET_PENDING
        pending = false;
#endif
        if
        :: begun ->
           assert(journalled[s] & BIT(NAME_OF(word)));
           refused[s] = refused[s] | BIT(NAME_OF(word))
        :: else
        fi;
        taken[s] = (begun || known && !pending -> word : 0);
        before = 0; known = false; pending = false
    }
    if
    :: begun -> answer_request(LOST); begun = false
    :: else
    fi;
    word = 0;
    store(SERVER, SERVER_CELL(s), 1)
}

/* ring_answered() */
inline ring_answered()
{
#ifndef MUTATE_NO_SERVER_FENCE
    DRAINED(SERVER);
#endif
    EACH_SLOT {
        if
        :: (answered & 1 << s) && memory[PARKED(s)] ->
           ring(SERVER, ARMED(s), RINGS(s), s)
        :: else
        fi
    }
    s = 0;
    answered = 0
}

/* serve_round() */
inline serve_round()
{
    EACH_SLOT {
        if
        :: memory[USED(s)] ->
           if
           :: d_step {
                  memory[CALLER_WORD(s)] != taken[s] ->
                  word = memory[CALLER_WORD(s)];
                  before = taken[s];
                  taken[s] = word;
                  news = true
              }
              take_up();
              word = 0;
              before = 0
           :: else
           fi
        :: else
        fi
    }
    s = 0;
    if
    :: answered -> ring_answered()
    :: else
    fi
}

/* look() */
inline server_looks()
{
    EACH_SLOT {
        if
        :: memory[USED(s)] ->
           if
           :: memory[CALLER_WORD(s)] != taken[s] -> news = true
           :: else
           fi
        :: else
        fi
    }
    s = 0
}

/* sleep_once() of a server. */
inline server_sleeps()
{
    rings = READ(SERVER, SERVER_RINGS);
    store(SERVER, SERVER_ARMED, rings << 1 | 1);
#ifndef MUTATE_NO_SERVER_ARM_FENCE
    DRAINED(SERVER);
#endif
#ifndef MUTATE_NO_SERVER_RECHECK
    server_looks();
#endif
    if
    :: !news ->
       futex_wait(SERVER, SERVER_RINGS);
end:
       if
       :: !asleep[SERVER]
       OR_DIE(SERVER)
       fi
    :: else -> rings = 0
    fi;
    store(SERVER, SERVER_ARMED, 0)
}

proctype server()
{
    byte taken[SLOTS];
    byte s, word, before, rings, seen, answered;
    bool news, known, pending, begun, won;
#if GREETED
    EACH_SLOT {
        taken[s] = WORD(1, READY, 0)
    }
    s = 0;
    goto serving;
#endif
life:
    store(SERVER, SERVER_ARMED, 0);
    store(SERVER, SERVER_RINGS, 0);
#ifndef MUTATE_NO_RING_OF_NEW_SERVER
    EACH_SLOT {
        ring(SERVER, ARMED(s), RINGS(s), s)
    }
    s = 0;
#endif
    EACH_SLOT {
        take_over()
    }
    s = 0;
    ring_answered();
serving:
    do
    :: serve_round();
       if
       :: !news -> server_sleeps()
       :: else
       fi;
       news = false
    od;
dead:
    deaths[SERVER]--;
    d_step {
        asleep[SERVER] = false;
        if
#ifndef MUTATE_NO_TIME_LIMIT_CALLER
        :: won -> asleep[s] = false
#endif
        :: else
        fi;
        EACH_SLOT {
            taken[s] = 0
        }
        s = 0; word = 0; before = 0; rings = 0; seen = 0; answered = 0;
        news = false; known = false; pending = false; begun = false; won = false
    }
    DRAINED(SERVER);
    goto life
}

init
{
    byte t;
    atomic {
        if
        :: true
        :: CALLER_DEATHS -> deaths[0] = CALLER_DEATHS
        :: SERVER_DEATHS -> deaths[SERVER] = SERVER_DEATHS
        :: CALLER_DEATHS && SERVER_DEATHS ->
           deaths[0] = CALLER_DEATHS;
           deaths[SERVER] = SERVER_DEATHS
        fi;
        for (t : 0 .. SLOTS - 1) {
#if GREETED
            memory[EPOCH(t)] = 1;
            memory[USED(t)] = 1;
            memory[CALLER_WORD(t)] = WORD(1, READY, 0);
            memory[SERVER_WORD(t)] = WORD(1, READY, 0);
            memory[SERVER_CELL(t)] = 1;
#endif
            run drain(t);
            run caller(t)
        }
        t = 0;
        run drain(SERVER);
        run server()
    }
}
