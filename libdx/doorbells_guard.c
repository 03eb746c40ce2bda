/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever waits to write to a full eventfd goes on when somebody has read it. The peer that has
 * filled it fills it again at once; but it has to be there first each time, and the one who rings
 * only once.
 */
#include "doorbells_guard.h"

#include "clock.h"
#include "doorbell.h"
#include "doorbells.h"
#include "error.h"
#include "fd_wait.h"
#include "thread.h"

/* From one look to the next: after somebody has tampered with an eventfd, and for how long; while
 * there are rings; and else. */
#define ALERT_LOOK_NS 5000000ll
#define ALERT_NS 10000000000ll
#define LOOK_NS 250000000ll
#define IDLE_LOOK_NS 1000000000ll

/* Reads of one eventfd before the next one is looked at. */
#define TAKES 5000

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

/* The rings that we take away are as good as the one that follows them. True if it was full. */
static bool empty(struct dx_doorbells *d, struct dx_doorbell *bell)
{
    bool full = false;
    for (int i = 0; i < TAKES && is_being_rung(d, bell); i++) {
        if (!dx_doorbell_is_full(bell->fd))
            continue;
        full = true;
        dx_doorbell_take(bell->fd);
    }
    return full;
}

/* True if somebody was stuck. */
static bool free_those_who_ring(struct dx_doorbells *d)
{
    bool stuck = false;
    bool more = true;
    for (uint32_t at = 0; more; at++) {
        (void)pthread_mutex_lock(&d->lock);
        struct dx_doorbell *bell = hold(d, at);
        more = at < d->count;
        (void)pthread_mutex_unlock(&d->lock);
        if (bell == NULL)
            continue;
        stuck |= empty(d, bell);
        (void)pthread_mutex_lock(&d->lock);
        dx_doorbell_release(bell);
        (void)pthread_mutex_unlock(&d->lock);
    }
    return stuck;
}

/* Sleeps until the next look is due. False: the table closes. */
static bool sleep_for(struct dx_doorbells *d, int64_t look_ns, bool *alarm)
{
    struct timespec until = dx_clock_timespec(dx_clock_ns() + look_ns);
    int ended = 0;
    (void)pthread_mutex_lock(&d->lock);
    while (!d->closing && !d->alarm && ended == 0)
        ended = pthread_cond_timedwait(&d->wake, &d->lock, &until);
    *alarm = d->alarm;
    d->alarm = false;
    bool goes_on = !d->closing;
    (void)pthread_mutex_unlock(&d->lock);
    return goes_on;
}

static uint64_t rung_so_far(struct dx_doorbells *d)
{
    (void)pthread_mutex_lock(&d->lock);
    uint64_t rung = d->rung;
    (void)pthread_mutex_unlock(&d->lock);
    return rung;
}

static void *run(void *user)
{
    struct dx_doorbells *d = user;
    int64_t alert_until_ns = 0;
    int64_t look_ns = IDLE_LOOK_NS;
    uint64_t before = 0;
    bool alarm;
    while (sleep_for(d, look_ns, &alarm)) {
        bool stuck = free_those_who_ring(d);
        uint64_t rung = rung_so_far(d);
        int64_t now = dx_clock_ns();
        if (alarm || stuck)
            alert_until_ns = now + ALERT_NS;
        look_ns = now < alert_until_ns ? ALERT_LOOK_NS : rung != before ? LOOK_NS : IDLE_LOOK_NS;
        before = rung;
        if (alarm) /* who raised it writes only now; each ring may raise it again */
            dx_fd_nap(ALERT_LOOK_NS);
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
