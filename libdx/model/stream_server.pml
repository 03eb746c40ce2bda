/* SPDX-License-Identifier: Apache-2.0 */
/* The server's half of a stream: stream_serve.c. Part of stream.pml. */

inline ring_caller()
{
    if
    :: memory[PARKED] -> ring(SERVER, ARMED, RINGS, CALLER)
    :: else
    fi
}

inline answer(result)
{
    store(SERVER, RESULT, result);
    store(SERVER, SERVER_WORD, WORD(EPOCH_OF(word), ACKNOWLEDGED, SEQUENCE_OF(word)));
    FENCE(SERVER);
    ring_caller()
}

/* refresh() */
inline server_refresh()
{
    failed = failed || memory[CALLER_WORD] != word;
    if
    :: !failed ->
       d_step {
           seen = memory[CALLER_SENT];
           assert(COUNT(seen) >= arrived && COUNT(seen) - read <= 1);
           assert(!ended || seen == (arrived | END));
           arrived = COUNT(seen);
           ended = seen >= END;
           seen = 0
       }
       d_step {
           seen = memory[CALLER_TAKEN];
           assert(seen >= taken && seen <= written);
           taken = seen;
           seen = 0
       }
    :: else
    fi
}

#define NEWS                                                                                       \
    (waits_to_write -> failed || written - taken < 1 : failed || ended || arrived > read)

/* The thread's cell is one for calls and streams. `label` names where it sleeps. */
#define SERVER_SLEEPS(label, looks, there)                                                         \
    rings = READ(SERVER, SERVER_RINGS);                                                            \
    store(SERVER, SERVER_ARMED, rings << 1 | 1);                                                   \
    SERVER_ARM_FENCE;                                                                              \
    looks;                                                                                         \
    if                                                                                             \
    :: there -> rings = 0                                                                          \
    :: else ->                                                                                     \
       futex_wait(SERVER, SERVER_RINGS);                                                           \
       label if                                                                                    \
       :: !asleep[SERVER]                                                                          \
       OR_DIE(SERVER)                                                                              \
       fi;                                                                                         \
       looks                                                                                       \
    fi;                                                                                            \
    store(SERVER, SERVER_ARMED, 0)

#ifndef MUTATE_STREAM_NO_SERVER_ARM_FENCE
#define SERVER_ARM_FENCE FENCE(SERVER)
#else
#define SERVER_ARM_FENCE skip
#endif

/* dx_stream_await() */
inline server_waits(to_write)
{
    waits_to_write = to_write;
    server_refresh();
    do
    :: NEWS -> break
    :: else -> SERVER_SLEEPS(/* none */, server_refresh(), NEWS)
    od
}

/* The handler: it sends each item back. */
inline handle()
{
    do
#if EARLY
    :: true -> break
#endif
    :: true ->
       server_waits(false);
       if
       :: !failed && arrived > read ->
          assert(memory[REQUEST] == ITEM(NAME_OF(word), read));
          read++;
          store(SERVER, SERVER_TAKEN, read);
#ifndef MUTATE_STREAM_NO_TAKEN_FENCE
          FENCE(SERVER);
#endif
          ring_caller();
          server_waits(true);
          if
          :: !failed ->
             store(SERVER, RESPONSE, ITEM(NAME_OF(word), written));
             written++;
             store(SERVER, SERVER_SENT, written);
             FENCE(SERVER);
             ring_caller()
          :: else -> break
          fi
       :: else -> break
       fi
    od
}

/* begin() and conclude() */
inline serve_stream()
{
    store(SERVER, JOURNAL, NAME_OF(word));
#ifdef MUTATE_STREAM_PROCESSING_TOO_EARLY
    store(SERVER, SERVER_WORD, WORD(EPOCH_OF(word), PROCESSING, SEQUENCE_OF(word)));
#endif
    store(SERVER, SERVER_TAKEN, 0);
    store(SERVER, SERVER_SENT, 0);
#ifndef MUTATE_STREAM_PROCESSING_TOO_EARLY
    store(SERVER, SERVER_WORD, WORD(EPOCH_OF(word), PROCESSING, SEQUENCE_OF(word)));
#endif
    d_step {
        assert(!(entered & BIT(NAME_OF(word))));
        entered = entered | BIT(NAME_OF(word));
        written = 0; taken = 0; arrived = 0; read = 0; ended = false; failed = false
    }
    handle();
    server_refresh();
    if
    :: !failed -> store(SERVER, SERVER_SENT, written | END); answer(OK)
    :: else -> answer(CANCELLED)
    fi;
    d_step {
        written = 0; taken = 0; arrived = 0; read = 0; ended = false; failed = false;
        waits_to_write = false
    }
}

inline take_up()
{
    before = word;
    word = memory[CALLER_WORD];
    if
    :: STATE_OF(word) == SENDING -> serve_stream()
    :: STATE_OF(word) == ABANDONED && before != WORD(EPOCH_OF(word), SENDING, SEQUENCE_OF(word)) ->
       answer(CANCELLED)
    :: (STATE_OF(word) == READY || STATE_OF(word) == COMPLETED) &&
       EPOCH_OF(before) != EPOCH_OF(word) ->
       store(SERVER, SERVER_WORD, WORD(EPOCH_OF(word), READY, SEQUENCE_OF(word)));
       FENCE(SERVER);
       ring_caller()
    :: else
    fi;
    before = 0
}

/* dx_server_begin(): what the last server had begun is lost. */
inline take_over()
{
    word = memory[CALLER_WORD];
    d_step {
        before = READ(SERVER, SERVER_WORD);
        known = EPOCH_OF(before) == EPOCH_OF(word);
        pending = known && (STATE_OF(word) == SENDING || STATE_OF(word) == ABANDONED) &&
                  before != WORD(EPOCH_OF(word), ACKNOWLEDGED, SEQUENCE_OF(word));
#ifndef MUTATE_STREAM_RUN_AGAIN
        begun = pending && (READ(SERVER, JOURNAL) == NAME_OF(word) ||
                            before == WORD(EPOCH_OF(word), PROCESSING, SEQUENCE_OF(word)));
#endif
        before = 0
    }
    if
    :: begun -> answer(LOST)
    :: !begun && (pending || !known) -> word = 0
    :: else
    fi;
    d_step { begun = false; known = false; pending = false }
}

proctype server()
{
    byte word, before, written, taken, arrived, read, rings, seen;
    bool ended, failed, waits_to_write, begun, known, pending, won;
    word = WORD(1, READY, 0);
    goto serving;
life:
    store(SERVER, SERVER_ARMED, 0);
    store(SERVER, SERVER_RINGS, 0);
    ring(SERVER, ARMED, RINGS, CALLER);
    take_over();
    ring_caller();
serving:
    do
    :: memory[CALLER_WORD] != word -> take_up()
    :: else -> SERVER_SLEEPS(end_asleep:, skip, memory[CALLER_WORD] != word)
    od;
dead:
    deaths[SERVER]--;
    d_step {
        asleep[SERVER] = false;
        if
        :: won -> asleep[CALLER] = false
        :: else
        fi;
        word = 0; before = 0; written = 0; taken = 0; arrived = 0; read = 0; rings = 0; seen = 0;
        ended = false; failed = false; waits_to_write = false; begun = false; known = false;
        pending = false; won = false
    }
    FENCE(SERVER);
    goto life
}
