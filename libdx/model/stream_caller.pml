/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's half of a stream: stream_caller.c. Part of stream.pml. */

inline publish(state)
{
    store(CALLER, CALLER_WORD, WORD(epoch, state, sequence));
    FENCE(CALLER)
}

inline ring_server() { ring(CALLER, SERVER_ARMED, SERVER_RINGS, SERVER) }

#define SAYS(state) (memory[SERVER_WORD] == WORD(epoch, state, sequence))

/* refresh(). Progress words are of this stream once the server's word says so. */
inline caller_refresh()
{
    d_step {
        answered = answered || SAYS(ACKNOWLEDGED);
#ifndef MUTATE_STREAM_NO_ACCEPTANCE
        accepted = accepted || answered || SAYS(PROCESSING)
#else
        accepted = true
#endif
    }
    if
    :: accepted ->
       d_step {
           seen = memory[SERVER_SENT];
           assert(COUNT(seen) >= arrived && COUNT(seen) - read <= 1);
           assert(!ended || seen == (arrived | END));
           arrived = COUNT(seen);
           ended = seen >= END;
           seen = 0
       }
       d_step {
           seen = memory[SERVER_TAKEN];
           assert(seen >= taken && seen <= written);
           taken = seen;
           seen = 0
       }
    :: else
    fi
}

#define WRITABLE 1
#define READABLE 2
#define ANSWERED 4
#define GREETED 8 /* no stream is open, and the server's word is the one that is awaited */
#define THERE                                                                                      \
    (answered || (events & WRITABLE) && written - taken < 1 ||                                     \
     (events & READABLE) && (ended || arrived > read))

inline caller_looks()
{
    if
    :: events == GREETED -> answered = (memory[SERVER_WORD] == awaited)
    :: else -> caller_refresh()
    fi
}

/* sleep_once() of a caller. */
inline caller_sleeps()
{
    rings = READ(CALLER, RINGS);
    store(CALLER, ARMED, rings << 1 | 1);
    if
    :: !parked -> store(CALLER, PARKED, 1); parked = true
    :: else
    fi;
#ifndef MUTATE_STREAM_NO_CALLER_ARM_FENCE
    FENCE(CALLER);
#endif
#ifndef MUTATE_STREAM_NO_CALLER_RECHECK
    caller_looks();
#endif
    if
    :: THERE -> rings = 0
    :: else ->
       futex_wait(CALLER, RINGS);
       if
       :: !asleep[CALLER]
#if CANCELS
       :: d_step { asleep[CALLER] && events != GREETED -> asleep[CALLER] = false; gives_up = true }
#endif
       OR_DIE(CALLER)
       fi;
       caller_looks()
    fi;
    store(CALLER, ARMED, 0)
}

/* dx_stream_await(), and the wait for the server's word between two streams. */
inline await(for_what)
{
    events = for_what;
    caller_looks();
    do
    :: THERE || gives_up -> break
    :: else -> caller_sleeps()
    od;
    if
    :: parked -> store(CALLER, PARKED, 0); parked = false
    :: else
    fi;
#if CANCELS
    if
    :: events != GREETED -> gives_up = true
    :: true
    fi;
#endif
    events = 0
}

#define GOES_ON (!answered && !gives_up)

inline write_items()
{
    do
    :: GOES_ON && written < ITEMS ->
       await(WRITABLE);
       if
       :: GOES_ON ->
          store(CALLER, REQUEST, ITEM(epoch << 2 | sequence, written));
          written++;
          store(CALLER, CALLER_SENT, written);
#ifndef MUTATE_STREAM_NO_SENT_FENCE
          FENCE(CALLER);
#endif
          ring_server()
       :: else
       fi
    :: else -> break
    od
}

/* An answer ends the waits; what had arrived before it is read all the same. */
inline read_items(least)
{
    do
    :: !gives_up && arrived > read ->
#ifdef MUTATE_STREAM_TAKEN_TOO_EARLY
       store(CALLER, CALLER_TAKEN, read + 1);
       FENCE(CALLER);
#endif
       assert(memory[RESPONSE] == ITEM(epoch << 2 | sequence, read));
       read++;
       store(CALLER, CALLER_TAKEN, read);
       FENCE(CALLER);
       ring_server()
    :: GOES_ON && arrived == read && !ended && read < least -> await(READABLE)
    :: else -> break
    od
}

/* dx_stream_open() */
inline open_stream()
{
    sequence++;
#ifndef MUTATE_STREAM_NO_RESET
    store(CALLER, CALLER_SENT, 0);
    store(CALLER, CALLER_TAKEN, 0);
#endif
    d_step {
        answered = false; accepted = false; ended = false;
        written = 0; taken = 0; arrived = 0; read = 0
    }
    publish(SENDING);
    ring_server()
}

/* dx_stream_end() */
inline end_stream()
{
    store(CALLER, CALLER_SENT, written | END);
    FENCE(CALLER);
    ring_server();
    do
    :: GOES_ON -> await((ended -> ANSWERED : READABLE)); read_items(0)
    :: else -> break
    od;
    if
    :: answered ->
       caller_refresh();
       read_items(0);
       seen = memory[RESULT];
       d_step {
           assert(seen == OK || seen == LOST && SERVER_DEATHS);
           assert(seen == LOST || (entered & BIT(epoch << 2 | sequence)));
           assert(seen == LOST || EARLY || ended && read == ITEMS);
           seen = 0
       }
    :: else
    fi
}

proctype caller()
{
    byte epoch, sequence, streams, written, taken, arrived, read, events, awaited, rings, seen;
    bool accepted, answered, ended, parked, gives_up, won;
    epoch = 1;
    goto begun;
life:
    epoch = READ(CALLER, EPOCH) + 1;
    store(CALLER, PARKED, 0);
    store(CALLER, ARMED, 0);
    store(CALLER, RINGS, 0);
    publish(READY);
    store(CALLER, EPOCH, epoch);
    FENCE(CALLER);
    ring_server();
    awaited = WORD(epoch, READY, 0);
    await(GREETED);
begun:
    do
    :: streams < STREAMS ->
       streams++;
       open_stream();
       write_items();
       read_items(ITEMS);
       if
       :: !gives_up -> end_stream()
       :: else
       fi;
       if
       :: answered -> gives_up = false
       :: else ->
          gives_up = false;
          publish(ABANDONED);
          ring_server();
#ifndef MUTATE_STREAM_REUSE_CANCELLED
          awaited = WORD(epoch, ACKNOWLEDGED, sequence);
          await(GREETED)
#endif
       fi
    :: else -> break
    od;
    publish(COMPLETED);
    goto over;
dead:
    deaths[CALLER]--;
    d_step {
        asleep[CALLER] = false;
        if
        :: won -> asleep[SERVER] = false
        :: else
        fi;
        epoch = 0; sequence = 0; streams = 0; written = 0; taken = 0; arrived = 0; read = 0;
        events = 0; awaited = 0; rings = 0; seen = 0;
        accepted = false; answered = false; ended = false; parked = false; gives_up = false;
        won = false
    }
    FENCE(CALLER);
    goto life;
over:
    skip
}
