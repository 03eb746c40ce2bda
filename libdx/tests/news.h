/* SPDX-License-Identifier: Apache-2.0 */
/* A source to wait for that a test controls, and strategies that wait in one way only. */
#ifndef DX_TEST_NEWS_H
#define DX_TEST_NEWS_H

#include "test.h"
#include "wait.h"

/* A source whose news come at a certain look, or from another thread by a ring. */
struct news {
    uint64_t looks;
    uint64_t at_look; /* 0: never by itself */
    _Atomic bool published;
    _Atomic uint32_t checks;
    _Atomic pid_t thread; /* that waits, if it is not the test's */
    _Atomic bool done;    /* with waiting */
    dx_status answer;     /* of check */
    int parked;           /* announced less taken back */
    struct dx_cell cell;
    struct dx_counters counters;
    struct dx_waiter waiter;
    struct dx_source source;
};

static inline bool news_look(void *user)
{
    struct news *n = user;
    n->looks++;
    return (n->at_look != 0 && n->looks >= n->at_look) || atomic_load(&n->published);
}

static inline dx_status news_check(void *user)
{
    struct news *n = user;
    atomic_fetch_add(&n->checks, 1u);
    return n->answer;
}

static inline void news_parked(void *user, bool on)
{
    struct news *n = user;
    n->parked += on ? 1 : -1;
}

/* A strategy that goes straight to this kind of sleep. */
static inline struct dx_wait park_only(enum dx_park park)
{
    return (struct dx_wait){
        .park = park, .park_timeout_ns = FAR_OFF, .poll_ns = MS, .relax = DX_RELAX_PAUSE};
}

/* A strategy that spins for so many looks and then parks in a futex. */
static inline struct dx_wait spin_of(uint32_t looks, uint32_t yield_every)
{
    struct dx_wait wait = park_only(DX_PARK_FUTEX);
    wait.spin_max = looks;
    wait.spin_start = looks;
    wait.yield_every = yield_every;
    return wait;
}

static inline void news_init(struct news *n, const struct dx_wait *wait)
{
    /* A machine on which a look takes a nanosecond. */
    const struct dx_wait_cost cheap = {.look_ps = 1000, .park_ns = 0};
    assert_status(dx_wait_check(wait), DX_OK);
    memset((void *)n, 0, sizeof *n);
    dx_cell_init(&n->cell);
    dx_waiter_init(&n->waiter, wait, &cheap, &n->counters);
    n->source = (struct dx_source){
        .look = news_look, .check = news_check, .parked = news_parked, .user = n, .cell = &n->cell};
}

static inline dx_status news_wait(struct news *n, int64_t timeout_ns)
{
    n->looks = 0;
    return dx_wait_on(&n->waiter, &n->source, 0, timeout_ns);
}

#endif
