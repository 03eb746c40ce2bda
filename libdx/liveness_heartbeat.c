/* SPDX-License-Identifier: Apache-2.0 */
#include "liveness_heartbeat.h"

#include <pthread.h>
#include <time.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fork.h"
#include "liveness_kernel.h"
#include "thread.h"

/* Between two looks while we listen: each pause is twice the one before, as most beats come late.
 */
#define LOOK_NS 2000000ll
#define LOOK_MAX_NS 32000000ll

bool dx_peer_is_remote(const struct dx_peer_lines *peer)
{
    /* Relaxed: input, by which a liar makes itself look dead, or alive for as long as it beats. */
    uint64_t kernel = dx_load_relaxed(&peer->kernel);
    return kernel != 0 && kernel != dx_kernel_id();
}

void dx_heartbeat_write(struct dx_peer_lines *self)
{
    /* Relaxed: only that it changes counts. */
    dx_count(&self->heartbeat, 1u);
}

/* Time that has passed since *before, as far as we were awake in it: of a sleep of slice_ns no more
 * than twice that counts. */
static int64_t awake_ns(int64_t *before, int64_t slice_ns)
{
    int64_t now = dx_clock_ns();
    int64_t passed_ns = now - *before;
    *before = now;
    return passed_ns < 2 * slice_ns ? passed_ns : 2 * slice_ns;
}

static bool is_there(const struct dx_peer_lines *peer)
{
    /* A4 <- R4: only its value counts. */
    uint32_t state = dx_load_acquire(&peer->state);
    return state == DX_PEER_STATE_OPEN || state == DX_PEER_STATE_INITIALIZING;
}

void dx_heartbeat_note(struct dx_heartbeat_sample *sample, const struct dx_peer_lines *peer)
{
    /* Relaxed, all: numbers of which only that they change counts. */
    *sample = (struct dx_heartbeat_sample){.peer = peer,
                                           .session = dx_load_relaxed(&peer->session),
                                           .first = dx_load_relaxed(&peer->heartbeat)};
}

/* True if there is no more to hear of it. */
static bool listen_once(struct dx_heartbeat_sample *sample)
{
    if (sample->peer == NULL || sample->heard || sample->closed)
        return true;
    sample->heard = dx_heartbeat_changed(sample, sample->peer);
    sample->closed = !sample->heard && !is_there(sample->peer);
    return sample->heard || sample->closed;
}

void dx_heartbeat_listen(struct dx_heartbeat_sample *samples, uint32_t count, int64_t limit_ns)
{
    int64_t before = dx_clock_ns();
    int64_t look_ns = LOOK_NS;
    for (int64_t passed_ns = 0; passed_ns < limit_ns; passed_ns += awake_ns(&before, look_ns)) {
        uint32_t left = count;
        for (uint32_t i = 0; i < count; i++)
            left -= listen_once(&samples[i]);
        if (left == 0)
            return;
        if (passed_ns != 0 && look_ns < LOOK_MAX_NS)
            look_ns *= 2;
        struct timespec look = dx_clock_timespec(look_ns);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &look, NULL);
    }
    for (uint32_t i = 0; i < count; i++)
        (void)listen_once(&samples[i]);
}

bool dx_heartbeat_changed(const struct dx_heartbeat_sample *sample,
                          const struct dx_peer_lines *peer)
{
    /* Relaxed, both: as above. */
    return dx_load_relaxed(&peer->session) != sample->session ||
           dx_load_relaxed(&peer->heartbeat) != sample->first;
}

bool dx_heartbeat_heard(const struct dx_peer_lines *peer, int64_t limit_ns)
{
    struct dx_heartbeat_sample sample;
    dx_heartbeat_note(&sample, peer);
    dx_heartbeat_listen(&sample, 1, limit_ns);
    return sample.heard;
}

bool dx_heartbeat_absent(const struct dx_peer_lines *peer, int64_t limit_ns)
{
    return dx_heartbeat_vacant(peer) || !dx_heartbeat_heard(peer, limit_ns);
}

bool dx_heartbeat_vacant(const struct dx_peer_lines *peer)
{
    return !is_there(peer) || !dx_peer_is_remote(peer);
}

bool dx_heartbeat_alive(const struct dx_heartbeat *p, const struct dx_peer_lines *peer,
                        int64_t peer_timeout_ns)
{
    /* Relaxed, all: numbers that stand for themselves; the thread stores `heard` last. */
    return dx_load_relaxed(&p->silent_ns) < peer_timeout_ns ||
           dx_load_relaxed(&peer->heartbeat) != dx_load_relaxed(&p->heard);
}

