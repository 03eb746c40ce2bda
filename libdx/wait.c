/* SPDX-License-Identifier: Apache-2.0 */
#include "wait.h"

#include <pthread.h>
#include <sched.h>

#include "clock.h"
#include "fault.h"
#include "probe.h"

void dx_waiter_init(struct dx_waiter *waiter, const struct dx_wait *wait,
                    const struct dx_wait_cost *cost, struct dx_counters *counters)
{
    waiter->wait = *wait;
    struct dx_wait *w = &waiter->wait;
    if ((w->adapt == DX_ADAPT_COST || w->adapt == DX_ADAPT_LOAD) && cost->park_ns != 0) {
        int64_t looks = cost->park_ns * 1000 / cost->look_ps + 1;
        if (looks < w->spin_max) {
            w->spin_max = (uint32_t)looks;
            w->spin_min = w->spin_min < w->spin_max ? w->spin_min : w->spin_max;
            w->spin_start = w->spin_start < w->spin_max ? w->spin_start : w->spin_max;
        }
    }
    waiter->limit = w->spin_start;
    waiter->cpus = cost->cpus;
    dx_turn_init(&waiter->turn, w->burst);
    waiter->counters = counters;
    waiter->spin_max_ns = w->spin_max * cost->look_ps / 1000;
    waiter->liveness_ns = DX_LIVENESS_NS;
    waiter->idle_ns = 0;
    waiter->wasted = 0;
    waiter->won = 0;
    waiter->owed_ns = 0;
    waiter->rest = w->relax == DX_RELAX_HARDWARE ? dx_hardware_find().wait : NULL;
    waiter->watched = NULL;
    /* Relaxed: a gauge for observers, as all counters. */
    dx_store_relaxed(&counters->spin_limit, waiter->limit);
}

/* Threads of this process that are in spin(), those that gave the CPU away for a moment included.
 */
static _Atomic uint32_t spinning;

bool dx_waiter_crowded(const struct dx_waiter *waiter)
{
    /* Relaxed: a guess at how busy the CPUs are. */
    return waiter->wait.adapt == DX_ADAPT_LOAD && dx_load_relaxed(&spinning) > waiter->cpus;
}

void dx_waiter_rest(const struct dx_waiter *waiter)
{
    if (waiter->rest != NULL && waiter->watched != NULL)
        waiter->rest(waiter->watched, *waiter->watched_value, waiter->until_equal);
    else
        dx_relax_pause();
}

void dx_waiter_yield(struct dx_waiter *waiter)
{
    (void)sched_yield();
    dx_count(&waiter->counters->yields, 1u);
}

static void count_phase(struct dx_waiter *waiter, enum dx_phase phase, uint64_t looks)
{
    struct dx_counters *c = waiter->counters;
    dx_count(&c->looks, looks);
    dx_count(phase == DX_PHASE_SPIN    ? &c->spin
             : phase == DX_PHASE_YIELD ? &c->yield
                                       : &c->park,
             1u);
}

/* A wait in progress. */
struct progress {
    uint64_t looks;
    int64_t timeout_ns;
    int64_t deadline_ns; /* 0: the clock has not been read yet */
    int64_t checked_ns;
    int64_t slept_ns;
    int64_t sleep_ns; /* longest next sleep; 0: none was begun yet */
    enum dx_phase phase;
};

/* Reads the clock; asks the source at most once per liveness interval. */
static dx_status check(struct dx_waiter *waiter, const struct dx_source *source, struct progress *p,
                       int64_t *now_out)
{
    int64_t now = dx_clock_ns();
    *now_out = now;
    if (p->deadline_ns == 0) {
        p->deadline_ns = dx_clock_deadline(now, p->timeout_ns);
        p->checked_ns = now;
    }
    if (now - p->checked_ns >= waiter->liveness_ns) {
        p->checked_ns = now;
        dx_status status = source->check(source->user);
        if (status != DX_OK)
            return status;
    }
    return now >= p->deadline_ns ? DX_ERR_TIMEOUT : DX_OK;
}

/* Looks until there is news (true) or the limit is reached (false, DX_OK in *status). Without a
 * park there is no limit. */
static bool spin_on(struct dx_waiter *waiter, const struct dx_source *source, struct progress *p,
                    dx_status *status)
{
    const struct dx_wait *w = &waiter->wait;
    *status = DX_OK;
    uint32_t to_yield = w->yield_every;
    for (uint64_t n = 1; w->park == DX_PARK_NEVER || p->looks < waiter->limit; n++) {
        bool yielded = (to_yield != 0 && --to_yield == 0) || dx_waiter_crowded(waiter);
        if (yielded) {
            dx_waiter_yield(waiter);
            to_yield = w->yield_every;
            p->phase = DX_PHASE_YIELD;
        } else {
            dx_waiter_relax(waiter);
        }
        p->looks++;
        if (source->look(source->user))
            return true;
        /* A yield can take as long as others please, so that the deadline is due after each. */
        if (yielded || n % DX_CHECK_LOOKS == 0) {
            int64_t now;
            *status = check(waiter, source, p, &now);
            if (*status != DX_OK)
                return source->look(source->user);
        }
    }
    return false;
}

