/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "atomic.h"
#include "clock.h"
#include "cpus.h"
#include "error.h"
#include "kernel.h"
#include "link.h"
#include "serving.h"

void dx_channel_point(struct dx_channel *c)
{
    unsigned char *base = c->region.base;
    const struct dx_geometry *g = &c->geometry;
    c->header = (struct dx_header *)(void *)base;
    c->peers = (struct dx_peer_lines *)(void *)(base + sizeof(struct dx_header));
    c->caller_lines = (struct dx_caller_line *)(void *)(base + g->callers_offset);
    c->server_lines = (struct dx_server_line *)(void *)(base + g->servers_offset);
    c->counters = (struct dx_counters *)(void *)(base + g->counters_offset);
    c->workers = (struct dx_worker *)(void *)(base + g->workers_offset);
    c->cells = (struct dx_cell *)(void *)(base + g->cells_offset);
    c->payload = base + g->payload_offset;
}

void dx_channel_destroy(struct dx_channel *c)
{
    dx_fork_forget(c);
    dx_heartbeat_end(c);
    dx_link_stop(c->region.link, c);
    dx_region_close(&c->region);
    (void)pthread_mutex_destroy(&c->lock);
    free(c->slots);
    free(c->sleepers);
    free(c);
}

/* A channel with its strategy and nothing mapped yet. */
dx_status dx_channel_make(enum dx_side side, const struct dx_wait *wait, struct dx_channel **out)
{
    struct dx_wait chosen;
    dx_status status = DX_OK;
    if (wait != NULL)
        chosen = *wait;
    else
        status = dx_wait_default(&chosen);
    if (status == DX_OK)
        status = dx_wait_check(&chosen);
    if (status != DX_OK)
        return status;
    struct dx_channel *c = calloc(1, sizeof *c);
    if (c == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for a channel");
    c->side = side;
    c->region.fd = -1;
    c->wait = chosen;
    c->liveness_ns = DX_LIVENESS_NS;
    c->brake = (struct dx_brake)DX_BRAKE_INIT;
    c->peer_timeout_ns = chosen.peer_timeout_ns != 0 ? chosen.peer_timeout_ns : DX_PEER_TIMEOUT_NS;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)dx_kernel_find(); /* what failed once may not fail now */
    status = dx_fork_watch(c);
    if (status != DX_OK) {
        dx_channel_destroy(c);
        return status;
    }
    *out = c;
    return DX_OK;
}

dx_status dx_channel_measure(struct dx_channel *c)
{
    const struct dx_wait *w = &c->wait;
    c->cost.cpus = w->adapt == DX_ADAPT_LOAD ? dx_cpus() : UINT32_MAX;
    if (w->adapt == DX_ADAPT_COST || w->adapt == DX_ADAPT_LOAD)
        return dx_wait_measure(w, &c->cost.park_ns, &c->cost.look_ps);
    c->cost.look_ps = dx_wait_look_ps(w->relax);
    return DX_OK;
}

dx_status dx_channel_make_books(struct dx_channel *c)
{
    uint32_t count = dx_slot_count(&c->geometry, c->side);
    c->slots = calloc(count != 0 ? count : 1, sizeof *c->slots);
    c->sleepers = calloc(c->geometry.cells, sizeof *c->sleepers);
    return c->slots != NULL && c->sleepers != NULL
               ? DX_OK
               : dx_fail(DX_ERR_SYSTEM, "no memory for %u slots", count);
}

dx_status dx_channel_start(struct dx_channel *c)
{
    if (c->region.link == NULL && c->wait.park == DX_PARK_DOORBELL && !c->region.url.doorbell)
        return dx_fail(DX_ERR_INVALID,
                       "%s: park doorbell needs a rendezvous (unix:PATH) or ivshmem:doorbell; take "
                       "futex",
                       c->region.url.path);
    dx_status status = dx_region_seal(&c->region);
    dx_region_remember_name(&c->region);
    if (status == DX_OK)
        status = dx_heartbeat_start(c);
    if (status != DX_OK || c->region.link == NULL)
        return status;
    if (dx_link_has_news(c->region.link))
        c->liveness_ns = DX_LIVENESS_LINK_NS;
    return dx_link_start(c->region.link, c);
}

