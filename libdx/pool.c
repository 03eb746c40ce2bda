/* SPDX-License-Identifier: Apache-2.0 */
/* dx_serve: one server on the calling thread, or a pool of them on threads of their own. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "atomic.h"
#include "error.h"
#include "serve.h"

/* What is kept of each slot, shared out among the servers as the slots are. */
struct dx_pool_slots {
    uint64_t *seen;
    struct dx_stream *streams; /* NULL if none are taken */
};

static void free_server(struct dx_server *s)
{
    if (s != NULL) {
        free(s->copy);
        free(s);
    }
}

static struct dx_server *make_server(struct dx_channel *c, uint32_t index, uint32_t threads,
                                     const struct dx_serve_options *options,
                                     const struct dx_pool_slots *slots)
{
    struct dx_server *s = aligned_alloc(DX_LINE, (sizeof *s + DX_LINE - 1) / DX_LINE * DX_LINE);
    if (s == NULL)
        return NULL;
    enum dx_side callers = dx_other(c->side);
    uint32_t base = dx_first_slot(&c->geometry, callers);
    *s = (struct dx_server){
        .channel = c,
        .flags = options->flags,
        .first = base + index,
        .stride = threads,
        .base = base,
        .count = dx_slot_count(&c->geometry, callers),
        .seen = slots->seen,
        .stream = options->stream,
        .streams = slots->streams,
        .worker = dx_channel_worker(c, c->side, index),
        .cell = dx_cell_of_worker(c->geometry.slots, c->side, index),
    };
    dx_waiter_init(&s->waiter, &c->wait, &c->cost, &s->worker->counters);
    s->waiter.liveness_ns = c->liveness_ns;
    s->waiter.idle_ns = DX_IDLE_SLEEP_NS;
    /* A monitor watches one line. */
    if (s->count > index && s->count - index <= threads)
        dx_waiter_watch(&s->waiter, &c->caller_lines[s->first].word, &slots->seen[index], false);
    if ((options->flags & DX_SERVE_COPY) != 0) {
        size_t room = c->geometry.request_capacity;
        s->copy = malloc(room != 0 ? room : 1);
        if (s->copy == NULL) {
            free_server(s);
            return NULL;
        }
    }
    return s;
}

static void *run_thread(void *user)
{
    struct dx_server *s = user;
    s->status = dx_server_run(s);
    return NULL;
}

/* Runs servers 1 ... n-1 on threads and server 0 here. If one cannot be started, all stop. */
static dx_status run_pool(struct dx_server **servers, uint32_t threads)
{
    pthread_t started[DX_SERVE_THREADS_MAX];
    uint32_t count = 0;
    dx_status status = DX_OK;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (count + 1 < threads && status == DX_OK) {
        int failed = pthread_create(&started[count], NULL, run_thread, servers[count + 1]);
        if (failed != 0)
            status = dx_fail(DX_ERR_SYSTEM, "cannot start serving thread %u of %u (error %d)",
                             count + 2, threads, failed);
        else
            count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == DX_OK)
        status = dx_fail_plain(dx_server_run(servers[0]));
    else
        dx_server_end_all(servers[0]);
    /* In the child of a handler that forked there is no other thread. */
    for (uint32_t i = 0; i < count && status != DX_ERR_FORKED; i++) {
        (void)pthread_join(started[i], NULL);
        if (status == DX_OK)
            status = dx_fail_plain(servers[i + 1]->status);
    }
    return status;
}

static dx_status serve_with(struct dx_channel *c, dx_handler handler, void *user,
                            const struct dx_serve_options *options,
                            const struct dx_pool_slots *slots)
{
    uint32_t threads = options->threads != 0 ? options->threads : 1;
    struct dx_server *servers[DX_SERVE_THREADS_MAX] = {0};
    struct dx_pool pool = {.threads = threads};
    dx_status status = DX_OK;
    for (uint32_t i = 0; i < threads && status == DX_OK; i++) {
        servers[i] = make_server(c, i, threads, options, slots);
        if (servers[i] == NULL) {
            status =
                dx_fail(DX_ERR_SYSTEM, "no memory for serving thread %u of %u", i + 1, threads);
        } else {
            servers[i]->pool = &pool;
            servers[i]->handler = handler;
            servers[i]->user = user;
        }
    }
    if (status == DX_OK) {
        for (uint32_t i = 0; i < threads; i++)
            dx_server_begin(servers[i]);
        c->streams = slots->streams;
        status = run_pool(servers, threads);
        c->streams = NULL;
        for (uint32_t i = 0; i < threads; i++)
            dx_server_end(servers[i]);
    }
    for (uint32_t i = 0; i < threads; i++)
        free_server(servers[i]);
    return status;
}

dx_status dx_serve(struct dx_channel *c, dx_handler handler, void *user,
                   const struct dx_serve_options *options)
{
    static const struct dx_serve_options defaults;
    const struct dx_serve_options *o = options != NULL ? options : &defaults;
    assert(c != NULL && handler != NULL && !c->observer);
    if (o->threads > DX_SERVE_THREADS_MAX)
        return dx_fail(DX_ERR_INVALID, "%u serving threads: 1 to %u are possible", o->threads,
                       DX_SERVE_THREADS_MAX);
    if (dx_channel_forked(c))
        return dx_channel_stopped(c);
    uint32_t count = dx_slot_count(&c->geometry, dx_other(c->side));
    if (count == 0)
        return dx_fail(DX_ERR_INVALID, "the other side has no slots to call on, so that there is "
                                       "nothing to serve");
    /* A9 <- R9: what the last server of this process wrote. */
    if (dx_exchange_acqrel(&c->serving, 1u) != 0)
        return dx_fail(DX_ERR_BUSY, "dx_serve runs already on this channel");
    struct dx_pool_slots slots = {
        .seen = calloc(count, sizeof *slots.seen),
        .streams = o->stream != NULL ? calloc(count, sizeof *slots.streams) : NULL,
    };
    dx_status status = slots.seen != NULL && (slots.streams != NULL || o->stream == NULL)
                           ? serve_with(c, handler, user, o, &slots)
                           : dx_fail(DX_ERR_SYSTEM, "no memory to serve %u slots", count);
    free(slots.seen);
    free(slots.streams);
    /* R9 -> A9: for the next server of this process. */
    (void)dx_exchange_acqrel(&c->serving, 0u);
    return status;
}
