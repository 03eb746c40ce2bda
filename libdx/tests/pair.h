/* SPDX-License-Identifier: Apache-2.0 */
/* A host and a guest in one process over memfd:, threads that serve and threads that call, and a
 * handler that does what the request's type says. A test stores its pair in cmocka's state, so
 * that pair_free, its teardown, ends every thread also when the test has failed. */
#ifndef DX_TEST_PAIR_H
#define DX_TEST_PAIR_H

#include <pthread.h>
#include <sys/mman.h>

#include "caller.h"
#include "test.h"

#define PAIR_CALLS 4
#define PAIR_CALLERS 24

/* What test_handler does; ECHO comes last in all that answer at all. */
enum test_type {
    TYPE_ECHO = DX_TYPE_USER, /* answers with the request */
    TYPE_STATUS,              /* the request is the int32_t status to return; echoes it, too */
    TYPE_SIZE,                /* the request is the uint64_t size of the response */
    TYPE_BLOCK,               /* says `entered`, waits for `release`, echoes */
    TYPE_STOP,                /* stops the serving channel, echoes */
};

struct desk {
    _Atomic uint32_t runs;
    _Atomic bool open; /* nobody is to block any more */
    sem_t entered;
    sem_t release;
    struct dx_channel *serving;
    const void *latest_data; /* where the latest request lay */
};

static inline int32_t test_handler(void *user, const struct dx_request *request,
                                   struct dx_response *response)
{
    struct desk *desk = user;
    int32_t status = 0;
    uint64_t size = request->bytes;
    atomic_fetch_add(&desk->runs, 1u);
    if (request->type == TYPE_STATUS && size >= sizeof status)
        memcpy(&status, request->data, sizeof status);
    if (request->type == TYPE_BLOCK) {
        desk->latest_data = request->data;
        (void)sem_post(&desk->entered);
        if (!atomic_load(&desk->open))
            test_wait(&desk->release);
    }
    if (request->type == TYPE_STOP)
        dx_stop(desk->serving);
    if (request->type == TYPE_SIZE && size >= sizeof size) {
        memcpy(&size, request->data, sizeof size);
        memset(response->data, 0x5a, size < response->capacity ? size : response->capacity);
    } else if (size != 0 && size <= response->capacity) {
        memcpy(response->data, request->data, size);
    }
    response->bytes = size;
    return status;
}

/* dx_serve on a thread. */
struct serving {
    pthread_t thread;
    bool started;
    struct dx_channel *channel;
    dx_handler handler;
    void *user;
    struct dx_serve_options options;
    dx_status status;
};

static inline void *serving_run(void *user)
{
    struct serving *s = user;
    s->status = dx_serve(s->channel, s->handler, s->user, &s->options);
    return NULL;
}

static inline void serving_start(struct serving *s, struct dx_channel *channel, dx_handler handler,
                                 void *user, struct dx_serve_options options)
{
    *s = (struct serving){
        .channel = channel, .handler = handler, .user = user, .options = options, .started = true};
    assert_int_equal(pthread_create(&s->thread, NULL, serving_run, s), 0);
}

static inline dx_status serving_join(struct serving *s)
{
    if (s->started)
        (void)pthread_join(s->thread, NULL);
    s->started = false;
    return s->status;
}

/* A call on a thread. */
struct calling {
    pthread_t thread;
    bool started;
    struct dx_caller *caller;
    uint32_t type;
    int64_t timeout_ns;
    uint64_t request;
    uint64_t response;
    dx_status status;
    int64_t elapsed_ns; /* without what it waited for a CPU */
};

static inline void *calling_run(void *user)
{
    struct calling *c = user;
    size_t bytes = sizeof c->response;
    int64_t starved = test_starved_ns();
    int64_t start = dx_clock_ns();
    c->status = dx_call(c->caller, c->type, &c->request, sizeof c->request, &c->response, &bytes,
                        NULL, c->timeout_ns);
    c->elapsed_ns = dx_clock_ns() - start;
    c->elapsed_ns -= test_starved_ns() - starved;
    return NULL;
}

static inline void calling_start(struct calling *c, struct dx_caller *caller, uint32_t type,
                                 uint64_t request, int64_t timeout_ns)
{
    *c = (struct calling){.caller = caller,
                          .type = type,
                          .request = request,
                          .timeout_ns = timeout_ns,
                          .started = true};
    assert_int_equal(pthread_create(&c->thread, NULL, calling_run, c), 0);
}

static inline dx_status calling_join(struct calling *c)
{
    if (c->started)
        (void)pthread_join(c->thread, NULL);
    c->started = false;
    return c->status;
}

struct pair {
    struct dx_channel *host;
    struct dx_channel *guest;
    struct desk desk;
    struct serving serving;
    struct calling calls[PAIR_CALLS];
    struct dx_caller *callers[PAIR_CALLERS];
    int callers_count;
    struct dx_queue *queue;
    void *own_base; /* of the guest, where both channels use the host's; it carries the guest's lock
                     */
};