uint32_t dx_channel_park_kind(const struct dx_channel *c)
{
    uint32_t park = c->doorbell_taken ? (uint32_t)DX_PARK_DOORBELL : c->wait.park;
    if (park == DX_PARK_NEVER || park == DX_PARK_POLL || dx_channel_forked(c) ||
        !dx_channel_is_remote(c))
        return park;
    /* Relaxed: input; a doorbell_id that nobody has is rung in vain. */
    bool rung = c->region.link != NULL && dx_link_hears(c->region.link) &&
                dx_load_relaxed(&c->peers[dx_other(c->side)].doorbell_id) != 0;
    return rung ? DX_PARK_DOORBELL : DX_PARK_POLL;
}

dx_status dx_channel_stopped(const struct dx_channel *c)
{
    return dx_channel_forked(c)
               ? dx_fail(DX_ERR_FORKED,
                         "%s: opened by the process that forked this one, which has a copy that "
                         "can only be closed; attach or create here instead",
                         c->region.url.path)
               : dx_fail_plain(DX_ERR_STOPPED);
}

void dx_stop(struct dx_channel *c)
{
    if (dx_channel_forked(c))
        return;
    /* S1 <-> S2: before the look at our own sleepers, as a caller's word is. */
    dx_store_seqcst(&c->stopping, 1u);
    if (!c->observer) /* which has no sleepers, and may not write */
        dx_session_ring_all(c, c->side);
}

dx_status dx_close(struct dx_channel *c)
{
    if (c == NULL)
        return DX_OK;
    if (dx_channel_forked(c)) {
        dx_channel_destroy(c);
        return DX_OK;
    }
    (void)pthread_mutex_lock(&c->lock);
    uint32_t callers = c->callers_open;
    (void)pthread_mutex_unlock(&c->lock);
    /* Relaxed: whoever closes has joined the serving thread, or is told that it runs. */
    bool served = dx_load_relaxed(&c->serving) != 0 && !dx_serving_mend(c);
    if (callers != 0 || served)
        return dx_fail(DX_ERR_BUSY, "cannot close: %u callers are open and dx_serve %s", callers,
                       served ? "runs" : "does not run");
    if (!c->observer)
        dx_session_end(c);
    dx_channel_destroy(c);
    return DX_OK;
}

static bool is_alive(const struct dx_channel *c, enum dx_side side)
{
    const struct dx_peer_lines *peer = &c->peers[side];
    bool heard = dx_heartbeat_alive(&c->heartbeat, peer, c->peer_timeout_ns);
    if (c->region.url.kind == DX_REGION_IVSHMEM)
        return heard;
    enum dx_lock lock = side == DX_HOST ? DX_LOCK_HOST : DX_LOCK_GUEST;
    enum dx_lock_look look = dx_region_lock_look(&c->region, dx_lock_at(c->region.place, lock));
    /* A lock that is seen is proof, whatever its holder says. That none is seen is proof only of
     * those who are under our kernel. */
    if (look != DX_LOCK_HELD && c->region.url.kind != DX_REGION_MEMFD && dx_peer_is_remote(peer))
        return heard;
    return look != DX_LOCK_FREE; /* what cannot be seen is no death */
}

static enum dx_peer peer_now(const struct dx_channel *c)
{
    enum dx_side side = dx_other(c->side);
    if (dx_channel_forked(c))
        return DX_PEER_NONE;
    /* A4 <- R4. */
    uint32_t state = dx_load_acquire(&c->peers[side].state);
    if (state == DX_PEER_STATE_NONE)
        return DX_PEER_NONE;
    /* Its socket ends before its locks do. Relaxed: of a life that is open. */
    bool left = c->region.link != NULL &&
                dx_link_left(c->region.link, dx_load_relaxed(&c->peers[side].doorbell_id));
    if (!left && is_alive(c, side))
        return state == DX_PEER_STATE_CLOSED ? DX_PEER_CLOSED : DX_PEER_ALIVE;
    /* Read again: it may have closed, or a new one begun, since the first look. */
    state = dx_load_acquire(&c->peers[side].state); /* A4 <- R4 */
    return state == DX_PEER_STATE_CLOSED ? DX_PEER_CLOSED : DX_PEER_DEAD;
}

