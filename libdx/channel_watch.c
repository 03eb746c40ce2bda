/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the threads of libdx tell a channel: that of its heartbeat looks before each beat at what
 * changes slowly, and that of its link says who has left and that our eventfd was rung.
 */
#include "atomic.h"
#include "channel.h"
#include "rendezvous_link.h"

/* Does our place still carry our session? A guest that was paused for too long may find a new one
 * there. A host's place is kept by its lock, and nobody can take it. */
static bool still_ours(const struct dx_channel *c)
{
    /* Relaxed: written by us, or by whoever came after us. */
    return c->side == DX_HOST || dx_load_relaxed(&c->peers[c->side].session) == c->session;
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
    dx_channel_ring_all(c, c->side);
}

/* Those who wait for somebody who can no longer find the region are told. */
static void follow_name(struct dx_channel *c)
{
    /* Relaxed, both: ours alone; those who sleep are rung after it. */
    uint32_t before = dx_load_relaxed(&c->nameless);
    uint32_t now = dx_region_name_is_gone(&c->region, before != 0);
    if (now == before)
        return;
    dx_store_relaxed(&c->nameless, now);
    dx_channel_ring_all(c, c->side);
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

/* Before a beat. */
static int64_t look(void *user)
{
    struct dx_channel *c = user;
    if (!still_ours(c)) {
        /* Relaxed: those who sleep look every DX_LIVENESS_NS. */
        dx_store_relaxed(&c->ousted, 1u);
        return 0;
    }
    dx_channel_see_lock_again(c);
    follow_park(c);
    follow_name(c);
    return dx_channel_is_remote(c) ? interval_remote(c) : DX_HEARTBEAT_SLOW_NS;
}

/* The other side may be the one that left: our waits make no sense any more. */
static void peer_left(struct dx_channel *c, int64_t id)
{
    /* Relaxed: a peer that is only just beginning is looked at again by whoever waits. */
    uint32_t doorbell_id = dx_load_relaxed(&c->peers[dx_other(c->side)].doorbell_id);
    if ((int64_t)doorbell_id - 1 == id)
        dx_channel_ring_all(c, c->side);
}

dx_status dx_channel_watch(struct dx_channel *c)
{
    if (dx_channel_kernels(c) == DX_SAME_KERNEL)
        return DX_OK;
    c->heartbeat.self = &c->peers[c->side];
    c->heartbeat.other = &c->peers[dx_other(c->side)];
    c->heartbeat.look = look;
    c->heartbeat.user = c;
    return dx_heartbeat_start(&c->heartbeat);
}

dx_status dx_channel_watch_link(struct dx_channel *c)
{
    const struct dx_link_user user = {
        .channel = c, .left = peer_left, .rung = dx_channel_dispatch, .found = &c->found};
    if (c->region.link == NULL)
        return DX_OK;
    if (dx_link_has_news(c->region.link))
        c->liveness_ns = DX_LIVENESS_LINK_NS;
    return dx_link_start(c->region.link, &user);
}
