/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are answered later, by any thread. The slot's word says PROCESSING meanwhile, as
 * with a stream: a caller sees that its request was taken up, and a server that takes over from a
 * dead process knows that it had begun. While a request is pending, only whoever answers it writes
 * the server's line. The serving thread takes note of what the caller's word says, and no more.
 *
 * One lock guards all pending requests of the process, so that a token of a channel that was closed
 * is found out.
 */
#ifndef DX_SERVE_LATER_H
#define DX_SERVE_LATER_H

#include "channel.h"
#include "dx_answer.h"

struct dx_pending;

/* What a channel has pending. */
struct dx_later {
    struct dx_channel *channel;
    struct dx_later *next; /* of the process */
    uint64_t id;           /* by which tokens name it; never used again */
    uint32_t base;         /* first slot of the calling side */
    uint32_t count;        /* slots of the calling side */
    bool used;             /* there has been a token */
    _Atomic uint32_t pending;
    /* What was answered since the last dx_later_count. */
    _Atomic uint64_t calls;
    _Atomic uint64_t response_bytes;
    _Atomic uint64_t errors;
    struct dx_pending *slots;
};

/* Makes room, once for each channel. */
dx_status dx_later_begin(struct dx_channel *channel);

/* Serving has ended: forgets the channel if nothing was ever answered later. */
void dx_later_release(struct dx_channel *channel);

/* Answers what is left with DX_RESULT_LOST, and forgets the channel. */
void dx_later_end(struct dx_channel *channel);

/* The word of the request that is pending on a slot; 0: none. */
uint64_t dx_later_word(struct dx_later *later, uint32_t slot);

/* Is a request pending on this slot? Then takes note that the caller's word is `word` now, and
 * wakes those who wait for that. */
bool dx_later_note(struct dx_later *later, uint32_t slot, uint64_t word);

/* Wakes those who wait for the end of a caller: nobody serves any more. */
void dx_later_wake(void);

/* Adds what was answered to the counters, whose only writer is the calling thread. */
void dx_later_count(struct dx_later *later, struct dx_counters *counters);

/* Is anything pending? Cheap, for each word that is taken up. NULL: no. */
static inline bool dx_later_any(const struct dx_later *later)
{
    /* A16 <- R16: the words of whoever answered. */
    return later != NULL && dx_load_acquire(&later->pending) != 0;
}

#endif
