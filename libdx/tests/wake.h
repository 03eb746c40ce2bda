/* SPDX-License-Identifier: Apache-2.0 */
/* Two sides of which some sleep at once and for a quarter of an hour, so that a lost wake-up is not
 * mended by a look that comes soon anyway, and moments that change from step to step. */
#ifndef DX_TEST_WAKE_H
#define DX_TEST_WAKE_H

#include "atomic.h"
#include "pair.h"

#define DELAYS 512u /* steps of about a nanosecond */

static inline struct dx_wait sleeps_at_once(enum dx_park park)
{
    return (struct dx_wait){
        .park = park, .park_timeout_ns = FAR_OFF, .poll_ns = SECOND, .relax = DX_RELAX_PAUSE};
}

static inline struct dx_wait spins(enum dx_park park)
{
    struct dx_wait wait = sleeps_at_once(park);
    wait.spin_min = wait.spin_max = wait.spin_start = 1000000000;
    wait.yield_every = 1000; /* where there are fewer CPUs than threads */
    return wait;
}

static inline void pass_a_moment(uint64_t number)
{
    for (volatile uint32_t i = 0; i < number * 7 % DELAYS; i++)
        ;
}

/* A pair whose sides wait each in their own way and look at nothing but what they wait for. */
static inline struct pair *wake_pair(void **state, const struct dx_config *config,
                                     const struct dx_wait *guest)
{
    struct pair *p = pair_host(state, config);
    pair_attach(p, guest);
#ifdef DX_TSAN
    pair_share(p);
#endif
    p->host->liveness_ns = FAR_OFF;
    p->guest->liveness_ns = FAR_OFF;
    p->desk.serving = p->guest;
    return p;
}

#endif
