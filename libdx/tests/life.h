/* SPDX-License-Identifier: Apache-2.0 */
/* Two sides of a region with a name, in one process: `ours` calls, `theirs` serves on a thread. */
#ifndef DX_TEST_LIFE_H
#define DX_TEST_LIFE_H

#include "child.h"
#include "transports.h"

struct life {
    const struct transport *transport;
    const char *path;
    char url[TEST_URL_BYTES];
    struct dx_channel *ours;
    struct dx_channel *theirs;
    struct dx_caller *caller;
    struct dx_caller *streamer;
    struct dx_stream *stream;
    struct serving serving;
    struct service service;
    int orders[2]; /* pipes */
    int reports[2];
};

static inline int life_open(void **state)
{
    static int count;
    char tag[32];
    struct life *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->transport = *state;
    *state = l;
    (void)snprintf(tag, sizeof tag, "life-%d", count++ % 8);
    l->path = test_path(tag);
    (void)l->transport->url(l->path, l->url);
    l->service.tally = mmap(NULL, sizeof(struct tally), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(l->service.tally, MAP_FAILED);
    assert_int_equal(pipe2(l->orders, O_CLOEXEC), 0);
    assert_int_equal(pipe2(l->reports, O_CLOEXEC), 0);
    return 0;
}

static inline struct dx_config life_config(void)
{
    return (struct dx_config){
        .slots = 2, .guest_slots = 2, .request_capacity = 64, .response_capacity = 64};
}

static inline void life_call(struct life *l)
{
    assert_status(dx_call(l->caller, DX_TYPE_PING, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_OK);
}

/* A stream that goes on for as long as its caller likes. */
static inline int32_t life_stream(void *user, struct dx_stream *stream)
{
    (void)user;
    (void)stream;
    return DX_STREAM_AGAIN(DX_STREAM_READABLE);
}

/* ours: the host, or else the guest; a caller that has called, and one with an open stream. */
static inline void life_pair(struct life *l, bool host)
{
    const struct dx_config config = life_config();
    struct dx_channel *host_end;
    struct dx_channel *guest_end;
    assert_status(dx_create(l->url, &config, &host_end), DX_OK);
    l->ours = host_end;
    assert_status(dx_attach(l->url, NULL, PATIENCE, &guest_end), DX_OK);
    l->ours = host ? host_end : guest_end;
    l->theirs = host ? guest_end : host_end;
    serving_start(&l->serving, l->theirs, child_handler, &l->service,
                  (struct dx_serve_options){.stream = life_stream});
    assert_status(dx_caller_open(l->ours, 0, &l->caller), DX_OK);
    assert_status(dx_caller_open(l->ours, 0, &l->streamer), DX_OK);
    life_call(l);
    assert_status(dx_stream_open(l->streamer, TYPE_ECHO, NULL, PATIENCE, &l->stream), DX_OK);
}

static inline dx_status life_shut(struct life *l)
{
    dx_caller_close(l->caller);
    dx_caller_close(l->streamer);
    l->caller = l->streamer = NULL;
    dx_status status = dx_close(l->ours);
    if (l->theirs != NULL)
        dx_stop(l->theirs);
    (void)serving_join(&l->serving);
    dx_status other = dx_close(l->theirs);
    l->ours = l->theirs = NULL;
    return status != DX_OK ? status : other;
}

static inline void life_close(struct life *l)
{
    assert_status(life_shut(l), DX_OK);
}

static inline void life_assert_named(const struct life *l, bool named)
{
    assert_int_equal(access(l->path, F_OK) == 0, named);
}

static inline int life_end(void **state)
{
    struct life *l = *state;
    dx_status status = life_shut(l);
    (void)munmap(l->service.tally, sizeof *l->service.tally);
    for (int i = 0; i < 2; i++) {
        (void)close(l->orders[i]);
        (void)close(l->reports[i]);
    }
    (void)unlink(l->path);
    test_paths()->count--;
    free(l);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

#endif
