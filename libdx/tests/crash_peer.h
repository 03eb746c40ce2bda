/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole peer for crash tests: a process that serves, and that calls on all its slots at once, by
 * callers and by a queue. It judges each call itself: how it ended, how late, whose answer came;
 * and each request that it serves: whether it is whole, and whether it ran before. What is wrong it
 * prints, and counts on the stage, memory that all processes of a test share.
 *
 * Commands: 'l' load: call on and on; 'p' pause: end the load ('p'); 'v' verify: call on all slots,
 * and every call must be answered ('v'); 't' and 'T': every call must time out, or may also notice
 * that nobody is there ('t'); 'q' close. What is in brackets is reported, else 'f'.
 */
#ifndef DX_TEST_CRASH_PEER_H
#define DX_TEST_CRASH_PEER_H

#include "crash_queue.h"
#include "crash_stream.h"
#include "fault.h"

static inline void peer_respond(void *response, uint64_t number)
{
    uint64_t words[PEER_WORDS];
    peer_fill(words, ~number);
    memcpy(response, words, sizeof words);
}

/* Leaves the answer to another thread. */
static inline bool peer_keep(struct peer *p, const struct dx_request *request, void *response,
                             uint64_t number)
{
    struct peer_later *l = &p->later[request->slot % (2 * PEER_SLOTS)];
    if (dx_answer_later(request, &l->token) != DX_OK)
        return false;
    l->response = response;
    l->number = number;
    if (atomic_exchange(&l->due, true))
        peer_complain(p->stage, "the slot of a request that is pending has another one", number, 0);
    (void)sem_post(&p->kept);
    return true;
}

static inline void *peer_answer(void *user)
{
    struct peer *p = user;
    while (atomic_load(&p->answers)) {
        (void)sem_wait(&p->kept);
        for (unsigned slot = 0; slot < 2 * PEER_SLOTS; slot++) {
            struct peer_later *l = &p->later[slot];
            if (!atomic_exchange(&l->due, false))
                continue;
            struct dx_token token = l->token; /* the slot can have the next one at once */
            peer_respond(l->response, l->number);
            dx_status status = dx_answer(&token, sizeof(uint64_t[PEER_WORDS]), (int32_t)l->number);
            if (status != DX_OK && status != DX_ERR_CANCELLED && status != DX_ERR_PEER_DEAD)
                peer_complain(p->stage, dx_status_string(status), l->number, (int)status);
        }
    }
    return NULL;
}

static inline int32_t peer_handler(void *user, const struct dx_request *request,
                                   struct dx_response *response)
{
    struct peer *p = user;
    struct stage *stage = p->stage;
    uint64_t words[PEER_WORDS] = {UINT64_MAX};
    if (request->bytes == sizeof words)
        memcpy(words, request->data, sizeof words);
    uint64_t number = words[0];
    if (number >= STAGE_CALLS || !peer_is(words, number)) {
        peer_complain(stage, "a damaged request", number, (int)request->bytes);
        return -1;
    }
    int runs = atomic_fetch_add(&stage->runs[number], 1u) + 1;
    if (runs != 1)
        peer_complain(stage, "run more than once", number, runs);
    DX_FAULT(IN_HANDLER);
    int64_t slow_ns = atomic_load(&stage->slow_ns[p->side]);
    if (slow_ns == 0 && number % 5 == 2 && peer_keep(p, request, response->data, number))
        return -1; /* which is not looked at */
    if (slow_ns != 0 || number % 15 == 0)
        peer_linger(slow_ns != 0 ? slow_ns : PEER_LONG);
    if (memcmp(words, request->data, sizeof words) != 0)
        peer_complain(stage, "the request changed under its handler", number, 0);
    peer_respond(response->data, number);
    response->bytes = sizeof words;
    return (int32_t)number;
}

/* Sends a call in either way; what came back is in words. */
static inline dx_status peer_send(struct dx_caller *caller, uint64_t *words, size_t *bytes,
                                  int32_t *answer, int64_t timeout_ns)
{
    size_t request_bytes = *bytes;
    void *place = words[0] % 2 == 0 ? dx_caller_request(caller) : NULL;
    if (place == NULL)
        return dx_call(caller, TYPE_ECHO, words, request_bytes, words, bytes, answer, timeout_ns);
    struct dx_reply reply;
    memcpy(place, words, request_bytes);
    dx_status status = dx_call_in_place(caller, TYPE_ECHO, request_bytes, &reply, timeout_ns);
    *bytes = reply.bytes;
    *answer = reply.status;
    if (reply.bytes == request_bytes)
        memcpy(words, reply.data, request_bytes);
    return status;
}