static bool spin(struct dx_waiter *waiter, const struct dx_source *source, struct progress *p,
                 dx_status *status)
{
    if (waiter->wait.adapt != DX_ADAPT_LOAD)
        return spin_on(waiter, source, p, status);
    /* Relaxed, both: see dx_waiter_crowded. */
    (void)dx_add_relaxed(&spinning, 1u);
    bool news = spin_on(waiter, source, p, status);
    (void)dx_add_relaxed(&spinning, UINT32_MAX);
    return news;
}

/* How long the next sleep may be at most: one that brought nothing makes the next one longer. */
static int64_t sleep_limit(const struct dx_waiter *waiter, struct progress *p, int64_t now)
{
    int64_t limit = waiter->wait.park_timeout_ns;
    if (p->sleep_ns == 0)
        p->sleep_ns = waiter->liveness_ns;
    else if (p->sleep_ns < waiter->idle_ns)
        p->sleep_ns = 2 * p->sleep_ns < waiter->idle_ns ? 2 * p->sleep_ns : waiter->idle_ns;
    if (p->sleep_ns < limit)
        limit = p->sleep_ns;
    return p->deadline_ns - now < limit ? p->deadline_ns - now : limit;
}

/* Sleeps in the armed cell and counts; returns true if there is news. */
static bool sleep_armed(struct dx_waiter *waiter, const struct dx_source *source,
                        struct progress *p, uint32_t armed, int64_t now)
{
    struct dx_counters *c = waiter->counters;
    int64_t limit_ns = sleep_limit(waiter, p, now);
    dx_count(&c->parks, 1u);
    DX_FAULT(PARK_DECIDED);
    DX_PROBE2(park, source->cell, limit_ns);
    enum dx_slept slept =
        source->sleep != NULL
            ? source->sleep(source->channel, source->cell, armed, &waiter->wait, limit_ns)
            : dx_cell_wait(source->cell, armed, &waiter->wait, limit_ns);
    int64_t slept_ns = dx_clock_ns() - now;
    p->slept_ns += slept_ns;
    dx_count(&c->park_ns, (uint64_t)slept_ns);
    DX_PROBE2(wake, source->cell, slept_ns);
    bool news = source->look(source->user);
    if (news && source->found != NULL)
        (void)dx_add_relaxed(source->found, 1u); /* relaxed: a number */
    if (slept != DX_SLEPT_UNRUNG && !news)
        dx_count(&c->spurious, 1u);
    if (slept != DX_SLEPT_RUNG && news && slept_ns >= limit_ns &&
        DX_CELL_KIND(armed) != DX_PARK_POLL)
        dx_count(&c->rescued, 1u);
    return news;
}

/* One announced sleep. DX_OK with *news, or why waiting makes no sense any more: that is asked
 * after the announcement, because whoever stops or closes rings those who are announced. */
static dx_status sleep_once(struct dx_waiter *waiter, const struct dx_source *source,
                            struct progress *p, int64_t now, bool *news)
{
    uint32_t kind = source->park != NULL ? source->park(source->channel) : waiter->wait.park;
    uint32_t armed = dx_cell_arm(source->cell, (enum dx_park)kind);
    if (p->phase != DX_PHASE_PARK && source->parked != NULL)
        source->parked(source->user, true);
    DX_FAULT(PARK_ANNOUNCED);
    /* S2 <-> S1, S4 <-> S3: the announcement before the last look, whose load is an acquire. */
    dx_fence_store_load();
    *news = source->look(source->user);
    dx_status status = *news ? DX_OK : source->check(source->user);
    if (!*news && status == DX_OK)
        *news = sleep_armed(waiter, source, p, armed, now);
    DX_FAULT(PARK_WOKEN);
    dx_cell_disarm(source->cell, armed);
    DX_FAULT(PARK_DISARMED);
    return status;
}

static dx_status park(struct dx_waiter *waiter, const struct dx_source *source, struct progress *p)
{
    dx_status status;
    bool announced = false;
    bool news = false;
    do {
        int64_t now;
        status = check(waiter, source, p, &now);
        if (status != DX_OK)
            break;
        announced = true;
        int before;
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
        status = sleep_once(waiter, source, p, now, &news);
        (void)pthread_setcancelstate(before, NULL);
        if (source->cancels)
            pthread_testcancel();
        p->phase = DX_PHASE_PARK;
        p->looks++;
    } while (status == DX_OK && !news);
    if (announced && source->parked != NULL)
        source->parked(source->user, false);
    DX_FAULT(PARK_ENDED);
    return status;
}

dx_status dx_wait_on(struct dx_waiter *waiter, const struct dx_source *source, uint32_t looks,
                     int64_t timeout_ns)
{
    struct progress p = {.looks = looks, .timeout_ns = timeout_ns, .phase = DX_PHASE_SPIN};
    dx_status status;
    if (!spin(waiter, source, &p, &status) && status == DX_OK)
        status = park(waiter, source, &p);
    if (status != DX_OK && source->look(source->user))
        status = DX_OK; /* it came in the last moment */
    if (status == DX_OK)
        count_phase(waiter, p.phase, p.looks);
    else
        dx_count(&waiter->counters->looks, p.looks);
    dx_waiter_adapt(waiter, p.phase, p.slept_ns);
    return status;
}
