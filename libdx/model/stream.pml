/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of docs/protocol.md, for spin; check.sh runs it. One slot, one caller and one server, whose
 * handler sends back each item that it reads. Rings have room for one item. Names are those of libdx.
 *
 * What is checked:
 *   - assertions: an item is read as it was written, once and in order, and its place is written again
 *     only after that; no progress word is taken for one of another stream; a stream that ends well was
 *     sent back whole; a handler is entered at most once for a stream, and the caller learns the truth;
 *   - no invalid end state: sleeps have no time limit, so that a lost wake-up is a deadlock. Only the
 *     server may sleep for ever, once the caller has ended.
 *
 * What slot.pml says of deaths, of looks and of mutations holds here, too.
 */

#ifndef STREAMS
#define STREAMS 1 /* by each life of the caller */
#endif
#ifndef ITEMS
#define ITEMS 2 /* of each stream, at most 3 */
#endif
#ifndef CALLER_DEATHS
#define CALLER_DEATHS 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#ifndef CANCELS
#define CANCELS 0 /* 1: the caller may give a stream up, at any time */
#endif
#ifndef EARLY
#define EARLY 0 /* 1: the handler may return at any time */
#endif

#define SLOTS 1
#define CALLER 0
#define SERVER 1
#define THREADS 2

/* Memory: what the caller stores, and what the server stores; the last ones are rung by both. */
#define REQUEST 0 /* the ring's one place */
#define CALLER_SENT 1
#define CALLER_TAKEN 2
#define CALLER_WORD 3
#define PARKED 4
#define EPOCH 5
#define RESPONSE 6
#define SERVER_SENT 7
#define SERVER_TAKEN 8
#define SERVER_WORD 9
#define RESULT 10
#define JOURNAL 11
#define ARMED 12
#define RINGS 13
#define SERVER_ARMED 14
#define SERVER_RINGS 15
#define MEMORY 16

/* R2, R3, R6, R7, R12 and R13 of docs/protocol.md. */
#ifndef MUTATE_STREAM_RELAXED_SENT
#define R12(a) ((a) == CALLER_SENT || (a) == SERVER_SENT)
#else
#define R12(a) false
#endif
#define RELEASES(a)                                                                                \
    (R12(a) || (a) == CALLER_TAKEN || (a) == SERVER_TAKEN || (a) == CALLER_WORD ||                 \
     (a) == SERVER_WORD || (a) == JOURNAL || (a) == PARKED)

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
#define NAME_OF(word) (EPOCH_OF(word) << 2 | SEQUENCE_OF(word))
#define BIT(name) (1 << (name))

#define OK 0
#define LOST 1
#define CANCELLED 2

/* Item n of a stream, and a progress word: how many, and whether no more will come. */
#define ITEM(name, n) ((name) << 2 | (n) + 1)
#define END 8
#define COUNT(sent) ((sent) & 7)

#define LONG_BUFFER /* a handler may return before anything of its stream has drained */
#include "memory.pml"

#include "cell.pml"

int entered; /* a BIT for each stream whose handler was entered */

#define FENCE(t) DRAINED(t)

#include "stream_caller.pml"
#include "stream_server.pml"

init
{
    atomic {
        if
        :: true
        :: CALLER_DEATHS -> deaths[CALLER] = CALLER_DEATHS
        :: SERVER_DEATHS -> deaths[SERVER] = SERVER_DEATHS
        fi;
        memory[EPOCH] = 1;
        memory[CALLER_WORD] = WORD(1, READY, 0);
        memory[SERVER_WORD] = WORD(1, READY, 0);
        run drain(CALLER);
        run caller();
        run drain(SERVER);
        run server()
    }
}
