/* SPDX-License-Identifier: Apache-2.0 */
#include "look.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../clock.h"
#include "../transport.h"
#include "tool.h"

static sigjmp_buf before_body;
static volatile sig_atomic_t guarded;

/* Whoever owns a file may cut it short while we look at it. What follows is safe in a handler. */
static void handle_cut_short(int signal)
{
    static const char text[] =
        "dx: the file was cut short by somebody else while it was looked at\n";
    (void)signal;
    if (guarded)
        siglongjmp(before_body, 1);
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(TOOL_FAILED);
    _exit(TOOL_FAILED);
}

void look_end_if_cut_short(void)
{
    (void)sigaction(SIGBUS, &(struct sigaction){.sa_handler = handle_cut_short}, NULL);
}

bool look_guarded(void (*body)(void *user), void *user)
{
    look_end_if_cut_short();
    if (sigsetjmp(before_body, 1) != 0) {
        guarded = 0;
        return false;
    }
    guarded = 1;
    body(user);
    guarded = 0;
    return true;
}

/* What to call the state of a side, of which its lock is the proof and its line only the word:
 * that of an earlier life, until this one has begun. */
static const char *state_of(const struct dx_channel *c, enum dx_side side, bool locked, bool begun)
{
    /* A4 <- R4. */
    uint32_t state = dx_load_acquire(&c->peers[side].state);
    if (locked && !begun)
        return "initialising";
    if (state == DX_PEER_STATE_CLOSED)
        return "closed";
    if (locked)
        return state == DX_PEER_STATE_OPEN ? "open" : "initialising";
    return state == DX_PEER_STATE_NONE ? "none" : "dead";
}

static struct peer_report report_peer(const struct dx_channel *c, enum dx_side side, bool locked,
                                      bool begun)
{
    static const char *const parks[] = {"never", "futex", "sem", "poll", "doorbell"};
    const struct dx_peer_lines *p = &c->peers[side];
    struct peer_report r = {.state = state_of(c, side, locked, begun), .pid = p->pid};
    /* Relaxed: for people, and of no common instant. */
    r.doorbell_id = dx_load_relaxed(&p->doorbell_id);
    r.epoch = dx_load_relaxed(&p->epoch);
    r.slots_used = dx_load_relaxed(&p->slots_used);
    r.session = dx_load_relaxed(&p->session);
    r.kernel = dx_load_relaxed(&p->kernel);
    r.beats = dx_load_relaxed(&p->heartbeat);
    uint32_t park = dx_load_relaxed(&p->park);
    r.park = park < sizeof parks / sizeof *parks ? parks[park] : "unknown";
    return r;
}

/* Of a side under another kernel the heartbeat is the proof. */
static void note(struct dx_heartbeat_sample *sample, const struct dx_channel *c, enum dx_side side)
{
    const struct dx_peer_lines *p = &c->peers[side];
    *sample = (struct dx_heartbeat_sample){.peer = NULL};
    /* A4 <- R4. */
    if (dx_load_acquire(&p->state) == DX_PEER_STATE_OPEN &&
        (dx_channel_kernels(c) == DX_OTHER_KERNEL || dx_peer_is_remote(p)))
        dx_heartbeat_note(sample, p);
}

static dx_status see_locks(const struct dx_channel *c, struct report *r)
{
    int fd = c->region.fd;
    uint32_t place = c->region.place;
    const char *path = c->region.url.path;
    dx_status status =
        dx_region_lock_see(fd, dx_lock_at(place, DX_LOCK_OPEN), path, &r->open_locked);
    if (status == DX_OK)
        status = dx_region_lock_see(fd, dx_lock_at(place, DX_LOCK_HOST), path, &r->host_locked);
    if (status == DX_OK)
        status = dx_region_lock_see(fd, dx_lock_at(place, DX_LOCK_GUEST), path, &r->guest_locked);
    return status;
}

static dx_status make_report(const struct dx_channel *c, const char *url,
                             const struct dx_heartbeat_sample samples[2], struct report *out)
{
    struct report r = {.url = url, .version = c->header->version, .geometry = c->geometry};
    dx_status status = see_locks(c, &r);
    if (status != DX_OK)
        return status;
    if (samples[DX_HOST].heard)
        r.host_locked = r.open_locked = true;
    r.guest_locked |= samples[DX_GUEST].heard;
    r.peers[DX_HOST] = report_peer(c, DX_HOST, r.host_locked, r.open_locked);
    r.peers[DX_GUEST] = report_peer(c, DX_GUEST, r.guest_locked, true);
    for (int of = 0; of < REPORT_STATS; of++)
        (void)dx_stats_read(c, (enum dx_stats_of)of, &r.stats[of]);
    *out = r;
    return DX_OK;
}

/* Whoever serves a rendezvous is asked once: the other places are in the same memory. */
dx_status look_open(struct look *l, const char *url, const char *shown)
{
    char memory[32];
    memset(l, 0, sizeof *l);
    l->url = shown;
    dx_status status = dx_observe(url, &l->observers[0]);
    if (status != DX_OK)
        return status;
    uint32_t all = l->observers[0]->geometry.places;
    if (l->observers[0]->region.url.transport == &dx_transport_unix) {
        (void)snprintf(memory, sizeof memory, "memfd:%d", l->observers[0]->region.fd);
        url = memory;
    }
    for (l->places = 1; l->places < all; l->places++) {
        status = dx_observe_place(url, l->places, &l->observers[l->places]);
        if (status != DX_OK)
            return status;
    }
    return DX_OK;
}

static void note_all(struct look *l)
{
    for (uint32_t i = 0; i < l->places; i++) {
        note(&l->samples[2 * i + DX_HOST], l->observers[i], DX_HOST);
        note(&l->samples[2 * i + DX_GUEST], l->observers[i], DX_GUEST);
    }
    l->noted_ns = dx_clock_ns();
}

/* Whoever was noted at the last look may have beaten since. A side that came later is listened to.
 */
static void hear_all(struct look *l)
{
    bool listen = l->noted_ns == 0 || dx_clock_ns() - l->noted_ns < DX_HEARTBEAT_LISTEN_NS;
    bool known[2 * DX_GUESTS_MAX] = {false};
    bool heard[2 * DX_GUESTS_MAX] = {false};
    for (uint32_t i = 0; i < 2 * l->places; i++) {
        const struct dx_heartbeat_sample *s = &l->samples[i];
        known[i] = s->peer != NULL;
        heard[i] = known[i] && !listen && dx_heartbeat_changed(s, s->peer);
    }
    note_all(l);
    for (uint32_t i = 0; i < 2 * l->places; i++) {
        l->samples[i].heard = l->samples[i].peer != NULL && heard[i];
        listen |= l->samples[i].peer != NULL && !known[i];
    }
    if (listen)
        dx_heartbeat_listen(l->samples, 2 * l->places, DX_HEARTBEAT_LISTEN_NS);
}

dx_status look_read(struct look *l, struct report *reports)
{
    dx_status status = DX_OK;
    hear_all(l);
    for (uint32_t i = 0; i < l->places && status == DX_OK; i++)
        status = make_report(l->observers[i], l->url, &l->samples[2 * i], &reports[i]);
    return status;
}

const char *look_error(dx_status status)
{
    const char *detail = dx_last_error();
    const char *after = strncmp(detail, "memfd:", 6) == 0 ? strstr(detail, ": ") : NULL;
    if (*detail == '\0')
        return dx_status_string(status);
    return after != NULL ? after + 2 : detail;
}

void look_close(struct look *l)
{
    while (l->places > 0)
        (void)dx_close(l->observers[--l->places]);
}
