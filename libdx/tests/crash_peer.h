/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole peer for crash tests: a process that serves, and that calls on all its slots at once. It
 * judges each call itself: how it ended, how late, whose answer came; and each request that it
 * serves: whether it is whole, and whether it ran before. What is wrong it prints, and counts on
 * the stage, memory that all processes of a test share.
 *
 * Commands: 'l' load: call on and on; 'p' pause: end the load ('p'); 'v' verify: call on all slots,
 * and every call must be answered ('v'); 't' and 'T': every call must time out, or may also notice
 * that nobody is there ('t'); 'q' close. What is in brackets is reported, else 'f'.
 */
#ifndef DX_TEST_CRASH_PEER_H
#define DX_TEST_CRASH_PEER_H

#include <poll.h>

#include "child.h"
#include "fault.h"
#include "fault_plan.h"

#define PEER_SLOTS 3u      /* of each side */
#define PEER_ROUND 8u      /* calls of a caller under load, until it gives its slot back */
#define PEER_VERIFIED 8u   /* calls a slot of one 'v' */
#define PEER_HASTE 30000   /* a deadline that is often missed */
#define PEER_PAUSE 100000  /* in which the other side goes to sleep */
#define PEER_LONG 200000   /* what a long handler takes */
#define PEER_SHORT 8000000 /* the deadline of 't' */
#define PEER_WORDS 8u
#define PEER_MESSAGES 3u /* of a stream */
#define STAGE_CALLS (1u << 23)
#define STAGE_LABEL 96

struct stage {
    struct fault_plan plan;
    _Atomic int64_t slow_ns[2]; /* what each of a side's handlers takes */
    _Atomic int64_t timeout_ns; /* of calls under load */
    _Atomic uint32_t park[2];   /* of each side's next process */
    _Atomic uint32_t threads;
    _Atomic uint32_t flags;
    _Atomic int32_t region;               /* the host's descriptor */
    _Atomic uint32_t closes;              /* the faulty one closes instead of calling */
    _Atomic uint32_t due[2 * PEER_SLOTS]; /* answers after which 'm' is reported, by slot */
    _Atomic uint32_t ended[32];           /* calls, by -status */
    _Atomic uint32_t streamed[32];        /* streams, likewise */
    _Atomic uint32_t wrong;
    _Atomic uint64_t next;
    _Atomic uint8_t runs[STAGE_CALLS];
    char label[STAGE_LABEL];
};

/* What a handler knows of a stream between two entries. */
struct peer_progress {
    uint64_t words[PEER_WORDS]; /* a message, of which `got` bytes are there */
    size_t got;
    uint64_t messages;
    uint64_t number; /* of the stream */
};

struct peer {
    struct stage *stage;
    enum dx_side side;
    struct dx_channel *channel;
    pthread_t server;
    pthread_t callers[PEER_SLOTS];
    struct peer_progress streams[2 * PEER_SLOTS]; /* by slot */
    bool calling;
    _Atomic bool enough;
};