enum dx_peer dx_channel_peer(const struct dx_channel *c)
{
    return peer_now(c);
}

void dx_channel_peer_info(const struct dx_channel *c, struct dx_peer_info *out)
{
    const struct dx_peer_lines *other = &c->peers[dx_other(c->side)];
    enum dx_peer peer = peer_now(c);
    if (dx_channel_forked(c)) {
        *out = (struct dx_peer_info){.place = c->region.place, .id = DX_NO_ID};
        return;
    }
    /* A4 <- R4: what follows is of this life, or of a later one. Until it is open it is of none. */
    if (peer == DX_PEER_ALIVE && dx_load_acquire(&other->state) != DX_PEER_STATE_OPEN)
        peer = DX_PEER_NONE;
    /* Relaxed: input, of which a host compares the session. */
    uint32_t doorbell_id = dx_load_relaxed(&other->doorbell_id);
    *out = (struct dx_peer_info){
        .peer = peer,
        .place = c->region.place,
        .places = c->geometry.places,
        .id = doorbell_id != 0 ? doorbell_id - 1 : DX_NO_ID,
        .session = dx_load_relaxed(&other->session),
        .kernel = dx_load_relaxed(&other->kernel),
        .pid = other->pid,
        .remote = dx_channel_is_remote(c),
    };
}

dx_status dx_channel_check(const struct dx_channel *c)
{
    /* Relaxed: dx_stop rings us after it has stored. */
    if (dx_load_relaxed(&c->stopping) != 0)
        return dx_channel_stopped(c);
    /* Relaxed: looked at again every time. */
    if (dx_load_relaxed(&c->heartbeat.ousted) != 0)
        return DX_ERR_GUEST_EXISTS;
    switch (peer_now(c)) {
    case DX_PEER_NONE:
        return dx_channel_nameless(c) ? DX_ERR_NAME_REMOVED : DX_OK;
    case DX_PEER_CLOSED:
        return DX_ERR_PEER_CLOSED;
    case DX_PEER_DEAD:
        return DX_ERR_PEER_DEAD;
    default:
        return DX_OK;
    }
}

dx_status dx_channel_check_server(const struct dx_channel *c, bool through_restart)
{
    dx_status status = dx_channel_check(c);
    if (status != DX_ERR_PEER_DEAD || !through_restart)
        return status;
    return dx_channel_nameless(c) ? DX_ERR_NAME_REMOVED : DX_OK;
}

const char *dx_channel_notice(const struct dx_channel *c)
{
    if (dx_channel_forked(c))
        return "this process is a child of the one that opened the channel: the copy here can only "
               "be closed";
    enum dx_lock lock = c->side == DX_HOST ? DX_LOCK_GUEST : DX_LOCK_HOST;
    if (c->region.url.kind != DX_REGION_IVSHMEM &&
        dx_region_lock_look(&c->region, dx_lock_at(c->region.place, lock)) == DX_LOCK_UNSEEN)
        return "this program has closed the channel's descriptor: that the other side's process "
               "ends cannot be seen any more";
    if (dx_channel_nameless(c))
        return c->region.name.removed;
    if (c->region.url.kind != DX_REGION_IVSHMEM && c->region.url.kind != DX_REGION_MEMFD &&
        !c->observer && !dx_kernel_find() && !dx_channel_seen_here(c))
        return "which kernel this is cannot be found out, since /proc/sys/kernel/random/boot_id "
               "cannot be read: a side whose lock is not seen is taken for one in a VM, and polled "
               "for";
    return c->region.notice;
}

size_t dx_channel_request_capacity(const struct dx_channel *c)
{
    return c->geometry.request_capacity;
}

size_t dx_channel_response_capacity(const struct dx_channel *c)
{
    return c->geometry.response_capacity;
}

uint32_t dx_channel_slots(const struct dx_channel *c)
{
    return dx_slot_count(&c->geometry, c->side);
}

uint64_t dx_channel_region_bytes(const struct dx_channel *c)
{
    return c->geometry.region_bytes;
}

int dx_channel_fd(const struct dx_channel *c)
{
    return c->region.fd;
}
