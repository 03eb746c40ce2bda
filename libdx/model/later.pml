/* SPDX-License-Identifier: Apache-2.0 */
/* Answers by another thread of the server's process: serve_later.c. Part of slot.pml. */

/* What the process remembers, guarded by its lock. */
byte kept[SLOTS]; /* the word of the request that is pending; 0: none */
bool noted[SLOTS];
bool locked;

/* The process dies: one thread after the other, which is as good as together, as the one that
 * still runs could have been faster. It does not die within a ring. */
bool dying;
bool answering; /* the answerer has the lock */

/* take() */
inline keep_request()
{
    store(SERVER, SERVER_WORD(s), WORD(EPOCH_OF(word), PROCESSING, SEQUENCE_OF(word)));
#ifndef MUTATE_NO_TAKE_FENCE
    DRAINED(SERVER); /* else it could come after the answer of who gets the token */
#endif
    kept[s] = word
}

/* dx_later_note(): in take_up(), of a word that is new. `kept_here`: the request is pending. */
inline note_word()
{
    if
    :: d_step {
           !locked ->
#ifndef MUTATE_NO_LATER_NOTE
           is_kept = kept[s] != 0;
#endif
           noted[s] = is_kept
       }
    OR_DIE(SERVER)
    fi
}

#define OR_KILLED :: dying -> goto killed

inline later_store(a, v)
{
    if
    :: d_step { put(ANSWERER, a, v) }
    OR_KILLED
    fi
}

/* Takes the lock for the request that is pending on slot n. */
#define OF_SLOT(n)                                                                                 \
    d_step {                                                                                       \
        !locked && !dying && kept[n] ->                                                            \
        locked = true;                                                                             \
        answering = true;                                                                          \
        s = n;                                                                                     \
        word = kept[n]                                                                             \
    }

/* answer() */
proctype answerer()
{
    byte s, word, now, seen;
    bool won;
end:
    do
    :: if
       :: OF_SLOT(0)
#if SLOTS > 1
       :: OF_SLOT(1)
#endif
       fi;
       later_store(RESPONSE(s), ANSWER(OK, NAME_OF(word)));
       later_store(SERVER_WORD(s), WORD(EPOCH_OF(word), ACKNOWLEDGED, SEQUENCE_OF(word)));
       now = memory[CALLER_WORD(s)];
       if
#ifndef MUTATE_NO_LATER_GREETING
       :: noted[s] && EPOCH_OF(now) != EPOCH_OF(word) ->
          later_store(SERVER_WORD(s), WORD(EPOCH_OF(now), READY, SEQUENCE_OF(now)))
#endif
       :: else
       fi;
       now = 0;
       if
       :: d_step {
#ifndef MUTATE_NO_LATER_FENCE
              DRAINED(ANSWERER) ->
#else
              true ->
#endif
              kept[s] = 0;
              noted[s] = false
          }
       OR_KILLED
       fi;
       if
       :: memory[PARKED(s)] -> ring(ANSWERER, ARMED(s), RINGS(s), s)
       :: else
       fi;
       if
       :: d_step {
              DRAINED(ANSWERER) ->
              locked = false;
              answering = false;
              word = 0;
              s = 0
          }
       OR_KILLED
       fi
    od;
dead: /* which ring() wants; it comes to its end there */
killed:
    now = 0;
    d_step {
        locked = false; answering = false; word = 0; s = 0; seen = 0; won = false
    }
    goto end
}