/* One call with a number of its own, judged. */
static inline dx_status peer_call(struct stage *stage, struct dx_caller *caller, int64_t timeout_ns)
{
    uint64_t number = atomic_fetch_add(&stage->next, 1u);
    uint64_t words[PEER_WORDS];
    size_t bytes = sizeof words;
    int32_t answer = -1;
    if (number >= STAGE_CALLS) {
        peer_complain(stage, "no numbers are left", number, 0);
        _exit(6);
    }
    peer_fill(words, number);
    int64_t start = dx_clock_ns();
    dx_status status = peer_send(caller, words, &bytes, &answer, timeout_ns);
    int64_t elapsed_ns = dx_clock_ns() - start;
    atomic_fetch_add(&stage->ended[(uint32_t)-status % 32], 1u);
    if (elapsed_ns > timeout_ns + SLACK)
        peer_complain(stage, "late by some ms", number, (int)((elapsed_ns - timeout_ns) / MS));
    if (status == DX_OK && (bytes != sizeof words || !peer_is(words, ~number) ||
                            answer != (int32_t)number || atomic_load(&stage->runs[number]) != 1))
        peer_complain(stage, "the answer is not the one to it", number, answer);
    if (status != DX_OK && !peer_may_end(status))
        peer_complain(stage, dx_status_string(status), number, (int)status);
    return status;
}

static inline void *peer_load(void *user)
{
    struct peer *p = user;
    while (!atomic_load(&p->enough)) {
        struct dx_caller *caller;
        if (dx_caller_open(p->channel, 0, &caller) != DX_OK) {
            peer_complain(p->stage, "a slot is lost", 0, 0);
            break;
        }
        for (unsigned i = 0; i < PEER_ROUND && !atomic_load(&p->enough); i++) {
            bool haste = i == PEER_ROUND - 2;
            int64_t timeout_ns = haste ? PEER_HASTE : atomic_load(&p->stage->timeout_ns);
            dx_status status = i % 4 == 1 ? peer_stream(p->stage, caller, timeout_ns)
                                          : peer_call(p->stage, caller, timeout_ns);
            _Atomic uint32_t *due = &p->stage->due[caller->slot];
            if (status == DX_OK && atomic_load(due) != 0 && atomic_fetch_sub(due, 1u) == 1)
                child_report('m');
            if (i == PEER_ROUND / 2)
                peer_linger(PEER_PAUSE);
            /* A call would wait for the next peer, until its deadline. */
            if (status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED)
                peer_await_next(p);
        }
        dx_caller_close(caller);
    }
    return NULL;
}

static inline void peer_start_load(struct peer *p)
{
    atomic_store(&p->enough, false);
    for (unsigned i = 0; i < PEER_CALLERS; i++)
        if (pthread_create(&p->callers[i], NULL, peer_load, p) != 0)
            _exit(5);
    if (pthread_create(&p->queue, NULL, peer_queue_load, p) != 0)
        _exit(5);
    p->calling = true;
}

static inline void peer_end_load(struct peer *p)
{
    atomic_store(&p->enough, true);
    for (unsigned i = 0; p->calling && i < PEER_CALLERS; i++)
        (void)pthread_join(p->callers[i], NULL);
    if (p->calling)
        (void)pthread_join(p->queue, NULL);
    p->calling = false;
}

/* Takes all slots at once, and makes so many calls on each in turn. Each must end with `expected`,
 * or, where `lenient`, in a way that has to do with a peer that is not there. */
static inline bool peer_use_all(const struct peer *p, unsigned calls, int64_t timeout_ns,
                                dx_status expected, bool lenient)
{
    struct dx_caller *callers[PEER_SLOTS] = {NULL};
    bool good = dx_channel_slots(p->channel) == PEER_SLOTS;
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        good = dx_caller_open(p->channel, 0, &callers[i]) == DX_OK && good;
    if (!good)
        peer_complain(p->stage, "a slot cannot be taken", 0, 0);
    for (unsigned i = 0; i < calls * PEER_SLOTS && good; i++) {
        struct dx_caller *caller = callers[i % PEER_SLOTS];
        dx_status status = i % 4 == 1 && expected == DX_OK
                               ? peer_stream(p->stage, caller, timeout_ns)
                               : peer_call(p->stage, caller, timeout_ns);
        good = status == expected || (lenient && peer_may_end(status));
        if (!good)
            peer_complain(p->stage, dx_status_string(status), i, (int)status);
    }
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        dx_caller_close(callers[i]);
    return good;
}

