/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever waits to write to a full eventfd goes on when somebody has read it. The peer that has
 * filled it fills it again at once; but it has to be there first each time, and the one who rings
 * only once.
 */
#include "doorbell_guard.h"

#include "clock.h"
#include "doorbell.h"
#include "doorbell_set.h"
#include "error.h"
#include "thread.h"

/* Reads of one eventfd before the next one is looked at. */
#define TAKES 5000

/* The one at this place, held, if it is being rung; the place after the last is our own. */
static struct dx_doorbell *hold(struct dx_doorbells *d, uint32_t at)
{
    struct dx_doorbell *bell = at < d->count ? d->bells[at] : &d->own;
    if (bell->rings == 0)
        return NULL;
    bell->users++;
    return bell;
}

static bool is_being_rung(struct dx_doorbells *d, const struct dx_doorbell *bell)
{
    (void)pthread_mutex_lock(&d->lock);
    bool rung = bell->rings != 0;
    (void)pthread_mutex_unlock(&d->lock);
    return rung;
}

/* The rings that we take away are as good as the one that follows them. */
static void empty(struct dx_doorbells *d, struct dx_doorbell *bell)
{
    for (int i = 0; i < TAKES && is_being_rung(d, bell); i++)
        if (dx_doorbell_is_full(bell->fd))
            dx_doorbell_take(bell->fd);
}

static void free_those_who_ring(struct dx_doorbells *d)
{
    bool more = true;
    for (uint32_t at = 0; more; at++) {
        (void)pthread_mutex_lock(&d->lock);
        struct dx_doorbell *bell = hold(d, at);
        more = at < d->count;
        (void)pthread_mutex_unlock(&d->lock);
        if (bell == NULL)
            continue;
        empty(d, bell);
        (void)pthread_mutex_lock(&d->lock);
        dx_doorbell_release(bell);
        (void)pthread_mutex_unlock(&d->lock);
    }
}

/* Waits for the first ring after `seen` of them. False: the table closes. */
static bool await_ring(struct dx_doorbells *d, uint64_t seen)
{
    (void)pthread_mutex_lock(&d->lock);
    while (!d->closing && d->rung == seen) {
        d->asleep = true;
        (void)pthread_cond_wait(&d->wake, &d->lock);
    }
    d->asleep = false;
    bool goes_on = !d->closing;
    (void)pthread_mutex_unlock(&d->lock);
    return goes_on;
}

/* Sleeps until the next look is due, and says how many rings there have been, and how many are
 * under way. False: the table closes. */
static bool await_look(struct dx_doorbells *d, uint64_t *rung, uint32_t *under_way)
{
    struct timespec until = dx_clock_timespec(dx_clock_ns() + DX_DOORBELLS_LOOK_NS);
    int ended = 0;
    (void)pthread_mutex_lock(&d->lock);
    while (!d->closing && ended == 0)
        ended = pthread_cond_timedwait(&d->wake, &d->lock, &until);
    *rung = d->rung;
    *under_way = d->under_way;
    bool goes_on = !d->closing;
    (void)pthread_mutex_unlock(&d->lock);
    return goes_on;
}

/* It sleeps where rings are rare: each would cost one more look, and to be woken costs the one who
 * rings. */
static void *run(void *user)
{
    struct dx_doorbells *d = user;
    uint64_t seen = 0;
    while (await_ring(d, seen)) {
        uint64_t before;
        uint32_t under_way;
        do {
            before = seen;
            if (!await_look(d, &seen, &under_way))
                return NULL;
            free_those_who_ring(d);
        } while (under_way != 0 || seen - before > 1);
    }
    return NULL;
}

dx_status dx_doorbells_guard(struct dx_doorbells *d)
{
    if (d->guarded)
        return DX_OK;
    int failed = dx_thread_start(&d->guard, run, d);
    d->guarded = failed == 0;
    return failed == 0
               ? DX_OK
               : dx_fail(DX_ERR_SYSTEM, "cannot start a thread for doorbells (error %d)", failed);
}

void dx_doorbells_unguard(struct dx_doorbells *d)
{
    if (!d->guarded)
        return;
    (void)pthread_mutex_lock(&d->lock);
    d->closing = true;
    (void)pthread_cond_signal(&d->wake);
    (void)pthread_mutex_unlock(&d->lock);
    (void)pthread_join(d->guard, NULL);
    d->guarded = false;
}
