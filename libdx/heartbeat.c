/* SPDX-License-Identifier: Apache-2.0 */
#include "heartbeat.h"

#include <time.h>

#include "atomic.h"
#include "channel.h"
#include "clock.h"
#include "error.h"
#include "kernel.h"
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

static bool sees_lock(const struct dx_channel *c)
{
    enum dx_lock lock = c->side == DX_HOST ? DX_LOCK_GUEST : DX_LOCK_HOST;
    return dx_region_lock_look(&c->region, dx_lock_at(c->region.place, lock)) == DX_LOCK_HELD;
}

bool dx_channel_seen_here(const struct dx_channel *c)
{
    /* Relaxed, all: numbers that stand for themselves. */
    uint64_t session = dx_load_relaxed(&c->peers[dx_other(c->side)].session);
    if (session != 0 && dx_load_relaxed(&c->heartbeat.here) == session)
        return true;
    if (session == 0 || !sees_lock(c))
        return false;
    dx_store_relaxed(&((struct dx_channel *)c)->heartbeat.here, session);
    return true;
}

/* A lock that was seen may have been that of one who only tried to take the place. */
static void look_at_lock_again(struct dx_channel *c)
{
    if (c->region.url.kind != DX_REGION_IVSHMEM &&
        dx_peer_is_remote(&c->peers[dx_other(c->side)]) && !sees_lock(c)) {
        /* Relaxed: as above. */
        dx_store_relaxed(&c->heartbeat.here, 0u);
    }
}

/* Does our place still carry our session? A guest that was paused for too long may find a new one
 * there. A host's place is kept by its lock, and nobody can take it. */
static bool still_ours(const struct dx_channel *c)
{
    /* Relaxed: written by us, or by whoever came after us. */
    return c->side == DX_HOST || dx_load_relaxed(&c->peers[c->side].session) == c->session;
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

/* Says how we park. Whoever sleeps so that a peer under another kernel cannot wake it begins anew.
 */
static void follow_park(struct dx_channel *c)
{
    struct dx_peer_lines *self = &c->peers[c->side];
    uint32_t park = dx_channel_park_kind(c);
    /* Relaxed, both: written by us, for people. */
    if (dx_load_relaxed(&self->park) == park)
        return;
    dx_store_relaxed(&self->park, park);
    dx_session_ring_all(c, c->side);
}

/* Those who wait for somebody who can no longer find the region are told. */
static void follow_name(struct dx_channel *c)
{
    /* Relaxed, both: ours alone; those who sleep are rung behind it. */
    uint32_t before = dx_load_relaxed(&c->heartbeat.nameless);
    uint32_t now = dx_region_name_is_gone(&c->region, before != 0);
    if (now == before)
        return;
    dx_store_relaxed(&c->heartbeat.nameless, now);
    dx_session_ring_all(c, c->side);
}

/* Each beat wakes a whole machine that may be idle: as few as our own peer_timeout_ns asks for,
 * since the other side's is most likely the same. */
static int64_t interval_remote(const struct dx_channel *c)
{
    int64_t beat_ns = c->peer_timeout_ns / 4;
    if (beat_ns < DX_HEARTBEAT_NS)
        return DX_HEARTBEAT_NS;
    return beat_ns < DX_HEARTBEAT_SLOW_NS ? beat_ns : DX_HEARTBEAT_SLOW_NS;
}

static void *run(void *user)
{
    struct dx_channel *c = user;
    struct dx_heartbeat *p = &c->heartbeat;
    const struct dx_peer_lines *other = &c->peers[dx_other(c->side)];
    /* Relaxed, here and below: our own, and input of which only that it changes counts. */
    uint64_t heard = dx_load_relaxed(&p->heard);
    int64_t before = dx_clock_ns();
    int64_t silent_ns = 0;
    int64_t beat_ns = DX_HEARTBEAT_NS;
    while (!sleep_on(p, beat_ns) && still_ours(c)) {
        dx_heartbeat_write(&c->peers[c->side]);
        look_at_lock_again(c);
        follow_park(c);
        follow_name(c);
        uint64_t now = dx_load_relaxed(&other->heartbeat);
        int64_t passed_ns = awake_ns(&before, beat_ns);
        beat_ns = dx_channel_is_remote(c) ? interval_remote(c) : DX_HEARTBEAT_SLOW_NS;
        silent_ns = now != heard                ? 0
                    : silent_ns < INT64_MAX / 2 ? silent_ns + passed_ns
                                                : silent_ns;
        heard = now;
        /* Relaxed: a value that stands for itself. */
        dx_store_relaxed(&p->silent_ns, silent_ns);
        dx_store_relaxed(&p->heard, heard);
    }
    if (!still_ours(c)) {
        /* Relaxed: those who sleep are rung behind it, and look every DX_LIVENESS_NS. */
        dx_store_relaxed(&p->ousted, 1u);
    }
    return NULL;
}

dx_status dx_heartbeat_start(struct dx_channel *c)
{
    struct dx_heartbeat *p = &c->heartbeat;
    if (c->region.url.kind == DX_REGION_MEMFD)
        return DX_OK;
    (void)pthread_mutex_init(&p->lock, NULL);
    dx_thread_cond_init(&p->wake);
    /* Relaxed: as below. */
    dx_store_relaxed(&p->heard, dx_load_relaxed(&c->peers[dx_other(c->side)].heartbeat));
    int failed = dx_thread_start(&p->thread, run, c);
    p->started = failed == 0;
    return failed == 0 ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM,
                                 "cannot start a thread for the heartbeat (error %d)", failed);
}

void dx_heartbeat_end(struct dx_channel *c)
{
    struct dx_heartbeat *p = &c->heartbeat;
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
