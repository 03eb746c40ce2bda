/* SPDX-License-Identifier: Apache-2.0 */
/* Answers by another thread of the server's process: serve_later.c. Part of slot.pml. */

/* What the process remembers, guarded by its lock. */
byte kept[SLOTS]; /* the word of the request that is pending; 0: none */
bool noted[SLOTS];
bool locked;

/* Of the process's death: its threads die one after the other, which is as good as together, since
 * who still runs is only faster. */
bool dying;
bool answering; /* the answerer is between two of its steps */

/* take() */
inline keep_request()
{
    store(SERVER, SERVER_WORD(s), WORD(EPOCH_OF(word), PROCESSING, SEQUENCE_OF(word)));
    kept[s] = word
}

/* dx_later_note(): in take_up(), of a word that is new. `kept_here`: the request is pending. */
inline note_word()
{
    if
    :: d_step {
           !locked ->
#ifndef MUTATE_NO_LATER_NOTE
           kept_here = kept[s] != 0;
#endif
           noted[s] = noted[s] || kept[s] != 0
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

/* answer() */
proctype answerer()
{
    byte s, word, now, seen;
    bool won;
end:
    do
    :: d_step {
           !locked && !dying && (SLOTS == 1 || kept[0]) && kept[0] ->
           locked = true;
           answering = true;
           word = kept[0]
       }
    progress_of_one:
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
       :: memory[PARKED(s)] -> later_ring()
       :: else
       fi;
       if
       :: d_step {
              DRAINED(ANSWERER) ->
              locked = false;
              answering = false;
              word = 0
          }
       OR_KILLED
       fi
    od;
killed:
    d_step {
        locked = false; answering = false; word = 0; now = 0; seen = 0; won = false
    }
    goto end
}
