/* SPDX-License-Identifier: Apache-2.0 */
#include "notifier.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fd.h"
#include "thread.h"
#include "wait_cell.h"

/* How often whoever sleeps too early to be woken is woken again. */
#define WAKE_AGAIN_NS 1000000ll

struct dx_notifier {
    struct dx_channel *channel;
    struct dx_cell *cell;
    uint32_t cell_number;
    int fd;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool sleeps;      /* the thread is to sleep, or does */
    bool readable;    /* the descriptor is */
    bool closing;     /* the thread is to end */
    bool recalled;    /* the thread is to sleep no more */
    uint32_t armed;   /* the latest announcement; 0: none */
    int64_t until_ns; /* when the descriptor becomes readable at the latest */
    dx_status status; /* what dx_channel_check said at the announcement */
};

static uint32_t kind_of(const struct dx_channel *c)
{
    uint32_t kind = dx_channel_park_kind(c);
    return kind == DX_PARK_NEVER ? DX_PARK_POLL : kind;
}

/* The lock is held. */
static void make_readable(struct dx_notifier *n)
{
    if (!n->readable)
        (void)eventfd_write(n->fd, 1); /* of one that does not block: fails when it is full */
    n->readable = true;
}

/* Is it time to tell the owner? The lock is held. */
static bool is_due(const struct dx_notifier *n, uint32_t armed)
{
    return n->recalled || dx_cell_rung(n->cell, n->armed) || DX_CELL_KIND(armed) == DX_PARK_POLL ||
           dx_clock_ns() >= n->until_ns || dx_channel_check(n->channel) != n->status;
}

/* Sleeps for the owner until it is to be told. The lock is held, but for the sleeps. */
static void sleep_for_owner(struct dx_notifier *n)
{
    int64_t limit_ns = n->channel->liveness_ns;
    bool due = false;
    while (!due) {
        uint32_t armed = n->armed;
        int64_t now = dx_clock_ns();
        int64_t left_ns = n->until_ns - now;
        /* Up to a multiple of the limit, so that those of many channels look at the same moments.
         */
        int64_t slice_ns = limit_ns - now % limit_ns;
        (void)pthread_mutex_unlock(&n->lock);
        if (left_ns > 0)
            (void)dx_channel_sleep(n->channel, n->cell, armed, &n->channel->wait,
                                   left_ns < slice_ns ? left_ns : slice_ns);
        (void)pthread_mutex_lock(&n->lock);
        due = is_due(n, armed);
        limit_ns = 2 * limit_ns < DX_IDLE_SLEEP_NS ? 2 * limit_ns : DX_IDLE_SLEEP_NS;
    }
}

static void *run(void *user)
{
    struct dx_notifier *n = user;
    (void)pthread_mutex_lock(&n->lock);
    while (!n->closing) {
        if (!n->sleeps) {
            (void)pthread_cond_wait(&n->changed, &n->lock);
            continue;
        }
        sleep_for_owner(n);
        n->sleeps = false;
        if (!n->recalled)
            make_readable(n);
        (void)pthread_cond_broadcast(&n->changed);
    }
    n->sleeps = false;
    (void)pthread_cond_broadcast(&n->changed);
    (void)pthread_mutex_unlock(&n->lock);
    return NULL;
}

static void destroy(struct dx_notifier *n)
{
    if (n->fd >= 0)
        (void)close(n->fd);
    if (!dx_channel_forked(n->channel)) { /* where a thread would be waited for that is not here */
        (void)pthread_cond_destroy(&n->changed);
        (void)pthread_mutex_destroy(&n->lock);
    }
    free(n);
}

dx_status dx_notifier_open(struct dx_channel *c, uint32_t cell, struct dx_notifier **out)
{
    struct dx_notifier *n = calloc(1, sizeof *n);
    *out = NULL;
    if (n == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for a descriptor to wait for");
    n->channel = c;
    n->cell = &c->cells[cell];
    n->cell_number = cell;
    (void)pthread_mutex_init(&n->lock, NULL);
    dx_thread_cond_init(&n->changed);
    n->fd = dx_fd_eventfd();
    dx_status status = DX_OK;
    if (n->fd < 0)
        status = dx_fail_errno("no eventfd to wait for");
    if (status == DX_OK) {
        make_readable(n);
        int failed = dx_thread_start(&n->thread, run, n);
        if (failed != 0)
            status = dx_fail(DX_ERR_SYSTEM, "cannot start a thread to wait (error %d)", failed);
    }
    if (status != DX_OK)
        destroy(n);
    else
        *out = n;
    return status;
}

int dx_notifier_fd(const struct dx_notifier *n)
{
    return n->fd;
}

void dx_notifier_arm(struct dx_notifier *n, int64_t until_ns)
{
    if (dx_channel_forked(n->channel))
        return;
    (void)pthread_mutex_lock(&n->lock);
    eventfd_t rings;
    if (n->readable)
        (void)eventfd_read(n->fd, &rings); /* fails when somebody else has read it */
    n->readable = false;
    uint32_t kind = kind_of(n->channel);
    bool sooner = n->sleeps && until_ns < n->until_ns;
    n->until_ns = until_ns;
    n->status = dx_channel_check(n->channel);
    /* Relaxed: written by ourselves. */
    bool stands = n->sleeps && dx_load_relaxed(&n->cell->armed) == n->armed &&
                  DX_CELL_KIND(n->armed) == kind && !dx_cell_rung(n->cell, n->armed);
    if (!stands) {
        n->armed = dx_cell_arm(n->cell, (enum dx_park)kind);
        n->sleeps = true;
        (void)pthread_cond_broadcast(&n->changed);
    }
    (void)pthread_mutex_unlock(&n->lock);
    if (sooner) /* than the thread is going to look: makes the descriptor readable, once more */
        dx_channel_wake(n->channel, n->cell_number);
    /* S2 <-> S1, S4 <-> S3: the announcement before the owner's last look. */
    dx_fence_store_load();
}

void dx_notifier_signal(struct dx_notifier *n)
{
    if (dx_channel_forked(n->channel))
        return;
    (void)pthread_mutex_lock(&n->lock);
    make_readable(n);
    (void)pthread_mutex_unlock(&n->lock);
}

/* Returns when the thread does not sleep any more. The lock is held. */
static void wake_thread(struct dx_notifier *n)
{
    n->recalled = true;
    while (n->sleeps) {
        /* It may be about to sleep for an announcement that was rung already. */
        dx_channel_wake(n->channel, n->cell_number);
        struct timespec again = dx_clock_timespec(dx_clock_ns() + WAKE_AGAIN_NS);
        (void)pthread_cond_timedwait(&n->changed, &n->lock, &again);
    }
    n->recalled = false;
    /* Relaxed: ours. */
    if (dx_load_relaxed(&n->cell->armed) == n->armed)
        dx_cell_disarm(n->cell, n->armed);
}

void dx_notifier_recall(struct dx_notifier *n)
{
    if (dx_channel_forked(n->channel))
        return;
    (void)pthread_mutex_lock(&n->lock);
    wake_thread(n);
    (void)pthread_mutex_unlock(&n->lock);
}

void dx_notifier_close(struct dx_notifier *n)
{
    if (n == NULL)
        return;
    if (!dx_channel_forked(n->channel)) {
        (void)pthread_mutex_lock(&n->lock);
        n->closing = true;
        wake_thread(n);
        (void)pthread_cond_broadcast(&n->changed);
        (void)pthread_mutex_unlock(&n->lock);
        (void)pthread_join(n->thread, NULL);
    }
    destroy(n);
}
