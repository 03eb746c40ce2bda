/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many servers of one thread. It spins over all of them, then sleeps for their descriptors. What it
 * keeps from one call to the next belongs to the first of them.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "clock.h"
#include "error.h"
#include "fd_wait.h"
#include "notifier.h"
#include "server.h"

struct dx_server_set {
    struct dx_cell cell; /* in which nobody sleeps: for dx_wait_on */
    struct dx_waiter waiter;
    struct dx_counters counters;
    struct dx_server *const *servers;
    uint32_t count;
    dx_status failure; /* of the sleep */
    uint32_t ended;    /* the server whose check has failed */
    uint32_t room;
    struct pollfd descriptors[];
};

static bool look_at_all(void *user)
{
    const struct dx_server_set *set = user;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->servers[i]->status == DX_OK && dx_server_look(set->servers[i]))
            return true;
    return false;
}

static dx_status check_all(void *user)
{
    struct dx_server_set *set = user;
    if (set->failure != DX_OK)
        return set->failure;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->servers[i]->status != DX_OK)
            continue;
        dx_status status = dx_server_check(set->servers[i]);
        if (status != DX_OK) {
            set->ended = i;
            return status;
        }
    }
    return DX_OK;
}

static bool arm_all(struct dx_server_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct dx_server *s = set->servers[i];
        set->failure = dx_server_notify(s);
        if (set->failure != DX_OK)
            return false;
        if (s->status == DX_OK)
            dx_notifier_arm(s->notifier, INT64_MAX);
        set->descriptors[i] = (struct pollfd){.fd = dx_notifier_fd(s->notifier), .events = POLLIN};
    }
    return true;
}

static enum dx_slept sleep_for_all(struct dx_channel *channel, struct dx_cell *cell, uint32_t armed,
                                   const struct dx_wait *wait, int64_t timeout_ns)
{
    struct dx_server_set *set = (struct dx_server_set *)(void *)cell; /* its first member */
    (void)channel;
    (void)armed;
    if (!arm_all(set))
        return DX_SLEPT_UNRUNG;
    if (look_at_all(set))
        return DX_SLEPT_RUNG;
    if (check_all(set) != DX_OK) /* which the caller asks again, before the next sleep */
        return DX_SLEPT_UNRUNG;
    struct timespec timeout = dx_clock_timespec(timeout_ns);
    int readable = ppoll(set->descriptors, set->count, &timeout, NULL);
    if (readable < 0 && errno != EINTR) /* no loop without a sleep */
        dx_fd_nap(wait->poll_ns < timeout_ns ? wait->poll_ns : timeout_ns);
    return readable > 0 ? DX_SLEPT_RUNG : DX_SLEPT_UNRUNG;
}

/* What the first server keeps, made for these servers. */
static struct dx_server_set *set_of(struct dx_server *const *servers, uint32_t count)
{
    struct dx_server *first = servers[0];
    struct dx_server_set *set = first->set;
    if (set == NULL || set->room < count) {
        size_t bytes = sizeof *set + count * sizeof set->descriptors[0];
        set = aligned_alloc(DX_LINE, (bytes + DX_LINE - 1) / DX_LINE * DX_LINE);
        if (set == NULL)
            return NULL;
        *set = (struct dx_server_set){.room = count};
        dx_cell_init(&set->cell);
        dx_waiter_init(&set->waiter, &first->channel->wait, &first->channel->cost, &set->counters);
        set->waiter.liveness_ns = first->channel->liveness_ns;
        set->waiter.idle_ns = DX_IDLE_SLEEP_NS;
        free(first->set);
        first->set = set;
    }
    set->servers = servers;
    set->count = count;
    return set;
}

/* Is it time to look whether the other sides live? With many channels one of them can have news all
 * the time. */
static bool is_due(struct dx_server *first)
{
    int64_t now = dx_clock_ns();
    if (now - first->checked_ns < first->waiter.liveness_ns)
        return false;
    first->checked_ns = now;
    return true;
}

static dx_status worse(dx_status served, dx_status checked)
{
    return checked != DX_OK ? checked : served;
}

/* One turn for each; true if anything was new, or one has ended, which is *which then. */
static bool serve_all(struct dx_entries *e, uint32_t *which, dx_status *status)
{
    bool any = false;
    bool looks = is_due(e->servers[0]);
    for (uint32_t i = 0; i < e->count; i++) {
        struct dx_server *s = e->servers[i];
        if (s->status == DX_OK) {
            e->in = s;
            *status = dx_server_step(s, 0);
            if (looks && (*status == DX_OK || *status == DX_ERR_TIMEOUT))
                *status = worse(*status, dx_server_check(s));
            if (*status != DX_OK && *status != DX_ERR_TIMEOUT)
                (void)dx_server_over(s, *status); /* which enters handlers of streams */
            e->in = NULL;
            any |= *status == DX_OK;
        }
        if (s->status != DX_OK) {
            *status = s->status;
            *which = i;
            return true;
        }
    }
    *status = DX_OK;
    return any;
}

struct set_wait {
    int64_t timeout_ns;
    uint32_t *which;
};

static dx_status wait_for_all(struct dx_entries *e, void *user)
{
    const struct set_wait *w = user;
    dx_status status;
    if (serve_all(e, w->which, &status))
        return status;
    if (w->timeout_ns == 0)
        return DX_ERR_TIMEOUT;
    struct dx_server_set *set = set_of(e->servers, e->count);
    if (set == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory to wait for %u servers", e->count);
    set->failure = DX_OK;
    struct dx_source source = {.look = look_at_all,
                               .check = check_all,
                               .sleep = sleep_for_all,
                               .cancels = true,
                               .user = set,
                               .cell = &set->cell};
    status = dx_wait_on(&set->waiter, &source, 0, w->timeout_ns);
    if (set->failure != DX_OK || status == DX_ERR_TIMEOUT)
        return status;
    if (status != DX_OK) {
        *w->which = set->ended;
        e->in = e->servers[set->ended];
        (void)dx_server_over(e->in, status);
        e->in = NULL;
        return status;
    }
    (void)serve_all(e, w->which, &status);
    return status;
}

dx_status dx_servers_wait(struct dx_server *const *servers, uint32_t count, int64_t timeout_ns,
                          uint32_t *which)
{
    struct dx_entries e;
    assert(servers != NULL && which != NULL);
    if (count == 0)
        return dx_fail(DX_ERR_INVALID, "no servers to wait for");
    dx_status status = dx_entries_begin(&e, servers, count);
    if (status != DX_OK)
        return status;
    struct set_wait w = {.timeout_ns = timeout_ns, .which = which};
    status = dx_entries_work(&e, wait_for_all, &w);
    return status == DX_ERR_SYSTEM || status == DX_OK ? status : dx_fail_plain(status);
}
