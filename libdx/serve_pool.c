/* SPDX-License-Identifier: Apache-2.0 */
/* dx_serve: one server on the calling thread, or a pool of them on threads of their own. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "atomic.h"
#include "error.h"
#include "serving.h"
#include "thread.h"

static void free_server(struct dx_server *s)
{
    if (s != NULL) {
        free(s->copy);
        free(s);
    }
}

static struct dx_server *make_server(struct dx_channel *c, uint32_t index, uint32_t threads,
                                     const struct dx_serve_options *options,
                                     struct dx_serving *serving)
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
        .recent = base + index,
        .stride = threads,
        .base = base,
        .count = dx_slot_count(&c->geometry, callers),
        .seen = serving->seen,
        .stream = options->stream,
        .streaming = options->stream != NULL ? &dx_streaming : NULL,
        .streams = serving->streams,
        .worker = dx_channel_worker(c, c->side, index),
        .pool = &serving->pool,
        .later = c->later,
        .cell = dx_cell_of_worker(c->geometry.slots, c->side, index),
    };
    dx_waiter_init(&s->waiter, &c->wait, &c->cost, &s->worker->counters);
    s->waiter.liveness_ns = c->liveness_ns;
    s->waiter.idle_ns = DX_IDLE_SLEEP_NS;
    /* A monitor watches one line. */
    if (s->count > index && s->count - index <= threads)
        dx_waiter_watch(&s->waiter, &c->caller_lines[s->first].word, &serving->seen[index], false);
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

/* Runs when a serving thread ends: also if a handler, or whoever cancelled it, has ended it. */
static void thread_ended(void *user)
{
    struct dx_server *s = user;
    if (s->returned)
        return;
    dx_serving_unmark();
    dx_server_leave(s);
}

static void *run_thread(void *user)
{
    struct dx_server *s = user;
    pthread_cleanup_push(thread_ended, s);
    s->status = dx_server_run(s);
    pthread_cleanup_pop(1);
    return NULL;
}

/* Starts servers 1 ... n-1 on threads that no signal interrupts. */
static dx_status start_threads(struct dx_serving *serving)
{
    uint32_t threads = serving->pool.threads;
    dx_status status = DX_OK;
    while (serving->started + 1 < threads && status == DX_OK) {
        uint32_t next = serving->started + 1;
        int failed = dx_thread_start(&serving->threads[next], run_thread, serving->servers[next]);
        if (failed != 0)
            status = dx_fail(DX_ERR_SYSTEM, "cannot start serving thread %u of %u (error %d)",
                             next + 1, threads, failed);
        else
            serving->started = next;
    }
    return status;
}

static void join_threads(struct dx_serving *serving)
{
    /* In the child of a handler that forked there is no other thread. */
    if (dx_channel_forked(serving->channel))
        serving->started = 0;
    for (; serving->started > 0; serving->started--)
        (void)pthread_join(serving->threads[serving->started], NULL);
}

/* Why the others ended, if server 0 ended because they did. */
static dx_status status_of_others(const struct dx_serving *serving)
{
    for (uint32_t i = 1; i < serving->pool.threads; i++) {
        if (!serving->servers[i]->returned)
            return dx_fail(DX_ERR_LOST,
                           "serving thread %u of %u was ended from outside (by "
                           "pthread_exit in a handler, or pthread_cancel)",
                           i + 1, serving->pool.threads);
        if (serving->servers[i]->status != DX_OK)
            return dx_fail_plain(serving->servers[i]->status);
    }
    return DX_OK;
}

void dx_serving_take_over(struct dx_serving *serving)
{
    serving->begun = true;
    serving->channel->streams = serving->streams;
    for (uint32_t i = 0; i < serving->pool.threads; i++)
        dx_server_begin(serving->servers[i]);
}

/* Runs the servers, server 0 here. If one cannot be started, all stop. */
static dx_status run_pool(struct dx_serving *serving)
{
    dx_serving_take_over(serving);
    dx_status status = start_threads(serving);
    uint32_t started = serving->started;
    if (status == DX_OK)
        status = dx_fail_plain(dx_server_run(serving->servers[0]));
    else
        dx_server_end_all(serving->servers[0]);
    serving->servers[0]->returned = true; /* also if it was not run */
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    join_threads(serving);
    (void)pthread_setcancelstate(before, NULL);
    return status == DX_OK && started != 0 ? status_of_others(serving) : status;
}

void dx_serving_end(struct dx_serving *serving)
{
    struct dx_channel *c = serving->channel;
    uint32_t threads = serving->pool.threads;
    int before;
    /* A thread that is cancelled while it joins would leave the others to freed memory. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    if (serving->begun && !serving->servers[0]->returned) {
        dx_serving_unmark();
        dx_server_leave(serving->servers[0]);
    }
    join_threads(serving);
    for (uint32_t i = 0; i < threads && serving->begun; i++)
        dx_server_end(serving->servers[i]);
    for (uint32_t i = 0; i < threads; i++)
        free_server(serving->servers[i]);
    c->streams = NULL;
    free(serving->seen);
    free(serving->streams);
    (void)pthread_mutex_lock(&c->lock);
    if (c->served == serving)
        c->served = NULL;
    (void)pthread_mutex_unlock(&c->lock);
    if (serving->entered)
        dx_entry_end(&serving->entry);
    free(serving);
    dx_later_release(c);
    /* R9 -> A9: for the next server of this process. */
    (void)dx_exchange_acqrel(&c->serving, 0u);
    (void)pthread_setcancelstate(before, NULL);
}

