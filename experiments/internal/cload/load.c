/* SPDX-License-Identifier: Apache-2.0 */
#include "load_private.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "content.h"

void load_failed(struct load_thread *t, int status)
{
    t->count.errors++;
    t->count.timeouts += status == DX_ERR_TIMEOUT || status == DX_ERR_NO_PEER;
    /* A peer that is gone stays gone for this run; the rest is worth another try. */
    if (status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED || status == DX_ERR_STOPPED)
        atomic_store(&t->load->stop, 1);
}

static void call_once(struct load_thread *t)
{
    struct load *load = t->load;
    uint32_t bytes = load->payload_bytes;
    size_t answer_bytes = bytes;
    uint32_t type = load->verify ? LOAD_TYPE_VERIFY : LOAD_TYPE_ECHO;
    t->sequence++;
    if (load->verify)
        content_fill(t->request, bytes, t->index, t->sequence);
    dx_status status = dx_call(t->caller, type, t->request, bytes, t->response, &answer_bytes, NULL,
                               CALL_TIMEOUT_NS);
    if (status != DX_OK) {
        load_failed(t, status);
        return;
    }
    t->count.calls++;
    if (load->verify &&
        (answer_bytes != bytes || !content_is_answer(t->response, bytes, t->index, t->sequence)))
        t->count.verify_failures++;
}

/* Makes one call and keeps its time, and the time since it was to start. */
static void call_timed(struct load_thread *t, int64_t intended)
{
    uint64_t errors = t->count.errors;
    int64_t start = load_now_ns();
    call_once(t);
    int64_t end = load_now_ns();
    if (t->count.errors != errors)
        return;
    if (t->count.samples == t->row.room) {
        t->count.dropped++;
        return;
    }
    if (t->row.intended_ns != NULL)
        t->row.intended_ns[t->count.samples] = load_sample(end - intended);
    t->row.rtt_ns[t->count.samples++] = load_sample(end - start);
}

/* Returns at the time `until`, or when the slice is over. */
static void wait_until(const struct load *load, int64_t until)
{
    const int64_t longest_sleep = 100000000;
    int64_t spin = load->schedule->spin_ns;
    for (int64_t now = load_now_ns(); now < until && !load_stopped(load); now = load_now_ns()) {
        if (until - now <= spin) {
            (void)sched_yield();
            continue;
        }
        int64_t wake = until - spin;
        if (wake - now > longest_sleep)
            wake = now + longest_sleep;
        struct timespec at = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
}

static void run_open(struct load_thread *t)
{
    const struct load *load = t->load;
    const struct load_schedule *s = load->schedule;
    uint64_t threads = load->threads;
    uint64_t first = s->first + (t->index + threads - s->first % threads) % threads;
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    for (uint64_t n = first; n < s->end; n += threads) {
        int64_t since = (int64_t)((double)n / s->rate_per_s * 1e9) - s->begin_ns;
        wait_until(load, load->start_ns + since);
        if (load_stopped(load))
            t->count.missed++;
        else if (s->no_calls)
            t->count.calls++;
        else
            call_timed(t, load->start_ns + since);
    }
}

static void *run(void *user)
{
    struct load_thread *t = user;
    struct load *load = t->load;
    (void)pthread_mutex_lock(&load->gate);
    (void)pthread_mutex_unlock(&load->gate);
    if (load->schedule != NULL) {
        run_open(t);
        return NULL;
    }
    if (t->queue != NULL) {
        load_queue_run(t);
        return NULL;
    }
    while (!load_stopped(load)) {
        if (t->row.rtt_ns != NULL)
            call_timed(t, 0);
        else
            call_once(t);
    }
    return NULL;
}

struct load *load_open(struct dx_channel *channel, uint32_t threads, uint32_t in_flight,
                       uint32_t payload_bytes, int verify, int *status)
{
    struct load *load = calloc(1, sizeof *load);
    struct load_thread *all = calloc(threads, sizeof *all);
    *status = DX_ERR_SYSTEM;
    if (load == NULL || all == NULL) {
        free(load);
        free(all);
        return NULL;
    }
    (void)pthread_mutex_init(&load->gate, NULL);
    load->channel = channel;
    load->payload_bytes = payload_bytes;
    load->in_flight = in_flight;
    load->verify = verify;
    load->thread = all;
    for (uint32_t i = 0; i < threads; i++) {
        all[i].load = load;
        all[i].index = i;
        all[i].request = calloc(1, payload_bytes + 1);
        all[i].response = calloc(1, payload_bytes + 1);
        load->threads = i + 1;
        *status = in_flight > 0 ? load_queue_open(&all[i])
                                : (int)dx_caller_open(channel, 0, &all[i].caller);
        if (*status != DX_OK || all[i].request == NULL || all[i].response == NULL) {
            load_close(load);
            return NULL;
        }
    }
    return load;
}

/* Sleeps for the slice, but not longer than somebody wants to stop it. */
static void let_run(struct load *load, int64_t until)
{
    for (int64_t left = until - load_now_ns(); left > 0; left = until - load_now_ns()) {
        if (load_stopped(load))
            return;
        struct timespec wait = {.tv_nsec = left < 20000000 ? left : 20000000};
        (void)nanosleep(&wait, NULL);
    }
}

/* Ends the slice of `started` threads: a closed loop at once, an open one when all have made their
 * calls, or when that takes too long. */
static void join_threads(struct load *load, uint32_t started)
{
    if (load->schedule == NULL)
        atomic_store(&load->stop, 1);
    for (uint32_t i = 0; i < started; i++) {
        pthread_t thread = load->thread[i].thread;
        if (load->schedule != NULL) {
            int64_t end = load->start_ns + load->schedule->longest_ns;
            struct timespec at = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
            if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &at) == 0)
                continue;
            atomic_store(&load->stop, 1);
        }
        (void)pthread_join(thread, NULL);
    }
}

