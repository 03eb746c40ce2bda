/* SPDX-License-Identifier: Apache-2.0 */
/* Both processes of process_hostile.c: one that calls and serves and watches what it gets, and one
 * that does the same and scribbles over the region meanwhile. */
#ifndef DX_TEST_ATTACKED_H
#define DX_TEST_ATTACKED_H

#include "attacked_queue.h"
#include "attacked_scene.h"

static inline void call_once(struct scene *s, struct dx_caller *caller, uint64_t number)
{
    struct dx_reply reply = {0};
    bool right = false;
    int64_t start = dx_clock_ns();
    dx_status status = number % 2 == 0
                           ? traffic_call(caller, number, CALL_NS, &right)
                           : traffic_call_in_place(caller, number, CALL_NS, &reply, &right);
    if (dx_clock_ns() - start > CALL_NS + MARGIN)
        count(&s->late);
    if (!may_end_with(status))
        impossible(s, (int)status);
    if (reply.data != NULL && !is_inside(s->channel, reply.data, reply.bytes))
        impossible(s, 1);
    atomic_store(&s->page->awaited[caller->slot], status == DX_OK ? 0 : caller->awaited);
    count(status != DX_OK ? &s->failed : right ? &s->right : &s->wrong);
    progress(s);
}

/* Messages through a stream that the peer is to send back. */
static inline dx_status stream_messages(struct dx_stream *stream, uint64_t number, bool *right)
{
    unsigned char message[TRAFFIC_CAPACITY];
    unsigned char back[TRAFFIC_CAPACITY] = {0};
    dx_status status = DX_OK;
    for (uint64_t i = 0; i < STREAMED && status == DX_OK; i++) {
        size_t length = traffic_request(number + i, message);
        size_t bytes = 0;
        status = dx_stream_write(stream, message, length, NULL, CALL_NS);
        if (status == DX_OK)
            status = dx_stream_read(stream, back, length, &bytes, CALL_NS);
        *right = *right && bytes == length && memcmp(message, back, length) == 0;
    }
    return status;
}

/* One stream; it opens, waits and ends within as many deadlines as it has waits. */
static inline void stream_once(struct scene *s, struct dx_caller *caller, uint64_t number)
{
    const struct dx_stream_options options = {.request_ring = number % TRAFFIC_CAPACITY};
    struct dx_stream *stream;
    bool right = true;
    int64_t start = dx_clock_ns();
    dx_status status = dx_stream_open(caller, TRAFFIC_TYPE, &options, CALL_NS, &stream);
    if (status == DX_OK) {
        status = stream_messages(stream, number, &right);
        if (status != DX_OK && number % 3 == 0) {
            dx_stream_cancel(stream);
        } else {
            dx_status end = dx_stream_end(stream, NULL, CALL_NS);
            status = status == DX_OK ? end : status;
        }
    }
    if (dx_clock_ns() - start > (2 * STREAMED + 2) * CALL_NS + MARGIN)
        count(&s->late);
    if (!may_end_with(status))
        impossible(s, (int)status);
    atomic_store(&s->page->awaited[caller->slot], caller->ready ? 0 : caller->awaited);
    count(status != DX_OK ? &s->failed : right ? &s->streamed : &s->wrong);
    progress(s);
}

static inline void *call_on(void *user)
{
    struct scene *s = user;
    struct dx_caller *caller = NULL;
    for (unsigned n = 0; dx_clock_ns() < atomic_load(&s->until_ns); n++) {
        struct dx_stats stats;
        if (n % REOPEN == 0) {
            dx_caller_close(caller);
            dx_status status = dx_caller_open(s->channel, SECOND, &caller);
            opened(s, status);
            if (status != DX_OK)
                return NULL;
            (void)dx_stats_read(s->channel, (enum dx_stats_of)(n / REOPEN % 4), &stats);
            (void)dx_channel_peer(s->channel);
        }
        if (n % 4 == 3)
            stream_once(s, caller, atomic_fetch_add(&s->numbers, 1u));
        else
            call_once(s, caller, atomic_fetch_add(&s->numbers, 1u));
    }
    dx_caller_close(caller);
    return NULL;
}

/* Answers by a token, which is as good. */
static inline void answer_later(struct scene *s, const struct dx_request *request, size_t bytes,
                                int32_t status)
{
    struct dx_token token;
    if (dx_answer_later(request, &token) != DX_OK)
        return;
    (void)dx_token_check(&token);
    dx_status answered = dx_answer(&token, bytes, status);
    if (answered != DX_OK && answered != DX_ERR_CANCELLED && answered != DX_ERR_PEER_DEAD &&
        answered != DX_ERR_RESPONSE_TOO_LARGE)
        impossible(s, (int)answered);
}

/* Reads what it is told is the request and fills what it is told is its room. */
static inline int32_t handle_anything(void *user, const struct dx_request *request,
                                      struct dx_response *response)
{
    struct scene *s = user;
    unsigned char copy[TRAFFIC_CAPACITY];
    if (request->bytes > TRAFFIC_CAPACITY || response->capacity != TRAFFIC_CAPACITY ||
        !is_inside(s->channel, response->data, response->capacity) ||
        request->type < DX_TYPE_USER || request->slot >= s->channel->geometry.slots) {
        impossible(s, 2);
        return -1;
    }
    memcpy(copy, request->data, request->bytes);
    response->bytes = request->bytes;
    int32_t status = traffic_answer(copy, request->bytes, response->data);
    /* Now and then more than there is room for. */
    if (request->type != TRAFFIC_TYPE)
        response->bytes = request->type;
    memset((unsigned char *)response->data + request->bytes, 0,
           response->capacity - request->bytes);
    if (atomic_load(&s->served) % 4 == 1)
        answer_later(s, request, response->bytes, status);
    count(&s->served);
    progress(s);
    return status;
}