/* As dx_serve, in an event loop, or by dx_servers_wait. */
static inline dx_status peer_serve_steps(struct peer *p, const struct dx_serve_options *options)
{
    struct dx_server *server;
    dx_status status = dx_server_open(p->channel, peer_handler, p, options, &server);
    if (status != DX_OK)
        return status;
    bool set = peer_does(p->stage, PEER_SETS);
    struct pollfd news = {.fd = set ? -1 : dx_server_fd(server), .events = POLLIN};
    while (status == DX_OK || status == DX_ERR_TIMEOUT) {
        uint32_t which;
        if (set) {
            status = dx_servers_wait(&server, 1, DX_FOREVER, &which);
        } else {
            (void)poll(&news, 1, -1);
            status = dx_server_poll(server, 0);
        }
    }
    if (dx_server_close(server) != DX_OK)
        peer_complain(p->stage, dx_last_error(), 0, 0);
    return status;
}

/* Serves whoever comes. */
static inline void *peer_serve(void *user)
{
    struct peer *p = user;
    const struct dx_serve_options options = {.threads = atomic_load(&p->stage->threads),
                                             .flags = atomic_load(&p->stage->flags) &
                                                      ~(PEER_LOOPS | PEER_SETS),
                                             .stream = peer_stream_handler};
    bool steps = peer_does(p->stage, PEER_LOOPS | PEER_SETS);
    while ((steps ? peer_serve_steps(p, &options)
                  : dx_serve(p->channel, peer_handler, p, &options)) != DX_ERR_STOPPED)
        peer_linger(PEER_PAUSE);
    return NULL;
}

/* Parks soon, and sleeps until it is rung or has to look whether the other side lives. */
static inline dx_status peer_open(struct peer *p, const char *url)
{
    struct dx_wait wait;
    if (dx_wait_preset("balanced", &wait) != DX_OK)
        return DX_ERR_INVALID;
    wait.spin_min = wait.spin_max = wait.spin_start = 20;
    wait.yield_every = 0;
    wait.adapt = DX_ADAPT_OFF;
    wait.park = atomic_load(&p->stage->park[p->side]);
    wait.park_timeout_ns = FAR_OFF;
    const struct dx_config config = {.slots = PEER_SLOTS,
                                     .guest_slots = PEER_SLOTS,
                                     .request_capacity = sizeof(uint64_t[PEER_WORDS]),
                                     .response_capacity = sizeof(uint64_t[PEER_WORDS]),
                                     .wait = &wait};
    if (p->side == DX_GUEST)
        return dx_attach(url, &wait, PATIENCE, &p->channel);
    dx_status status = dx_create(url, &config, &p->channel);
    if (status == DX_OK)
        atomic_store(&p->stage->region, dx_channel_fd(p->channel));
    return status;
}

static inline int peer_close(struct peer *p)
{
    peer_end_load(p);
    dx_stop(p->channel);
    (void)pthread_join(p->server, NULL);
    atomic_store(&p->answers, false);
    (void)sem_post(&p->kept);
    (void)pthread_join(p->answerer, NULL);
    return -(int)dx_close(p->channel);
}

/* What is to be reported; '\0': nothing. */
static inline char peer_obey(struct peer *p, char command)
{
    switch (command) {
    case 'l':
        peer_start_load(p);
        return '\0';
    case 'p':
        peer_end_load(p);
        return 'p';
    case 'v':
        return peer_use_all(p, PEER_VERIFIED, PATIENCE, DX_OK, false) && peer_use_queue(p) ? 'v'
                                                                                           : 'f';
    default:
        return peer_use_all(p, 1, PEER_SHORT, DX_ERR_TIMEOUT, command == 'T') ? 't' : 'f';
    }
}

/* The process: opens ('a'), then does as it is told. A faulty one is told nothing before its fault:
 * it calls at once, or closes if that is planned. */
static inline int peer_run(struct stage *stage, enum dx_side side, const char *url, bool faulty)
{
    struct peer peer = {.stage = stage, .side = side};
    char command;
    dx_status status = peer_open(&peer, url);
    if (status != DX_OK) {
        peer_complain(stage, dx_last_error(), 0, (int)status);
        return 100;
    }
    child_report('a');
    (void)sem_init(&peer.kept, 0, 0);
    atomic_store(&peer.answers, true);
    if (pthread_create(&peer.server, NULL, peer_serve, &peer) != 0 ||
        pthread_create(&peer.answerer, NULL, peer_answer, &peer) != 0)
        return 101;
    if (faulty && atomic_load(&stage->closes) != 0)
        return peer_use_all(&peer, 1, PATIENCE, DX_OK, false) ? peer_close(&peer) : 102;
    if (faulty)
        peer_start_load(&peer);
    while (read(CHILD_COMMANDS, &command, 1) == 1 && command != 'q') {
        char report = peer_obey(&peer, command);
        if (report != '\0')
            child_report(report);
    }
    return peer_close(&peer);
}

#endif
