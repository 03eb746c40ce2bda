/* SPDX-License-Identifier: Apache-2.0 */
/* The server: taking over, serving and how it waits. Part of slot.pml. */

#if LATER
#define NOT_KEPT !is_kept &&
#else
#define NOT_KEPT
#endif

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
    if
    :: answer_request(OK)
#if LATER
    :: keep_request()
#endif
    fi
}

inline take_up()
{
#if LATER
    note_word();
#endif
    if
#if LATER
    :: is_kept -> is_kept = false
#endif
    :: NOT_KEPT STATE_OF(word) == SENDING -> serve_request()
    :: NOT_KEPT STATE_OF(word) == ABANDONED ->
       if
       :: before != WORD(EPOCH_OF(word), SENDING, SEQUENCE_OF(word)) ->
          d_step {
              assert(!(journalled[s] & BIT(NAME_OF(word))));
              refused[s] = refused[s] | BIT(NAME_OF(word))
          }
          answer_request(CANCELLED)
       :: else
       fi
    :: NOT_KEPT (STATE_OF(word) == READY || STATE_OF(word) == COMPLETED) ->
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
#if LATER && !defined MUTATE_ASK_THE_JOURNAL_ALONE
        begun = begun || known && pending && STATE_OF(before) == PROCESSING &&
                         SEQUENCE_OF(before) == SEQUENCE_OF(word);
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
#if LATER
    bool is_kept;
#endif
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
#if LATER
        ;
        is_kept = false;
        dying = true
#endif
    }
#if LATER
    d_step {
        !answering ->
        EACH_SLOT {
            kept[s] = 0;
            noted[s] = false
        }
        s = 0;
        dying = false
    }
    DRAINED(ANSWERER);
#endif
    DRAINED(SERVER);
    goto life
}
