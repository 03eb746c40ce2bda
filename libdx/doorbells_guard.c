/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever waits to write to a full eventfd goes on when somebody has read it. The peer that has
 * filled it fills it again at once; but it has to be there first each time, and the one who rings
 * only once.
 */
#include "doorbells_guard.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "atomic.h"
#include "doorbell.h"
#include "doorbells.h"
#include "error.h"
#include "fd.h"
#include "fd_wait.h"
#include "thread.h"

/* A ring that takes so long is stuck, or its thread has no CPU. */
#define STUCK_NS 5000000l

/* Reads of one eventfd before the next one is looked at. */
#define TAKES 5000

/* A closed timer does not end a wait: after this time the thread looks by itself. */
#define LOOK_NS 1000000000ll

void dx_ring_timer_run(int timer, bool on)
{
    const struct itimerspec spec = {.it_value.tv_nsec = on ? STUCK_NS : 0,
                                    .it_interval.tv_nsec = on ? STUCK_NS : 0};
    if (timer >= 0)
        (void)timerfd_settime(timer, 0, &spec, NULL);
}

/* The one at this place, held, if it is being rung; the place behind the last is our own. */
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
    for (int i = 0; i < TAKES && is_being_rung(d, bell); i++) {
        if (!dx_doorbell_is_full(bell->fd))
            continue;
        /* Relaxed: it only says that a look at the flags pays. */
        dx_store_relaxed(&bell->tampered, 1u);
        dx_doorbell_take(bell->fd);
    }
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

static void *run(void *user)
{
    struct dx_doorbells *d = user;
    /* Relaxed: the timer is started after the store. */
    while (dx_load_relaxed(&d->closing) == 0) {
        if (!dx_fd_readable(d->timer, LOOK_NS))
            continue;
        free_those_who_ring(d);
        /* Also what makes it not readable: it begins anew, or it was of a ring that has ended. */
        (void)pthread_mutex_lock(&d->lock);
        dx_ring_timer_run(d->timer, d->ringing != 0);
        (void)pthread_mutex_unlock(&d->lock);
    }
    return NULL;
}

dx_status dx_doorbells_guard(struct dx_doorbells *d)
{
    if (d->guarded)
        return DX_OK;
    int timer = dx_fd_timer();
    if (timer < 0)
        return dx_fail_errno("no timer for doorbells");
    (void)pthread_mutex_lock(&d->lock);
    d->timer = timer;
    (void)pthread_mutex_unlock(&d->lock);
    int failed = dx_thread_start(&d->guard, run, d);
    d->guarded = failed == 0;
    return failed == 0
               ? DX_OK
               : dx_fail(DX_ERR_SYSTEM, "cannot start a thread for doorbells (error %d)", failed);
}

void dx_doorbells_unguard(struct dx_doorbells *d)
{
    /* Relaxed: the timer carries the news. */
    dx_store_relaxed(&d->closing, 1u);
    if (d->guarded) {
        dx_ring_timer_run(d->timer, true);
        (void)pthread_join(d->guard, NULL);
    }
    d->guarded = false;
    if (d->timer >= 0)
        (void)close(d->timer);
    d->timer = -1;
}