static inline struct stage *stage_map(int fd)
{
    void *page = mmap(NULL, sizeof(struct stage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

static inline void peer_complain(struct stage *stage, const char *what, uint64_t number, int value)
{
    atomic_fetch_add(&stage->wrong, 1u);
    (void)fprintf(stderr, "%s: process %d, call %llu: %s (%d)\n", stage->label, (int)getpid(),
                  (unsigned long long)number, what, value);
}

static inline void peer_linger(int64_t ns)
{
    const struct timespec time = dx_clock_timespec(ns);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/* A message that follows from one number in each of its bytes. */
static inline void peer_fill(uint64_t *words, uint64_t key)
{
    for (unsigned i = 0; i < PEER_WORDS; i++)
        words[i] = i == 0 ? key : (key + i) * 0x9e3779b97f4a7c15u;
}

static inline bool peer_is(const uint64_t *words, uint64_t key)
{
    uint64_t expected[PEER_WORDS];
    peer_fill(expected, key);
    return memcmp(words, expected, sizeof expected) == 0;
}

static inline int32_t peer_handler(void *user, const struct dx_request *request,
                                   struct dx_response *response)
{
    const struct peer *p = user;
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
    if (slow_ns != 0 || number % 15 == 0)
        peer_linger(slow_ns != 0 ? slow_ns : PEER_LONG);
    if (memcmp(words, request->data, sizeof words) != 0)
        peer_complain(stage, "the request changed under its handler", number, 0);
    peer_fill(words, ~number);
    memcpy(response->data, words, sizeof words);
    response->bytes = sizeof words;
    return (int32_t)number;
}

/* Is the end of a call one that a peer's death or haste explains? */
static inline bool peer_may_end(dx_status status)
{
    return status == DX_ERR_TIMEOUT || status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED ||
           status == DX_ERR_LOST || status == DX_ERR_NO_PEER;
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

/* As peer_handler, for a message of a stream. */
static inline dx_status peer_stream_message(struct stage *stage, struct peer_progress *at,
                                            struct dx_stream *s)
{
    uint64_t number = at->messages == 0 ? at->words[0] : at->number;
    if (at->got != sizeof at->words || number >= STAGE_CALLS ||
        !peer_is(at->words, number + (at->messages << 32))) {
        peer_complain(stage, "a damaged stream", number, (int)at->got);
        return DX_ERR_CORRUPT;
    }
    if (at->messages == 0 && atomic_fetch_add(&stage->runs[number], 1u) != 0)
        peer_complain(stage, "streamed more than once", number, 0);
    peer_fill(at->words, ~at->words[0]);
    at->number = number;
    at->messages++;
    at->got = 0;
    return dx_stream_write(s, at->words, sizeof at->words, NULL, PATIENCE);
}

/* On two slots of three it returns instead of waiting, so that streams of one thread go on at
 * once: of those that a dead server leaves behind its journal names but one. */
static inline int32_t peer_stream_handler(void *user, struct dx_stream *s)
{
    struct peer *p = user;
    struct peer_progress *at = &p->streams[dx_stream_slot(s)];
    bool waits = dx_stream_slot(s) % 3 == 2;
    if (dx_stream_user(s) == NULL) {
        *at = (struct peer_progress){0};
        dx_stream_set_user(s, at);
    }
    for (;;) {
        size_t bytes;
        dx_status status = dx_stream_read(s, (unsigned char *)at->words + at->got,
                                          sizeof at->words - at->got, &bytes, waits ? PATIENCE : 0);
        at->got += bytes;
        if (status == DX_ERR_TIMEOUT && !waits)
            return DX_STREAM_AGAIN(DX_STREAM_READABLE);
        if (status == DX_OK && at->got == 0)
            return (int32_t)at->number;
        if (status == DX_OK)
            status = peer_stream_message(p->stage, at, s);
        if (status != DX_OK)
            return (int32_t)status;
    }
}

/* Sends messages and has them back; true if they are the right ones. */
static inline dx_status peer_stream_messages(struct dx_stream *s, uint64_t number, bool *right,
                                             int64_t timeout_ns)
{
    dx_status status = DX_OK;
    for (uint64_t k = 0; k < PEER_MESSAGES && status == DX_OK; k++) {
        uint64_t words[PEER_WORDS];
        size_t bytes = 0;
        peer_fill(words, number + (k << 32));
        status = dx_stream_write(s, words, sizeof words, NULL, timeout_ns);
        if (status == DX_OK)
            status = dx_stream_read(s, words, sizeof words, &bytes, timeout_ns);
        *right = bytes == sizeof words && peer_is(words, ~(number + (k << 32)));
        if (status == DX_OK && !*right)
            return status;
    }
    return status;
}

/* One stream with a number of its own, judged. What fails is given up and not ended, which would
 * make it look complete. */
static inline dx_status peer_stream(struct stage *stage, struct dx_caller *caller,
                                    int64_t timeout_ns)
{
    uint64_t number = atomic_fetch_add(&stage->next, 1u) % STAGE_CALLS;
    struct dx_stream *s;
    bool right = true;
    int32_t answer = (int32_t)number;
    int64_t limit_ns = (2 * PEER_MESSAGES + 2) * timeout_ns + SLACK;
    int64_t start = dx_clock_ns();
    dx_status status = dx_stream_open(caller, TYPE_ECHO, NULL, timeout_ns, &s);
    if (status == DX_OK) {
        status = peer_stream_messages(s, number, &right, timeout_ns);
        if (status == DX_OK)
            status = dx_stream_end(s, &answer, timeout_ns);
        else
            dx_stream_cancel(s);
    }
    int64_t elapsed_ns = dx_clock_ns() - start;
    atomic_fetch_add(&stage->streamed[(uint32_t)-status % 32], 1u);
    if (elapsed_ns > limit_ns)
        peer_complain(stage, "a stream late by some ms", number,
                      (int)((elapsed_ns - limit_ns) / MS));
    if (status == DX_OK && (!right || answer != (int32_t)number))
        peer_complain(stage, "what is streamed is not what was sent back", number, answer);
    if (status != DX_OK && !peer_may_end(status))
        peer_complain(stage, "a stream ended otherwise", number, (int)status);
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
            if (i == PEER_ROUND / 2 || status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED)
                peer_linger(PEER_PAUSE);
        }
        dx_caller_close(caller);
    }
    return NULL;
}

static inline void peer_start_load(struct peer *p)
{
    atomic_store(&p->enough, false);
    for (unsigned i = 0; i < PEER_SLOTS; i++)
        if (pthread_create(&p->callers[i], NULL, peer_load, p) != 0)
            _exit(5);
    p->calling = true;
}

static inline void peer_end_load(struct peer *p)
{
    atomic_store(&p->enough, true);
    for (unsigned i = 0; p->calling && i < PEER_SLOTS; i++)
        (void)pthread_join(p->callers[i], NULL);
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

/* Serves whoever comes. */
static inline void *peer_serve(void *user)
{
    struct peer *p = user;
    const struct dx_serve_options options = {.threads = atomic_load(&p->stage->threads),
                                             .flags = atomic_load(&p->stage->flags),
                                             .stream = peer_stream_handler};
    while (dx_serve(p->channel, peer_handler, p, &options) != DX_ERR_STOPPED)
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
    wait.park_timeout_ns = 60 * SECOND;
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
        return peer_use_all(p, PEER_VERIFIED, PATIENCE, DX_OK, false) ? 'v' : 'f';
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
    if (pthread_create(&peer.server, NULL, peer_serve, &peer) != 0)
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