/*
 * One thread beats for all channels of the process, so that a program with many of them does not
 * wake for each. It lives while there is a channel.
 */
static pthread_mutex_t lives = PTHREAD_MUTEX_INITIALIZER; /* held by who begins or ends one */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* guards what follows */
static pthread_cond_t changed;
static struct dx_heartbeat *all;
static pthread_t thread;
static bool running;
static bool watching; /* `changed` was made, and forks are watched */

/* All beat at the same moments, multiples of their distance: a CPU that is idle wakes once for the
 * whole machine. */
static int64_t next_beat(int64_t now, int64_t beat_ns)
{
    return (now / beat_ns + 1) * beat_ns;
}

/* The lock is held. */
static void beat(struct dx_heartbeat *p)
{
    int64_t next_ns = p->look(p->user);
    if (next_ns == 0) {
        p->due_ns = INT64_MAX;
        return;
    }
    dx_heartbeat_write(p->self);
    /* Relaxed, all: our own, and input of which only that it changes counts. `heard` is stored
     * last.
     */
    uint64_t now = dx_load_relaxed(&p->other->heartbeat);
    int64_t silent_ns = dx_load_relaxed(&p->silent_ns);
    int64_t passed_ns = awake_ns(&p->before_ns, p->beat_ns);
    silent_ns = now != dx_load_relaxed(&p->heard) ? 0
                : silent_ns < INT64_MAX / 2       ? silent_ns + passed_ns
                                                  : silent_ns;
    dx_store_relaxed(&p->silent_ns, silent_ns);
    dx_store_relaxed(&p->heard, now);
    p->beat_ns = next_ns;
    p->due_ns = next_beat(p->before_ns, next_ns);
}

static void *run(void *user)
{
    (void)user;
    (void)pthread_mutex_lock(&lock);
    while (all != NULL) {
        int64_t now = dx_clock_ns();
        int64_t due_ns = INT64_MAX;
        for (struct dx_heartbeat *p = all; p != NULL; p = p->next) {
            if (p->due_ns <= now)
                beat(p);
            due_ns = p->due_ns < due_ns ? p->due_ns : due_ns;
        }
        struct timespec until = dx_clock_timespec(due_ns);
        (void)pthread_cond_timedwait(&changed, &lock, &until);
    }
    (void)pthread_mutex_unlock(&lock);
    return NULL;
}

/* In the child of a fork there is no such thread, and the channels are inert. */
static void forked(void *user)
{
    (void)user;
    (void)pthread_mutex_init(&lives, NULL);
    (void)pthread_mutex_init(&lock, NULL);
    all = NULL;
    running = watching = false;
}

static dx_status watch_forks(void)
{
    static struct dx_fork_watch forks = {.forked = forked};
    if (watching)
        return DX_OK;
    dx_status status = dx_fork_watch(&forks);
    if (status != DX_OK)
        return status;
    dx_thread_cond_init(&changed);
    watching = true;
    return DX_OK;
}

static void add(struct dx_heartbeat *p)
{
    (void)pthread_mutex_lock(&lock);
    p->next = all;
    all = p;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void take_out(struct dx_heartbeat *p)
{
    (void)pthread_mutex_lock(&lock);
    struct dx_heartbeat **at = &all;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&lock);
}

/* The first one starts the thread. */
static dx_status start(struct dx_heartbeat *p)
{
    dx_status status = watch_forks();
    if (status != DX_OK)
        return status;
    add(p);
    int failed = running ? 0 : dx_thread_start(&thread, run, NULL);
    if (failed != 0) {
        take_out(p);
        return dx_fail(DX_ERR_SYSTEM, "cannot start a thread for the heartbeat (error %d)", failed);
    }
    running = true;
    return DX_OK;
}

dx_status dx_heartbeat_start(struct dx_heartbeat *p)
{
    /* Relaxed: as above. */
    dx_store_relaxed(&p->heard, dx_load_relaxed(&p->other->heartbeat));
    p->before_ns = dx_clock_ns();
    p->beat_ns = DX_HEARTBEAT_NS;
    p->due_ns = next_beat(p->before_ns, p->beat_ns);
    (void)pthread_mutex_lock(&lives);
    dx_status status = start(p);
    (void)pthread_mutex_unlock(&lives);
    p->started = status == DX_OK;
    return status;
}

void dx_heartbeat_end(struct dx_heartbeat *p)
{
    if (!p->started)
        return;
    (void)pthread_mutex_lock(&lives);
    take_out(p);
    if (all == NULL) { /* and nobody begins one now */
        (void)pthread_join(thread, NULL);
        running = false;
    }
    (void)pthread_mutex_unlock(&lives);
    p->started = false;
}
