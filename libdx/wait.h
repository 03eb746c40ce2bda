/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait strategy at work: dx_wait.h says what the parameters mean, this runs them.
 *
 * The first looks of a wait are inlined where the wait happens (in exchange() of caller.c, in the
 * round over the slots of a server), because a wait that is answered at once must cost
 * nothing. What follows, yields and sleeps and deadlines, is dx_wait_on, which works on a source:
 * something that can be looked at and that has a cell to sleep in.
 */
#ifndef DX_WAITER_H
#define DX_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"
#include "dx_protocol.h"
#include "dx_wait.h"
#include "layout.h"
#include "wait_cell.h"
#include "wait_hardware.h"
#include "wait_turn.h"

/* Looks between two checks of the clock and the peer while spinning. */
#define DX_CHECK_LOOKS 1024u

/* How a wait ended, or has got so far. */
enum dx_phase { DX_PHASE_SPIN, DX_PHASE_YIELD, DX_PHASE_PARK };

/* What waiting costs on this machine, measured when a channel opens. */
struct dx_wait_cost {
    int64_t look_ps; /* one look */
    int64_t park_ns; /* a park and its wake-up; 0 where nobody asked (DX_ADAPT_COST does) */
    uint32_t cpus;   /* more threads than these that spin are too many */
};

/* How one thread waits: its strategy, its present limit, and where it counts. */
struct dx_waiter {
    struct dx_wait wait;
    uint32_t limit; /* looks */
    uint32_t cpus;  /* as in the cost */
    struct dx_turn turn;
    struct dx_counters *counters;
    int64_t spin_max_ns; /* what spin_max looks take */
    uint32_t wasted;     /* waits in a row that spun for spin_max looks and found nothing */
    uint64_t won;        /* how many waits had ended without a sleep at the last count */
    int64_t owed_ns;     /* how long to sleep before spinning is tried again */
    /* DX_RELAX_HARDWARE: how to rest, on which word, and what it is compared with. NULL: PAUSE. */
    dx_hardware_wait *rest;
    const _Atomic uint64_t *watched;
    const uint64_t *watched_value;
    bool until_equal;
    int64_t liveness_ns; /* DX_LIVENESS_NS, except in tests */
    int64_t idle_ns;     /* how long a sleep may become; 0 for a caller, who is in a call */
};

struct dx_channel;

/* What is waited for. */
struct dx_source {
    /* True if there is news. Called in all phases; after arming it must not miss news that was
     * published before the arming (a fence stands between). */
    bool (*look)(void *user);
    /* Returns DX_OK while it makes sense to wait, or why the wait ends. May make system calls. */
    dx_status (*check)(void *user);
    /* Called before the first sleep and after the last. NULL: nobody needs to know. */
    void (*parked)(void *user, bool on);
    /* Returns how to sleep now (enum dx_park), which depends on who can wake us. NULL: as the
     * strategy says. */
    uint32_t (*park)(const struct dx_channel *channel);
    /* Sleeps. NULL: dx_cell_wait. */
    enum dx_slept (*sleep)(struct dx_channel *channel, struct dx_cell *cell, uint32_t armed,
                           const struct dx_wait *wait, int64_t timeout_ns);
    _Atomic uint64_t *found; /* counts the sleeps that ended with news; NULL: nobody asks */
    bool cancels;            /* between two sleeps the thread may be cancelled (pthread_cancel) */
    struct dx_channel *channel;
    void *user;
    struct dx_cell *cell;
};

/* Prepares a waiter. With DX_ADAPT_COST spin_max is lowered to what a park costs. */
void dx_waiter_init(struct dx_waiter *waiter, const struct dx_wait *wait,
                    const struct dx_wait_cost *cost, struct dx_counters *counters);

/* Measures one look; takes some 0.1 ms. */
int64_t dx_wait_look_ps(uint32_t relax);

/* Do more threads of this process spin than it has CPUs? DX_ADAPT_LOAD only. */
bool dx_waiter_crowded(const struct dx_waiter *waiter);

/* How many looks to take before the first yield or sleep. */
static inline uint32_t dx_waiter_first_looks(const struct dx_waiter *waiter)
{
    if (dx_unlikely(waiter->wait.adapt == DX_ADAPT_LOAD) && dx_waiter_crowded(waiter))
        return 1;
    uint32_t every = waiter->wait.yield_every;
    if (every == 0 || every > DX_CHECK_LOOKS)
        every = DX_CHECK_LOOKS; /* then the deadline is due */
    return every < waiter->limit ? every : waiter->limit;
}

/* DX_RELAX_HARDWARE: rests until the watched word may be news, or some microseconds. */
void dx_waiter_rest(const struct dx_waiter *waiter);

/* Says on which word a rest waits: until it equals *value, or until it differs from it. The word
 * and *value must live as long as the waiter. */
static inline void dx_waiter_watch(struct dx_waiter *waiter, const _Atomic uint64_t *word,
                                   const uint64_t *value, bool until_equal)
{
    waiter->watched = word;
    waiter->watched_value = value;
    waiter->until_equal = until_equal;
}

static inline void dx_waiter_relax(const struct dx_waiter *waiter)
{
    if (dx_likely(waiter->wait.relax == DX_RELAX_PAUSE))
        dx_relax_pause();
    else if (dx_unlikely(waiter->wait.relax == DX_RELAX_HARDWARE))
        dx_waiter_rest(waiter);
}

/* Gives the CPU away and counts it. */
void dx_waiter_yield(struct dx_waiter *waiter);

/* Before a call: ends the thread's turn if this was the last call of it. */
static inline void dx_waiter_take_turn(struct dx_waiter *waiter, uint32_t sequence)
{
    if (dx_unlikely((sequence & waiter->turn.mask) == 0)) {
        dx_turn_end(&waiter->turn);
        dx_count(&waiter->counters->yields, 1u);
    }
}

/* Counts a wait that ended in its first looks. */
static inline void dx_waiter_spun(struct dx_waiter *waiter, uint32_t looks)
{
    dx_count(&waiter->counters->spin, 1u);
    dx_count(&waiter->counters->looks, looks);
    if (dx_unlikely(waiter->limit < waiter->wait.spin_max) && waiter->wait.adapt != DX_ADAPT_OFF) {
        uint32_t room = waiter->wait.spin_max - waiter->limit;
        waiter->limit += room < waiter->wait.spin_inc ? room : waiter->wait.spin_inc;
        /* Relaxed: a gauge. */
        dx_store_relaxed(&waiter->counters->spin_limit, waiter->limit);
    }
}

/*
 * Goes on with a wait after `looks` looks that found nothing. timeout_ns < 0 is for ever. Returns
 * DX_OK when the source had news, DX_ERR_TIMEOUT, or what its check said.
 */
dx_status dx_wait_on(struct dx_waiter *waiter, const struct dx_source *source, uint32_t looks,
                     int64_t timeout_ns);

/* wait_adapt.c: moves the limit after a wait that got so far and slept so long. */
void dx_waiter_adapt(struct dx_waiter *waiter, enum dx_phase phase, int64_t slept_ns);

#endif
