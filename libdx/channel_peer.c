/* SPDX-License-Identifier: Apache-2.0 */
/* Who the other side is, whether it lives, and how we can be woken by it. */
#include "atomic.h"
#include "channel.h"
#include "error.h"
#include "liveness_kernel.h"
#include "probe.h"
#include "rendezvous_link.h"

static bool sees_lock(const struct dx_channel *c)
{
    enum dx_lock lock = c->side == DX_HOST ? DX_LOCK_GUEST : DX_LOCK_HOST;
    return dx_region_lock_look(&c->region, dx_lock_at(c->region.place, lock)) == DX_LOCK_HELD;
}

bool dx_channel_seen_here(const struct dx_channel *c)
{
    /* Relaxed, all: numbers that stand for themselves. */
    uint64_t session = dx_load_relaxed(&c->peers[dx_other(c->side)].session);
    if (session != 0 && dx_load_relaxed(&c->seen_session) == session)
        return true;
    if (session == 0 || !sees_lock(c))
        return false;
    dx_store_relaxed(&((struct dx_channel *)c)->seen_session, session);
    return true;
}

/* A lock that was seen may have been that of one who only tried to take the place. */
void dx_channel_see_lock_again(struct dx_channel *c)
{
    if (dx_channel_kernels(c) != DX_OTHER_KERNEL &&
        dx_peer_is_remote(&c->peers[dx_other(c->side)]) && !sees_lock(c)) {
        /* Relaxed: as above. */
        dx_store_relaxed(&c->seen_session, 0u);
    }
}

uint32_t dx_channel_park_kind(const struct dx_channel *c)
{
    uint32_t park = c->doorbell_taken ? (uint32_t)DX_PARK_DOORBELL : c->wait.park;
    if (park == DX_PARK_NEVER || park == DX_PARK_POLL || dx_channel_forked(c) ||
        !dx_channel_is_remote(c))
        return park;
    /* Relaxed: input; rings of a doorbell_id that nobody has wake nobody. */
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

static bool is_alive(const struct dx_channel *c, enum dx_side side)
{
    const struct dx_peer_lines *peer = &c->peers[side];
    bool heard = dx_heartbeat_alive(&c->heartbeat, peer, c->peer_timeout_ns);
    if (dx_channel_kernels(c) == DX_OTHER_KERNEL)
        return heard;
    enum dx_lock lock = side == DX_HOST ? DX_LOCK_HOST : DX_LOCK_GUEST;
    enum dx_lock_look look = dx_region_lock_look(&c->region, dx_lock_at(c->region.place, lock));
    /* A lock that is seen is proof, whatever its holder says. That none is seen is proof only of
     * those who are under our kernel. */
    if (look != DX_LOCK_HELD && dx_channel_kernels(c) != DX_SAME_KERNEL && dx_peer_is_remote(peer))
        return heard;
    return look != DX_LOCK_FREE; /* what cannot be seen is no death */
}

/* Tells tracers of each death once, whoever looks at it and however often. A life that ends before
 * it has said its session has that of the one before it, unless it was seen alive in between. */
static void trace_life(const struct dx_channel *c, bool dead)
{
    _Atomic uint64_t *traced = &((struct dx_channel *)c)->dead_life;
    /* Relaxed, all: numbers that stand for themselves. */
    if (!dead) {
        if (dx_load_relaxed(traced) != 0)
            dx_store_relaxed(traced, 0u);
        return;
    }
    uint64_t life = dx_load_relaxed(&c->peers[dx_other(c->side)].session) | 1u;
    if (dx_exchange_relaxed(traced, life) != life)
        DX_PROBE2(peer_dead, c, c->peers[dx_other(c->side)].pid);
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
    bool dead = left || !is_alive(c, side);
    /* Read again: it may have closed, or a new one begun, since the first look. */
    if (dead)
        state = dx_load_acquire(&c->peers[side].state); /* A4 <- R4 */
    if (state == DX_PEER_STATE_CLOSED)
        return DX_PEER_CLOSED;
    trace_life(c, dead);
    return dead ? DX_PEER_DEAD : DX_PEER_ALIVE;
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
    if (dx_load_relaxed(&c->ousted) != 0)
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
    if (dx_channel_kernels(c) != DX_OTHER_KERNEL &&
        dx_region_lock_look(&c->region, dx_lock_at(c->region.place, lock)) == DX_LOCK_UNSEEN)
        return "this program has closed the channel's descriptor: that the other side's process "
               "ends cannot be seen any more";
    if (dx_channel_nameless(c))
        return c->region.name.removed;
    if (dx_channel_kernels(c) == DX_ANY_KERNEL && !c->observer && !dx_kernel_find() &&
        !dx_channel_seen_here(c))
        return "which kernel this is cannot be found out, since /proc/sys/kernel/random/boot_id "
               "cannot be read: a side whose lock is not seen is taken for one in a VM, and polled "
               "for";
    return c->region.notice;
}
