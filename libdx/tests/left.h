/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that leave dx_serve otherwise than by their return, and calls and streams that meet
 * them. */
#ifndef DX_TEST_LEFT_H
#define DX_TEST_LEFT_H

#include "atomic.h"
#include "dx_stream.h"
#include "pair.h"

static const struct dx_config left_config = {
    .slots = 2, .request_capacity = 64, .response_capacity = 64};

enum left_type {
    LEFT_EXITS = TYPE_STOP + 1, /* ends its thread */
    LEFT_WAITS,                 /* says `entered`, waits where it can be cancelled, echoes */
    LEFT_JUMPS,
    LEFT_STOPS, /* stops the channel */
    LEFT_NESTS, /* serves and closes its own channel */
    LEFT_THROWS,
};

struct leaving {
    pthread_t thread;
    struct dx_caller *caller;
    uint32_t type;
    bool stream;
    dx_status status;
};

struct left {
    struct pair *pair;
    _Atomic uint32_t runs;
    sem_t entered;
    sem_t release;
    pthread_t thread; /* of the handler that waits */
    jmp_buf out;
    struct leaving *starts; /* to be begun by the handler that waits, once it runs */
    struct dx_caller *jumper;
    dx_status nested[2];
};

/* A call or a stream without a deadline. */
static inline void *leaving_run(void *user)
{
    struct leaving *l = user;
    uint64_t number = 1;
    struct dx_stream *s = NULL;
    if (!l->stream) {
        l->status =
            dx_call(l->caller, l->type, &number, sizeof number, NULL, NULL, NULL, DX_FOREVER);
        return NULL;
    }
    l->status = dx_stream_open(l->caller, l->type, NULL, DX_FOREVER, &s);
    if (l->status == DX_OK)
        l->status = dx_stream_end(s, NULL, DX_FOREVER);
    return NULL;
}

static inline void leaving_start(struct leaving *l, struct dx_caller *caller, uint32_t type,
                                 bool stream)
{
    *l = (struct leaving){.caller = caller, .type = type, .stream = stream};
    assert_int_equal(pthread_create(&l->thread, NULL, leaving_run, l), 0);
}

static inline dx_status leaving_join(struct leaving *l)
{
    (void)pthread_join(l->thread, NULL);
    return l->status;
}

static int32_t left_handler(void *user, const struct dx_request *request,
                            struct dx_response *response);

static int32_t left_stream(void *user, struct dx_stream *stream);

/* In C++, where the test is about exceptions. */
void left_throw(void);

static inline void left_leave(struct left *left, uint32_t type)
{
    atomic_fetch_add(&left->runs, 1u);
    switch (type) {
    case LEFT_EXITS:
        pthread_exit(NULL);
    case LEFT_WAITS:
        left->thread = pthread_self();
        if (left->starts != NULL)
            leaving_start(left->starts, left->jumper, LEFT_JUMPS, false);
        (void)sem_post(&left->entered);
        test_wait(&left->release);
        break;
    case LEFT_JUMPS:
        longjmp(left->out, 1);
    case LEFT_STOPS:
        dx_stop(left->pair->guest);
        break;
    case LEFT_NESTS:
        left->nested[0] = dx_serve(left->pair->guest, left_handler, left, NULL);
        left->nested[1] = dx_close(left->pair->guest);
        break;
#ifdef LEFT_THROWING
    case LEFT_THROWS:
        left_throw();
        break;
#endif
    default:
        break;
    }
}

static int32_t left_handler(void *user, const struct dx_request *request,
                            struct dx_response *response)
{
    left_leave(user, request->type);
    if (request->bytes <= response->capacity) {
        memcpy(response->data, request->data, request->bytes);
        response->bytes = request->bytes;
    }
    return 0;
}

static int32_t left_stream(void *user, struct dx_stream *stream)
{
    left_leave(user, dx_stream_type(stream));
    return 0;
}

static inline struct left *left_new(struct pair *p)
{
    struct left *left = calloc(1, sizeof *left);
    assert_non_null(left);
    left->pair = p;
    (void)sem_init(&left->entered, 0, 0);
    (void)sem_init(&left->release, 0, 0);
    return left;
}

/* Ends the pair; 0 if its channels could be closed. */
static inline int left_free(void **state, struct left *left)
{
    int failed = pair_free(state);
    (void)sem_destroy(&left->entered);
    (void)sem_destroy(&left->release);
    free(left);
    return failed;
}

static inline void left_serve(struct pair *p, struct left *left, uint32_t threads)
{
    serving_start(&p->serving, p->guest, left_handler, left,
                  (struct dx_serve_options){.threads = threads, .stream = left_stream});
}

static inline void left_await_parked(const struct pair *p)
{
    uint32_t cell = dx_cell_of_worker(p->host->geometry.slots, DX_GUEST, 0);
    while (dx_load_seqcst(&p->host->cells[cell].armed) == 0)
        (void)sched_yield();
}

#endif
