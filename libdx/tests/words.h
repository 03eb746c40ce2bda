/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a slot played by the test, word by word, against the real other side. */
#ifndef DX_TEST_WORDS_H
#define DX_TEST_WORDS_H

#include "atomic.h"
#include "pair.h"
#include "slot.h"

/* The slot that the test plays, and the one that it uses to know how far the server has come. */
#define PLAYED 0u
#define FENCE 1u

#define WORDS_CAPACITY 64u

static inline struct dx_config words_config(void)
{
    return (struct dx_config){
        .slots = 2, .request_capacity = WORDS_CAPACITY, .response_capacity = WORDS_CAPACITY};
}

static inline uint64_t server_word(const struct pair *p, uint32_t slot)
{
    return dx_load_acquire(&p->host->server_lines[slot].word);
}

/* Publishes a caller's word on a host slot and rings who serves it. */
static inline void play_caller(struct pair *p, uint32_t slot, uint64_t word)
{
    dx_store_seqcst(&p->host->caller_lines[slot].word, word);
    uint32_t cell = dx_load_seqcst(&p->host->server_lines[slot].cell);
    if (cell != 0)
        (void)dx_cell_ring(&p->host->cells[cell - 1]);
}

/* Plays the caller's request fields. */
static inline void play_request(struct pair *p, uint32_t slot, uint32_t type, uint32_t bytes)
{
    dx_store_relaxed(&p->host->caller_lines[slot].type, type);
    dx_store_relaxed(&p->host->caller_lines[slot].request_bytes, bytes);
}

static inline void await_server_word(const struct pair *p, uint32_t slot, uint64_t word)
{
    while (server_word(p, slot) != word)
        (void)sched_yield();
}

/* Returns once the server has looked at every slot since the call. A server goes round its slots:
 * the round that answers the second ping began after the one that answered the first. */
static inline void fence(struct pair *p)
{
    uint64_t word = dx_load_relaxed(&p->host->caller_lines[FENCE].word);
    play_request(p, FENCE, DX_TYPE_PING, 0);
    for (uint32_t i = 1; i <= 2; i++) {
        uint32_t sequence = dx_word_sequence(word) + i;
        play_caller(p, FENCE, dx_word(p->host->epoch, DX_CALLER_SENDING, sequence));
        await_server_word(p, FENCE, dx_word(p->host->epoch, DX_SERVER_ACKNOWLEDGED, sequence));
    }
}

/* As if two callers were open on the host's side. */
static inline void show_slots(struct pair *p)
{
    dx_store_release(&p->host->peers[DX_HOST].slots_used, 2u);
}

#endif