/* Returns how many threads were started. */
static uint32_t start_threads(struct load *load, const struct load_samples *samples)
{
    sigset_t all;
    sigset_t before;
    uint32_t started = 0;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < load->threads; started++) {
        struct load_thread *t = &load->thread[started];
        memset(&t->count, 0, sizeof t->count);
        t->row = *samples;
        if (t->row.rtt_ns != NULL)
            t->row.rtt_ns += started * samples->room;
        if (t->row.intended_ns != NULL)
            t->row.intended_ns += started * samples->room;
        if (pthread_create(&t->thread, NULL, run, t) != 0)
            break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

int64_t load_slice(struct load *load, int64_t duration_ns, const struct load_schedule *schedule,
                   const struct load_samples *samples, struct load_count *counts)
{
    (void)pthread_mutex_lock(&load->gate);
    atomic_store(&load->stop, 0);
    load->schedule = schedule;
    uint32_t started = start_threads(load, samples);
    int complete = started == load->threads;
    load->start_ns = load_now_ns();
    if (!complete)
        atomic_store(&load->stop, 1);
    (void)pthread_mutex_unlock(&load->gate);
    if (complete)
        let_run(load, load->start_ns + duration_ns);
    join_threads(load, started);
    int64_t elapsed = load_now_ns() - load->start_ns;
    for (uint32_t i = 0; i < started; i++)
        counts[i] = load->thread[i].count;
    return complete ? elapsed : -1;
}

void load_interrupt(struct load *load)
{
    atomic_store(&load->stop, 1);
}

void load_close(struct load *load)
{
    for (uint32_t i = 0; i < load->threads; i++) {
        dx_caller_close(load->thread[i].caller);
        load_queue_close(&load->thread[i]);
        free(load->thread[i].request);
        free(load->thread[i].response);
    }
    (void)pthread_mutex_destroy(&load->gate);
    free(load->thread);
    free(load);
}

struct handler {
    unsigned char *buffer;
    int64_t time_ns; /* beside the copies */
};

static void take_time(int64_t ns)
{
    if (ns >= LOAD_SLEEPS_NS) {
        const struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    } else if (ns > 0) {
        int64_t now = load_now_ns();
        for (int64_t end = now + ns; now < end;)
            now = load_now_ns();
    }
}

/* Copies in and out, as the bare loop does, so that the two can be compared. */
static int32_t answer(void *user, const struct dx_request *request, struct dx_response *response)
{
    const struct handler *handler = user;
    unsigned char *buffer = handler->buffer;
    memcpy(buffer, request->data, request->bytes);
    if (request->type == LOAD_TYPE_VERIFY)
        content_answer(buffer, request->bytes);
    take_time(handler->time_ns);
    memcpy(response->data, buffer, request->bytes);
    response->bytes = request->bytes;
    return 0;
}

int load_serve(const char *url, const struct dx_wait *wait, int ready_fd, int64_t handler_ns)
{
    struct dx_channel *channel;
    dx_status status = dx_attach(url, wait, 10000000000ll, &channel);
    if (status != DX_OK)
        return status;
    const char *notice = dx_channel_notice(channel);
    (void)fputs(notice, stderr);
    struct handler handler = {.buffer = malloc(dx_channel_request_capacity(channel) + 1),
                              .time_ns = handler_ns};
    /* What is measured is what was asked for, or nothing. */
    if (*notice == '\0' && handler.buffer != NULL && write(ready_fd, "ready\n", 6) == 6)
        status = dx_serve(channel, answer, &handler, NULL);
    else
        status = DX_ERR_SYSTEM;
    free(handler.buffer);
    (void)dx_close(channel);
    return status;
}
