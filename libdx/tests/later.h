/* SPDX-License-Identifier: Apache-2.0 */
/* A handler that keeps requests, and those who answer them or wait for their ends. */
#ifndef DX_TEST_LATER_H
#define DX_TEST_LATER_H

#include "dx_answer.h"
#include "queued.h"

/* What later_handler does beside what test_handler does. The request is a tag. */
enum later_type {
    TYPE_LATER = TYPE_STOP + 1, /* keeps it */
    TYPE_TWICE,                 /* keeps it, and tries to do that again */
    TYPE_LATER_AND_LEAVE,       /* keeps it, and ends the thread */
};

/* A request that is answered later. */
struct kept {
    struct dx_token token;
    const void *data;
    void *response;
    uint32_t type;
};

static struct {
    _Atomic uint32_t count;
    struct kept kept[16];
    dx_status second;
} desk;

static inline int32_t later_handler(void *user, const struct dx_request *request,
                                    struct dx_response *response)
{
    struct kept k = {.data = request->data, .response = response->data, .type = request->type};
    if (request->type < TYPE_LATER)
        return test_handler(user, request, response);
    assert_status(dx_answer_later(request, &k.token), DX_OK);
    if (request->type == TYPE_TWICE)
        desk.second = dx_answer_later(request, &k.token);
    desk.kept[desk.count] = k;
    desk.count++; /* by one serving thread */
    if (request->type == TYPE_LATER_AND_LEAVE)
        pthread_exit(NULL);
    response->bytes = 1000; /* which nobody looks at */
    return -1;
}

static inline void later_serve(struct pair *p, struct dx_serve_options options)
{
    p->desk.serving = p->guest;
    if (p->queue == NULL)
        desk.count = 0;
    serving_start(&p->serving, p->guest, later_handler, &p->desk, options);
}

/* Waits until so many are kept. What waits for a greeting is sent by a flush. */
static inline void later_await(struct pair *p, uint32_t count)
{
    while (desk.count < count) {
        if (p->queue != NULL)
            assert_int_equal(dx_queue_flush(p->queue), DX_OK);
        (void)sched_yield();
    }
    watchdog_step();
}

static inline uint64_t later_tag(const struct kept *k)
{
    uint64_t tag;
    memcpy(&tag, k->data, sizeof tag);
    return tag;
}

/* Answers with the request. */
static inline dx_status later_answer(const struct kept *k, int32_t status)
{
    memcpy(k->response, k->data, sizeof(uint64_t));
    return dx_answer(&k->token, sizeof(uint64_t), status);
}

/* One that waits for the end of a caller. */
struct waiting {
    pthread_t thread;
    const struct dx_token *token;
    dx_status status;
};

static inline void *waiting_run(void *user)
{
    struct waiting *w = user;
    w->status = dx_token_wait(w->token, PATIENCE);
    return NULL;
}

static inline void waiting_start(struct waiting *w, const struct dx_token *token)
{
    w->token = token;
    assert_int_equal(pthread_create(&w->thread, NULL, waiting_run, w), 0);
}

static inline dx_status waiting_join(struct waiting *w)
{
    (void)pthread_join(w->thread, NULL);
    return w->status;
}

#endif
