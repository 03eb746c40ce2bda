/* SPDX-License-Identifier: Apache-2.0 */
#include "liveness_heartbeat.h"

#include <time.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
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

/* Until it is time for the next beat; true if the channel closes. */
static bool sleep_on(struct dx_heartbeat *p, int64_t beat_ns)
{
    struct timespec until = dx_clock_timespec(dx_clock_ns() + beat_ns);
    (void)pthread_mutex_lock(&p->lock);
    int ended = 0;
    while (!p->closing && ended == 0)
        ended = pthread_cond_timedwait(&p->wake, &p->lock, &until);
    bool closing = p->closing;
    (void)pthread_mutex_unlock(&p->lock);
    return closing;
}

static void *run(void *user)
{
    struct dx_heartbeat *p = user;
    /* Relaxed, here and below: our own, and input of which only that it changes counts. */
    uint64_t heard = dx_load_relaxed(&p->heard);
    int64_t before = dx_clock_ns();
    int64_t silent_ns = 0;
    int64_t beat_ns = DX_HEARTBEAT_NS;
    while (!sleep_on(p, beat_ns)) {
        int64_t next_ns = p->look(p->user);
        if (next_ns == 0)
            break;
        dx_heartbeat_write(p->self);
        uint64_t now = dx_load_relaxed(&p->other->heartbeat);
        int64_t passed_ns = awake_ns(&before, beat_ns);
        beat_ns = next_ns;
        silent_ns = now != heard                ? 0
                    : silent_ns < INT64_MAX / 2 ? silent_ns + passed_ns
                                                : silent_ns;
        heard = now;
        /* Relaxed: a value that stands for itself. */
        dx_store_relaxed(&p->silent_ns, silent_ns);
        dx_store_relaxed(&p->heard, heard);
    }
    return NULL;
}

dx_status dx_heartbeat_start(struct dx_heartbeat *p)
{
    (void)pthread_mutex_init(&p->lock, NULL);
    dx_thread_cond_init(&p->wake);
    p->closing = false;
    /* Relaxed: as below. */
    dx_store_relaxed(&p->heard, dx_load_relaxed(&p->other->heartbeat));
    int failed = dx_thread_start(&p->thread, run, p);
    p->started = failed == 0;
    return failed == 0 ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM,
                                 "cannot start a thread for the heartbeat (error %d)", failed);
}

void dx_heartbeat_end(struct dx_heartbeat *p)
{
    if (!p->started)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->closing = true;
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->lock);
    p->started = false;
}