bool dx_serving_mend(struct dx_channel *c)
{
    struct dx_serving *left = dx_serving_take_left(c);
    if (left != NULL)
        dx_serving_end(left);
    return left != NULL;
}

/* Once, of the two ways that lead here. */
static void leave(void *user)
{
    struct dx_serving **serving = user;
    struct dx_serving *ends = *serving;
    *serving = NULL;
    if (ends != NULL)
        dx_serving_end(ends);
}

static void leave_scope(struct dx_serving ***guard)
{
    leave(*guard);
}

/* Runs and ends it, also if a handler leaves by an exception or ends the thread. An exception needs
 * the variable with the cleanup; pthread_exit and pthread_cancel need pthread_cleanup_push where
 * the C library does not unwind the stack for them (musl). */
__attribute__((noinline, no_sanitize("address"))) static void
run_guarded(struct dx_serving *serving, dx_status *status)
{
    volatile uint64_t seal[DX_SEAL_WORDS];
    struct dx_channel *c = serving->channel;
    struct dx_serving *guarded = serving;
    dx_entry_seal(&serving->entry, seal);
    serving->entered = true;
    (void)pthread_mutex_lock(&c->lock);
    c->served = serving;
    (void)pthread_mutex_unlock(&c->lock);
    pthread_cleanup_push(leave, &guarded);
    struct dx_serving **guard __attribute__((cleanup(leave_scope))) = &guarded;
    (void)guard;
    *status = run_pool(serving);
    pthread_cleanup_pop(0);
}

/* All that a run needs; NULL if there is no memory for it. */
static struct dx_serving *make_serving(struct dx_channel *c, dx_handler handler, void *user,
                                       const struct dx_serve_options *options)
{
    uint32_t count = dx_slot_count(&c->geometry, dx_other(c->side));
    struct dx_serving *serving = calloc(1, sizeof *serving);
    if (serving == NULL)
        return NULL;
    serving->channel = c;
    serving->pool.threads = options->threads != 0 ? options->threads : 1;
    serving->seen = calloc(count, sizeof *serving->seen);
    if (options->stream != NULL)
        serving->streams = calloc(count, sizeof *serving->streams);
    bool whole = serving->seen != NULL && (serving->streams != NULL || options->stream == NULL);
    for (uint32_t i = 0; i < serving->pool.threads && whole; i++) {
        struct dx_server *s = make_server(c, i, serving->pool.threads, options, serving);
        whole = s != NULL;
        serving->servers[i] = s;
        if (whole) {
            s->handler = handler;
            s->user = user;
        }
    }
    if (!whole) {
        for (uint32_t i = 0; i < serving->pool.threads; i++)
            free_server(serving->servers[i]);
        free(serving->seen);
        free(serving->streams);
        free(serving);
        return NULL;
    }
    return serving;
}

static dx_status check_options(const struct dx_channel *c, const struct dx_serve_options *o)
{
    if (o->threads > DX_SERVE_THREADS_MAX)
        return dx_fail(DX_ERR_INVALID, "%u serving threads: 1 to %u are possible", o->threads,
                       DX_SERVE_THREADS_MAX);
    dx_status status =
        dx_reserved_check("struct dx_serve_options", o->reserved, sizeof o->reserved);
    if (status != DX_OK)
        return status;
    if (dx_channel_forked(c))
        return dx_channel_stopped(c);
    if (dx_slot_count(&c->geometry, dx_other(c->side)) == 0)
        return dx_fail(DX_ERR_INVALID, "the other side has no slots to call on, so that there is "
                                       "nothing to serve");
    return DX_OK;
}

dx_status dx_serving_begin(struct dx_channel *c, dx_handler handler, void *user,
                           const struct dx_serve_options *options, struct dx_serving **out)
{
    static const struct dx_serve_options defaults;
    const struct dx_serve_options *o = options != NULL ? options : &defaults;
    dx_status status = check_options(c, o);
    if (status != DX_OK)
        return status;
    /* A9 <- R9: what the last server of this process wrote. */
    while (dx_exchange_acqrel(&c->serving, 1u) != 0)
        if (!dx_serving_mend(c))
            return dx_fail(DX_ERR_BUSY, "this channel is being served already");
    status = dx_later_begin(c);
    *out = status == DX_OK ? make_serving(c, handler, user, o) : NULL;
    if (*out != NULL)
        return DX_OK;
    dx_later_release(c);
    /* R9 -> A9: for the next server of this process. */
    (void)dx_exchange_acqrel(&c->serving, 0u);
    return status != DX_OK ? status
                           : dx_fail(DX_ERR_SYSTEM, "no memory for %u serving threads",
                                     o->threads != 0 ? o->threads : 1);
}

dx_status dx_serve(struct dx_channel *c, dx_handler handler, void *user,
                   const struct dx_serve_options *options)
{
    struct dx_serving *serving;
    assert(c != NULL && handler != NULL && !c->observer);
    dx_status status = dx_serving_begin(c, handler, user, options, &serving);
    if (status == DX_OK)
        run_guarded(serving, &status);
    return status;
}
