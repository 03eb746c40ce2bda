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
#ifndef LATER
#define LATER 0 /* 1: any request may be answered later, by another thread of the server's process */
#endif
#ifndef GREETED
#define GREETED 0 /* 1: begins where the server has greeted all callers */
#endif

#if SLOTS > 1
#define EACH_SLOT for (s : 0 .. SLOTS - 1)
#else
#define EACH_SLOT /* s is 0 */
#endif

/* Threads: callers, by slot, the server, and who answers later. */
#define SERVER SLOTS
#define ANSWERER (SLOTS + 1)
#define THREADS (SLOTS + 1 + LATER)

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
#define PROCESSING 3
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

#include "cell.pml"

/* What only the checks remember: of each slot, a BIT for each request */
int journalled[SLOTS]; /* of which the journal was told */
int entered[SLOTS];    /* whose handler was entered */
int refused[SLOTS];    /* answered with lost or cancelled */

#include "caller.pml"
#if LATER
#include "later.pml"
#endif
#include "server.pml"

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
#if LATER
        run drain(ANSWERER);
        run answerer();
#endif
        run drain(SERVER);
        run server()
    }
}
