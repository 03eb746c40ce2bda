/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slot protocol. Each side of a slot publishes one 64-bit word that holds everything about
 * its state, so that one store changes it and a value of an earlier life can never look current:
 *
 *   63 ........ 40 | 39 ..... 32 | 31 ........ 0
 *   epoch (caller) |    state    |   sequence
 *
 * The epoch is the calling side's; the server echoes it. A request is published by storing
 * (epoch, SENDING, n) into the caller's word, answered by (epoch, ACKNOWLEDGED, n) in the server's.
 * Nothing else is needed for a call: a caller compares the server's word with the one value it
 * awaits, and a server compares each caller's word with the one it has seen last.
 *
 * Pairs (docs/protocol.md): R2 -> A2 carries the request, R3 -> A3 the response. S1 <-> S2 and
 * S3 <-> S4 keep wake-ups from being lost: publish, then look for a sleeper; announce the sleep,
 * then look for news.
 */
#ifndef DX_SLOT_H
#define DX_SLOT_H

#include <stdint.h>

#include "atomic.h"
#include "dx_protocol.h"
#include "layout.h"

static inline uint64_t dx_word(uint32_t epoch, uint32_t state, uint32_t sequence)
{
    return (uint64_t)(epoch & DX_EPOCH_MASK) << DX_WORD_EPOCH_SHIFT |
           (uint64_t)state << DX_WORD_STATE_SHIFT | sequence;
}

static inline uint32_t dx_word_epoch(uint64_t word)
{
    return (uint32_t)(word >> DX_WORD_EPOCH_SHIFT);
}

static inline uint32_t dx_word_state(uint64_t word)
{
    return (uint32_t)(word >> DX_WORD_STATE_SHIFT) & DX_WORD_STATE_MASK;
}

static inline uint32_t dx_word_sequence(uint64_t word)
{
    return (uint32_t)word;
}

/* The sequence may wrap: words are only ever compared for equality, and the two words of a slot
 * are never more than one call apart. */

/* Caller: publishes its word. The caller then looks whether the server sleeps (wait_cell.h). */
static inline void dx_caller_publish(struct dx_caller_line *line, uint64_t word)
{
    /* R2 -> A2 (slot.h): request bytes, type and payload before the word.
     * S1 <-> S2 (serve.c): the word before the look at the server's cell.
     * This is a plain store and a fence after it, not one exchange. A locked instruction would come
     * some time after the stores of the request's fields. Meanwhile the server, which looks at the
     * line all the time, would take it away, and it would be fetched twice. Calls were 16 to 23 %
     * faster without that (docs/measurements/calls.md). */
    dx_store_release(&line->word, word);
    dx_fence_store_load();
}

/* Caller: reads the server's word. */
static inline uint64_t dx_caller_observe(const struct dx_server_line *line)
{
    /* A3 <- R3: response bytes, status, result and payload are there when the word is. */
    return dx_load_acquire(&line->word);
}

/* Server: publishes its word. dx_fence_store_load() must follow before the server looks whether
 * the caller sleeps. It is a call of its own, so that one fence serves a whole round over the
 * slots.
 */
static inline void dx_server_publish(struct dx_server_line *line, uint64_t word)
{
    /* R3 -> A3: response bytes, status, result and payload before the word. */
    dx_store_release(&line->word, word);
}

/* Server: reads the caller's word. */
static inline uint64_t dx_server_observe(const struct dx_caller_line *line)
{
    /* A2 <- R2: request bytes, type and payload are there when the word is. */
    return dx_load_acquire(&line->word);
}

#endif
