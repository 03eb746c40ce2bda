/* SPDX-License-Identifier: Apache-2.0 */
/* Serving in steps: dx_server.h. */

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "notifier.h"
#include "server.h"
#include "serving.h"

dx_status dx_server_open(struct dx_channel *c, dx_handler handler, void *user,
                         const struct dx_serve_options *options, struct dx_server **out)
{
    struct dx_serving *serving;
    assert(c != NULL && handler != NULL && out != NULL && !c->observer);
    *out = NULL;
    if (options != NULL && options->threads > 1)
        return dx_fail(DX_ERR_INVALID, "%u threads: dx_server_open serves by one",
                       options->threads);
    dx_status status = dx_serving_begin(c, handler, user, options, &serving);
    if (status != DX_OK)
        return status;
    dx_serving_take_over(serving);
    *out = serving->servers[0];
    (*out)->serving = serving;
    return DX_OK;
}

dx_status dx_server_over(struct dx_server *s, dx_status status)
{
    s->status = status;
    if (!dx_channel_forked(s->channel))
        dx_server_finish(s, status);
    if (s->notifier != NULL)
        dx_notifier_signal(s->notifier);
    return status;
}

/* Nothing is new. Announces a sleep, if there is a descriptor, and looks at the other side after
 * it; otherwise looks as often as its liveness asks for. DX_ERR_TIMEOUT, DX_OK if there is news
 * after all, or why serving ends. */
static dx_status idle(struct dx_server *s)
{
    dx_status status = DX_OK;
    if (s->notifier != NULL) {
        dx_notifier_arm(s->notifier, INT64_MAX);
        if (dx_server_look(s)) {
            dx_notifier_signal(s->notifier);
            return DX_OK;
        }
        status = dx_server_check(s);
    } else {
        int64_t now = dx_clock_ns();
        if (now - s->checked_ns >= s->waiter.liveness_ns) {
            s->checked_ns = now;
            status = dx_server_check(s);
        }
    }
    return status == DX_OK ? DX_ERR_TIMEOUT : status;
}

static dx_status poll_once(struct dx_server *s, int64_t timeout_ns)
{
    if (s->status != DX_OK)
        return s->status;
    if (timeout_ns != 0 && s->notifier != NULL)
        dx_notifier_recall(s->notifier);
    dx_status status = dx_server_step(s, timeout_ns);
    if (status == DX_OK && timeout_ns != 0 && dx_server_step(s, 0) != DX_OK)
        status = DX_OK; /* the wait itself has served; what ends us comes again */
    if (status == DX_ERR_TIMEOUT)
        status = idle(s);
    return status == DX_OK || status == DX_ERR_TIMEOUT ? status : dx_server_over(s, status);
}

static void leave_all(const struct dx_entries *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        /* R17 -> A17: all of it, for the thread that comes next. */
        (void)dx_exchange_acqrel(&e->servers[i]->entered, 0u);
    }
}

dx_status dx_entries_begin(struct dx_entries *e, struct dx_server *const *servers, uint32_t count)
{
    *e = (struct dx_entries){.servers = servers};
    while (e->count < count) {
        /* A17 <- R17: what the thread that came before has done. */
        if (dx_exchange_acqrel(&servers[e->count]->entered, 1u) != 0) {
            leave_all(e);
            return dx_fail(DX_ERR_BUSY, "a thread is in a function of this server; a handler must "
                                        "not poll or close its own");
        }
        e->count++;
    }
    return DX_OK;
}

/* Also if a handler has left otherwise than by its return. */
static void leave(void *user)
{
    struct dx_entries *e = user;
    struct dx_server *s = e->in;
    if (s != NULL) {
        dx_serving_unmark();
        dx_server_leave(s);
        s->status = DX_ERR_LOST;
        s->returned = true;
        if (s->notifier != NULL)
            dx_notifier_signal(s->notifier);
    }
    leave_all(e);
    e->count = 0;
    e->in = NULL;
}

static void leave_scope(struct dx_entries **guard)
{
    leave(*guard);
}

/* As run_guarded of serve_pool.c, for the same ways out. */
static void work_guarded(struct dx_entries *e, dx_status (*work)(struct dx_entries *, void *),
                         void *user, dx_status *status)
{
    pthread_cleanup_push(leave, e);
    struct dx_entries *guard __attribute__((cleanup(leave_scope))) = e;
    (void)guard;
    *status = work(e, user);
    pthread_cleanup_pop(0);
}

dx_status dx_entries_work(struct dx_entries *e,
                          dx_status (*work)(struct dx_entries *entries, void *user), void *user)
{
    dx_status status = DX_OK;
    work_guarded(e, work, user, &status);
    return status;
}

static dx_status poll_one(struct dx_entries *e, void *user)
{
    struct dx_server *s = e->servers[0];
    e->in = s;
    dx_status status = poll_once(s, *(int64_t *)user);
    e->in = NULL;
    return status;
}

dx_status dx_server_poll(struct dx_server *s, int64_t timeout_ns)
{
    struct dx_entries e;
    assert(s != NULL);
    dx_status status = dx_entries_begin(&e, &s, 1);
    if (status != DX_OK)
        return status;
    status = dx_entries_work(&e, poll_one, &timeout_ns);
    return status == DX_OK ? DX_OK : dx_fail_plain(status);
}

dx_status dx_server_notify(struct dx_server *s)
{
    if (s->notifier != NULL)
        return DX_OK;
    if (dx_channel_forked(s->channel))
        return dx_channel_stopped(s->channel);
    return dx_notifier_open(s->channel, s->cell, &s->notifier);
}

int dx_server_fd(struct dx_server *s)
{
    assert(s != NULL);
    return dx_server_notify(s) == DX_OK ? dx_notifier_fd(s->notifier) : -1;
}

dx_status dx_server_close(struct dx_server *s)
{
    if (s == NULL)
        return DX_OK;
    struct dx_entries e;
    dx_status status = dx_entries_begin(&e, &s, 1);
    if (status != DX_OK)
        return status;
    dx_notifier_close(s->notifier);
    s->notifier = NULL;
    free(s->set);
    bool forked = dx_channel_forked(s->channel);
    if (!s->returned && !forked)
        dx_server_finish(s, DX_ERR_STOPPED);
    s->returned = true;
    dx_serving_end(s->serving);
    return DX_OK;
}
