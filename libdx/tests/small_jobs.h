/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread with a small stack does. Assertions need more stack, so that it only writes down
 * what it found. */
#ifndef DX_TEST_SMALL_JOBS_H
#define DX_TEST_SMALL_JOBS_H

#include <stdatomic.h>

#include "small_stack.h"

#define STREAM_BYTES 3000u /* more than a ring has room for */
#define PLACES 3u

/* What one thread does, and what came of it. */
struct job {
    dx_status (*run)(struct job *job);
    const char *url;
    struct dx_config config;
    struct dx_channel *channel;
    struct dx_channel *places[PLACES];
    struct dx_caller *caller;
    struct dx_wait wait;
    uint32_t threads;
    uint64_t answer;
    uint64_t streamed;
    _Atomic uint64_t least_stack; /* of the threads that serve */
    dx_status status;
    char detail[512];
};

static const struct dx_config job_config = {
    .slots = 4, .guest_slots = 1, .request_capacity = 1024, .response_capacity = 1024};

static inline void *job_thread(void *user)
{
    struct job *job = user;
    job->status = job->run(job);
    const char *text = dx_last_error();
    size_t bytes = strnlen(text, sizeof job->detail - 1);
    memcpy(job->detail, text, bytes);
    job->detail[bytes] = '\0';
    return NULL;
}

static inline void job_expect(struct job *job, dx_status (*run)(struct job *job),
                              dx_status expected)
{
    struct small_stack stack;
    job->run = run;
    small_stack_start(&stack, job_thread, job);
    small_stack_join(&stack);
    if (job->status != expected)
        print_error("%s: \"%s\"\n", job->url != NULL ? job->url : "", job->detail);
    assert_status(job->status, expected);
    assert_true(expected == DX_OK || job->detail[0] != '\0');
}

static inline dx_status job_create(struct job *job)
{
    return dx_create(job->url, &job->config, &job->channel);
}

static inline dx_status job_create_places(struct job *job)
{
    dx_status status = dx_create_places(job->url, &job->config, PLACES, job->places);
    for (uint32_t i = 1; status == DX_OK && i <= PLACES; i++)
        status = dx_close(job->places[PLACES - i]); /* place 0 is the last */
    return status;
}

static inline dx_status job_attach(struct job *job)
{
    return dx_attach(job->url, job->config.wait, job->config.wait != NULL ? PATIENCE : 0,
                     &job->channel);
}

static inline dx_status job_observe(struct job *job)
{
    struct dx_stats stats;
    struct dx_channel *observer;
    dx_status status = dx_observe(job->url, &observer);
    if (status != DX_OK)
        return status;
    status = dx_stats_read(observer, DX_STATS_GUEST_SERVERS, &stats);
    dx_status closed = dx_close(observer);
    return status == DX_OK ? closed : status;
}

static inline dx_status job_close_channel(struct job *job)
{
    return dx_close(job->channel);
}

static inline void job_note_stack(struct job *job)
{
    pthread_attr_t attributes;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &bytes);
        (void)pthread_attr_destroy(&attributes);
    }
    uint64_t least = atomic_load(&job->least_stack);
    while ((least == 0 || bytes < least) &&
           !atomic_compare_exchange_weak(&job->least_stack, &least, bytes))
        ;
}

static inline int32_t job_echo(void *user, const struct dx_request *request,
                               struct dx_response *response)
{
    struct job *job = user;
    if (job->threads > 1 && request->slot % job->threads != 0)
        job_note_stack(job); /* thread 0 is the test's own */
    memcpy(response->data, request->data, request->bytes);
    response->bytes = request->bytes;
    return 0;
}

static inline int32_t job_count(void *user, struct dx_stream *stream)
{
    char buffer[256];
    size_t bytes = 1;
    int32_t status = DX_OK;
    (void)user;
    while (status == DX_OK && bytes != 0)
        status = dx_stream_read(stream, buffer, sizeof buffer, &bytes, PATIENCE);
    uint64_t total = dx_stream_bytes_read(stream);
    return status == DX_OK ? dx_stream_write(stream, &total, sizeof total, NULL, PATIENCE) : status;
}

static inline dx_status job_serve(struct job *job)
{
    const struct dx_serve_options options = {.threads = job->threads, .stream = job_count};
    return dx_serve(job->channel, job_echo, job, &options);
}

static inline dx_status job_call(struct job *job)
{
    const uint64_t question = 0x1122334455667788;
    size_t bytes = sizeof job->answer;
    dx_status status = dx_wait_peer(job->channel, PATIENCE);
    if (status == DX_OK)
        status = dx_caller_open(job->channel, PATIENCE, &job->caller);
    if (status == DX_OK)
        status = dx_call(job->caller, DX_TYPE_USER, &question, sizeof question, &job->answer,
                         &bytes, NULL, PATIENCE);
    if (job->answer != question)
        return DX_ERR_CORRUPT;
    return status;
}

static inline dx_status job_stream(struct job *job)
{
    static const char data[STREAM_BYTES];
    struct dx_stream *s;
    size_t bytes;
    dx_status status = dx_stream_open(job->caller, DX_TYPE_USER, NULL, PATIENCE, &s);
    if (status == DX_OK)
        status = dx_stream_write(s, data, sizeof data, NULL, PATIENCE);
    if (status != DX_OK)
        return status;
    dx_stream_close_write(s);
    status = dx_stream_read(s, &job->streamed, sizeof job->streamed, &bytes, PATIENCE);
    dx_status ended = dx_stream_end(s, NULL, PATIENCE);
    return status == DX_OK ? ended : status;
}

static inline dx_status job_close_caller(struct job *job)
{
    dx_caller_close(job->caller);
    return DX_OK;
}

static inline dx_status job_stop(struct job *job)
{
    dx_stop(job->channel);
    return DX_OK;
}

#endif