/* Sends back what comes. On odd slots it waits, else it returns meanwhile. */
static inline int32_t stream_anything(void *user, struct dx_stream *stream)
{
    struct scene *s = user;
    bool waits = dx_stream_slot(stream) % 2 != 0;
    int64_t timeout_ns = waits ? CALL_NS : 0;
    for (;;) {
        const void *data;
        void *room;
        size_t bytes;
        size_t room_bytes;
        dx_status status = dx_stream_peek(stream, 1, &data, &bytes, timeout_ns);
        if (status == DX_ERR_TIMEOUT && !waits)
            return DX_STREAM_AGAIN(DX_STREAM_READABLE);
        if (status != DX_OK || bytes == 0)
            return (int32_t)status;
        status = dx_stream_reserve(stream, 1, &room, &room_bytes, timeout_ns);
        if (status == DX_ERR_TIMEOUT && !waits)
            return DX_STREAM_AGAIN(DX_STREAM_WRITABLE);
        if (status != DX_OK)
            return (int32_t)status;
        if (!is_inside(s->channel, data, bytes) || !is_inside(s->channel, room, room_bytes))
            impossible(s, 3);
        bytes = bytes < room_bytes ? bytes : room_bytes;
        memcpy(room, data, bytes);
        dx_stream_commit(stream, bytes);
        dx_stream_consume(stream, bytes);
        count(&s->echoed);
        progress(s);
    }
}

/* Serves again whenever the peer seems to have closed, until stopped. */
static inline void *serve_on(void *user)
{
    struct scene *s = user;
    for (uint32_t n = 0;; n++) {
        const struct dx_serve_options options = {.threads = 1 + n % 2,
                                                 .flags = n % 3 == 0 ? DX_SERVE_COPY : 0,
                                                 .stream = stream_anything};
        dx_status status = dx_serve(s->channel, handle_anything, s, &options);
        if (status == DX_ERR_STOPPED)
            return NULL;
        if (status != DX_ERR_PEER_CLOSED && status != DX_ERR_PEER_DEAD &&
            status != DX_ERR_GUEST_EXISTS) {
            impossible(s, (int)status);
            return NULL;
        }
    }
}

static inline void start_thread(struct scene *s, void *(*run)(void *user))
{
    assert_int_equal(pthread_create(&s->threads[s->threads_count], NULL, run, s), 0);
    s->threads_count++;
}

/* Serves, and calls until then. */
static inline void start_traffic(struct scene *s, int64_t until_ns)
{
    atomic_store(&s->until_ns, until_ns);
    start_thread(s, serve_on);
    start_thread(s, queue_on);
    for (int i = 0; i < CALLING; i++)
        start_thread(s, call_on);
}

/* Ends our threads and closes, and checks that this takes no longer than it may. */
static inline void end_traffic(struct scene *s)
{
    int64_t start = dx_clock_ns();
    atomic_store(&s->until_ns, 0);
    if (s->channel != NULL)
        dx_stop(s->channel);
    while (s->threads_count > 0)
        (void)pthread_join(s->threads[--s->threads_count], NULL);
    guard_release(&s->guard);
    dx_status status = dx_close(s->channel);
    s->channel = NULL;
    guard_end(&s->guard);
    assert_status(status, DX_OK);
    assert_elapsed(start, 0, MARGIN);
}

/* The attacker's process. */
static inline void *flicker_on(void *user)
{
    for (;; (void)sched_yield())
        scribbler_flicker(user);
    return NULL;
}

/* Serves as it should, says 'a', and from the first command on also scribbles and sends requests,
 * until it is killed. */
static inline int attacker_main(enum dx_side side, const char *url)
{
    static struct scene own; /* what its calling and serving threads use */
    static struct scribbler_page own_page;
    struct dx_wait wait = hostile_wait(0);
    struct dx_config config = hostile_config(&wait);
    char command;
    struct scribbler_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, CHILD_TALLY, 0);
    dx_status status = side == DX_HOST ? dx_create(url, &config, &own.channel)
                                       : dx_attach(url, &wait, PATIENCE, &own.channel);
    if (page == MAP_FAILED || status != DX_OK)
        return 100;
    own.page = &own_page;
    void *base = mmap(NULL, dx_channel_region_bytes(own.channel), PROT_READ | PROT_WRITE,
                      MAP_SHARED, dx_channel_fd(own.channel), 0);
    if (base == MAP_FAILED)
        return 101;
    struct scribbler scribbler = {
        .base = base, .g = &own.channel->geometry, .side = side, .page = page};
    scribbler.dice.state = page->seed;
    struct scribbler flicker = scribbler;
    flicker.dice.state = ~page->seed;
    start_thread(&own, serve_on);
    child_report('a');
    pthread_t thread;
    if (read(CHILD_COMMANDS, &command, 1) != 1 ||
        pthread_create(&thread, NULL, flicker_on, &flicker) != 0)
        return 0;
    for (;;)
        scribble(&scribbler);
}

#define ATTACKER_HOST "attacking-host"
#define ATTACKER_GUEST "attacking-guest"

/* In main: runs the attacker's role if this process was started for one. */
static inline void attacker_or_test(int argc, char **argv)
{
    if (argc != 3)
        return;
    watchdog_show_stacks();
    exit(attacker_main(strcmp(argv[1], ATTACKER_HOST) == 0 ? DX_HOST : DX_GUEST, argv[2]));
}

#endif
