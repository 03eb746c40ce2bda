/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spin limit moves after a wait: up if spinning paid or would have, down if not. It would have
 * paid if the sleep was short. How short is known only from the time we slept, which holds our own
 * wake-up, too, and that takes about as long as the other side's: hence the factor 2. Without this
 * second case two sides that once began to sleep would wake each other for ever.
 */
#include "wait.h"

/* Did a wait end without a sleep since this was last asked? The counters know: the first looks of
 * a wait, which are the fast path, keep no other book. */
static bool won_meanwhile(struct dx_waiter *waiter)
{
    /* Relaxed: our own counters. */
    uint64_t won =
        dx_load_relaxed(&waiter->counters->spin) + dx_load_relaxed(&waiter->counters->yield);
    bool any = won != waiter->won;
    waiter->won = won;
    return any;
}

static void raise_limit(struct dx_waiter *waiter)
{
    uint32_t room = waiter->wait.spin_max - waiter->limit;
    waiter->limit += room < waiter->wait.spin_inc ? room : waiter->wait.spin_inc;
}

static void lower_limit(struct dx_waiter *waiter)
{
    const struct dx_wait *w = &waiter->wait;
    uint32_t room = waiter->limit > w->spin_min ? waiter->limit - w->spin_min : 0;
    waiter->limit -= room < w->spin_dec ? room : w->spin_dec;
}

/*
 * After a sleep so short that spinning on would have ended the wait, if the other side runs while
 * we spin. It does not where both share one CPU and we have priority: there the answer comes as
 * soon as we sleep, however long we spun before. Nobody says which case it is, so it is tried: when
 * some waits in a row have spun as long as they may and had to sleep nevertheless, spinning is
 * given up, also below spin_min. It is tried again, at full length, after sleeps that took
 * DX_OWED_SLEEP times as long, so that the attempts cost little.
 */
static void adapt_to_short_sleep(struct dx_waiter *waiter)
{
    if (waiter->limit < waiter->wait.spin_max) {
        raise_limit(waiter);
    } else if (++waiter->wasted >= DX_WASTED_WAITS) {
        waiter->limit = 0;
        waiter->owed_ns = DX_OWED_SLEEP * waiter->spin_max_ns;
    }
}

static void adapt_to_sleep(struct dx_waiter *waiter, int64_t slept_ns)
{
    const struct dx_wait *w = &waiter->wait;
    bool brief = slept_ns <= 2 * waiter->spin_max_ns;
    if (won_meanwhile(waiter)) {
        waiter->wasted = 0;
        waiter->owed_ns = 0;
    }
    if (waiter->owed_ns > 0) {
        waiter->owed_ns -= slept_ns;
        if (waiter->owed_ns <= 0)
            waiter->limit = brief ? w->spin_max : w->spin_min;
    } else if (brief) {
        adapt_to_short_sleep(waiter);
    } else {
        lower_limit(waiter);
    }
}

void dx_waiter_adapt(struct dx_waiter *waiter, enum dx_phase phase, int64_t slept_ns)
{
    if (waiter->wait.adapt == DX_ADAPT_OFF)
        return;
    if (phase == DX_PHASE_PARK)
        adapt_to_sleep(waiter, slept_ns);
    else
        raise_limit(waiter);
    /* Relaxed: a gauge. */
    dx_store_relaxed(&waiter->counters->spin_limit, waiter->limit);
}