static inline void pair_attach(struct pair *p, const struct dx_wait *wait)
{
    char url[32];
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(p->host));
    assert_status(dx_attach(url, wait, 0, &p->guest), DX_OK);
}

static inline int pair_attach_and_die(void *user)
{
    struct dx_channel *guest;
    return dx_attach(user, NULL, PATIENCE, &guest) == DX_OK ? 0 : 1;
}

/* A guest that dies without a word. */
static inline void pair_lose_guest(const struct pair *p)
{
    char url[32];
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(p->host));
    assert_exited(test_in_child(pair_attach_and_die, url));
    assert_int_equal(dx_channel_peer(p->host), DX_PEER_DEAD);
}

/* A host alone; the test attaches the guest when it likes. */
static inline struct pair *pair_host(void **state, const struct dx_config *config)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *state = p;
    (void)sem_init(&p->desk.entered, 0, 0);
    (void)sem_init(&p->desk.release, 0, 0);
    assert_status(dx_create("memfd:", config, &p->host), DX_OK);
    return p;
}

static inline struct pair *pair_new(void **state, const struct dx_config *config)
{
    struct pair *p = pair_host(state, config);
    pair_attach(p, config->wait);
    return p;
}

/* ThreadSanitizer takes the two mappings of a region for two memories, in which nothing of one
 * side reaches the other. So the guest is put on the host's mapping. */
static inline void pair_share(struct pair *p)
{
    p->own_base = p->guest->region.base;
    p->guest->region.base = p->host->region.base;
    dx_channel_point(p->guest);
}

/* The guest serves with test_handler. */
static inline void pair_serve(struct pair *p, struct dx_serve_options options)
{
    p->desk.serving = p->guest;
    serving_start(&p->serving, p->guest, test_handler, &p->desk, options);
}

static inline void pair_serve_one(struct pair *p)
{
    pair_serve(p, (struct dx_serve_options){0});
}

static inline struct dx_caller *pair_caller_of(struct pair *p, struct dx_channel *channel)
{
    assert_in_range(p->callers_count, 0, PAIR_CALLERS - 1);
    struct dx_caller **caller = &p->callers[p->callers_count];
    assert_status(dx_caller_open(channel, 0, caller), DX_OK);
    p->callers_count++;
    return *caller;
}

static inline struct dx_caller *pair_caller(struct pair *p)
{
    return pair_caller_of(p, p->host);
}

static inline void pair_close_callers(struct pair *p)
{
    while (p->callers_count > 0)
        dx_caller_close(p->callers[--p->callers_count]);
}

/* Lets every handler go that blocks now or later. */
static inline void pair_open_desk(struct pair *p)
{
    atomic_store(&p->desk.open, true);
    for (int i = 0; i < 2 * PAIR_CALLERS; i++)
        (void)sem_post(&p->desk.release);
}

static inline dx_status pair_close_guest(struct pair *p)
{
    if (p->guest != NULL && p->own_base != NULL)
        p->guest->region.base = p->own_base;
    dx_status status = dx_close(p->guest);
    p->guest = NULL;
    return status;
}

/* cmocka teardown. Asserts last, so that a failure leaves no thread behind. */
static inline int pair_free(void **state)
{
    struct pair *p = *state;
    if (p == NULL)
        return 0;
    pair_open_desk(p);
    if (p->host != NULL)
        dx_stop(p->host);
    if (p->guest != NULL)
        dx_stop(p->guest);
    for (int i = 0; i < PAIR_CALLS; i++)
        (void)calling_join(&p->calls[i]);
    (void)serving_join(&p->serving);
    pair_close_callers(p);
    dx_queue_close(p->queue);
    dx_status guest = pair_close_guest(p);
    dx_status host = dx_close(p->host);
    (void)sem_destroy(&p->desk.entered);
    (void)sem_destroy(&p->desk.release);
    free(p);
    *state = NULL;
    return guest == DX_OK && host == DX_OK ? 0 : -1;
}

#define PAIR_TEST(f) cmocka_unit_test_teardown(f, pair_free)

/* One verified echo of a number. */
static inline dx_status pair_echo(struct dx_caller *caller, uint64_t number, int64_t timeout_ns)
{
    uint64_t response = 0;
    size_t bytes = sizeof response;
    dx_status status =
        dx_call(caller, TYPE_ECHO, &number, sizeof number, &response, &bytes, NULL, timeout_ns);
    if (status == DX_OK && (bytes != sizeof number || response != number))
        fail_msg("the echo of %llu is %llu (%zu bytes)", (unsigned long long)number,
                 (unsigned long long)response, bytes);
    return status;
}

#endif
