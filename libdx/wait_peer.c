/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the other side. When it begins it rings every sleeper of ours, also the one in the
 * cell that belongs to no slot and to no server. */
#include <assert.h>

#include "channel.h"
#include "clock.h"
#include "dx_caller.h"
#include "error.h"

/* Between two looks where nobody can wake us, and where all sleep until rung: a peer under a kernel
 * that we have not heard of cannot ring us. */
#define POLL_NS 10000000ll
#define SLEEP_MAX_NS 100000000ll

struct awaited {
    struct dx_channel *channel;
    uint64_t gone; /* the session of a peer whose state says that it lives, and that does not */
};

static bool look(void *user)
{
    const struct awaited *a = user;
    const struct dx_peer_lines *other = &a->channel->peers[dx_other(a->channel->side)];
    /* A4 <- R4: the session is of a life that is open. */
    return dx_load_acquire(&other->state) == DX_PEER_STATE_OPEN &&
           dx_load_relaxed(&other->session) != a->gone; /* Relaxed: see above. */
}

static dx_status check(void *user)
{
    dx_status status = dx_channel_check(((const struct awaited *)user)->channel);
    return status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED ? DX_OK : status;
}

static uint32_t park_rung(const struct dx_channel *channel)
{
    uint32_t park = dx_channel_park_kind(channel);
    return park == DX_PARK_NEVER ? (uint32_t)DX_PARK_POLL : park;
}

static uint32_t park_by_time(const struct dx_channel *channel)
{
    (void)channel;
    return DX_PARK_POLL;
}

/* False: another thread sleeps there. */
static bool take_shared_cell(struct dx_channel *c)
{
    (void)pthread_mutex_lock(&c->lock);
    bool ours = !c->awaiting_peer;
    c->awaiting_peer = true;
    (void)pthread_mutex_unlock(&c->lock);
    return ours;
}

static void leave_shared_cell(struct dx_channel *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->awaiting_peer = false;
    (void)pthread_mutex_unlock(&c->lock);
}

/* One wait, in the shared cell if that is free: one sleeps there, others look now and then. */
static dx_status wait_on(struct awaited *a, int64_t timeout_ns)
{
    struct dx_channel *c = a->channel;
    struct dx_cell own;
    struct dx_counters counters = {.calls = 0};
    struct dx_wait strategy = c->wait;
    struct dx_waiter waiter;
    strategy.spin_min = strategy.spin_max = strategy.spin_start = 0;
    strategy.adapt = DX_ADAPT_OFF;
    strategy.poll_ns = strategy.poll_ns > POLL_NS ? strategy.poll_ns : POLL_NS;
    if (strategy.park == DX_PARK_NEVER)
        strategy.park = DX_PARK_POLL;
    dx_waiter_init(&waiter, &strategy, &c->cost, &counters);
    waiter.liveness_ns = c->liveness_ns;
    waiter.idle_ns = SLEEP_MAX_NS;
    dx_cell_init(&own);
    struct dx_source source = {
        .look = look, .check = check, .park = park_by_time, .channel = c, .user = a, .cell = &own};
    bool rung = take_shared_cell(c);
    if (rung) {
        source.park = park_rung;
        source.sleep = dx_channel_sleep;
        source.found = &c->found;
        source.cell = &c->cells[dx_cell_shared(c->geometry.slots, c->side)];
    }
    dx_status status = dx_wait_on(&waiter, &source, 0, timeout_ns);
    if (rung)
        leave_shared_cell(c);
    return status;
}

dx_status dx_wait_peer(struct dx_channel *c, int64_t timeout_ns)
{
    assert(c != NULL && !c->observer);
    struct awaited a = {.channel = c};
    int64_t deadline = dx_clock_deadline(dx_clock_ns(), timeout_ns);
    /* Before anything of the region is touched, for it may not be ours to use. */
    dx_status status = check(&a);
    if (status != DX_OK)
        return dx_fail_plain(status);
    for (;;) {
        int64_t left_ns = deadline - dx_clock_ns();
        status = wait_on(&a, timeout_ns < 0 ? DX_FOREVER : left_ns > 0 ? left_ns : 0);
        if (status == DX_ERR_TIMEOUT)
            return dx_fail(DX_ERR_NO_PEER, "%s: the %s is not there", c->region.url.path,
                           c->side == DX_HOST ? "guest" : "host");
        if (status == DX_OK)
            status = check(&a);
        if (status != DX_OK)
            return dx_fail_plain(status);
        if (dx_channel_peer(c) == DX_PEER_ALIVE)
            return DX_OK;
        /* Relaxed: a number that stands for itself. */
        a.gone = dx_load_relaxed(&c->peers[dx_other(c->side)].session);
    }
}
