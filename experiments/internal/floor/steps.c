/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare loop to which the steps of the slot protocol are added one at a time, each as libdx does
 * it (caller.c, serve.c) and on lines that are laid out as there (layout.h). What a step costs is
 * the difference to the loop without it.
 *
 *   R3 -> A3  the caller's word: the request's bytes and fields
 *   R4 -> A4  the server's word: the response's
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "floor_private.h"

enum { STEP_BYTES = 64, STATE_SENDING = 3, STATE_ACKNOWLEDGED = 4, COUNTERS = 5 };

/* Each written by one side. */
struct lines {
    _Alignas(APART) _Atomic uint64_t caller_word;
    _Atomic uint32_t request_bytes;
    _Atomic uint32_t type;
    _Atomic uint32_t parked;
    _Alignas(APART) _Atomic uint64_t server_word;
    _Atomic uint32_t response_bytes;
    _Atomic int32_t status;
    _Atomic uint32_t result;
    _Atomic uint32_t cell;
    _Alignas(APART) _Atomic uint64_t journal;
    _Alignas(APART) _Atomic uint64_t caller_counters[COUNTERS];
    _Alignas(APART) _Atomic uint64_t server_counters[COUNTERS];
    _Alignas(APART) _Atomic uint32_t armed; /* of the cell in which the server sleeps */
    _Alignas(APART) _Atomic uint32_t slots_used;
    _Alignas(APART) _Atomic uint32_t caller_stops;
    _Alignas(APART) _Atomic uint32_t server_stops;
    _Alignas(APART) char request[STEP_BYTES];
    _Alignas(APART) char response[STEP_BYTES];
    _Alignas(APART) char caller_bytes[2 * APART]; /* private to the caller: request, response */
    _Alignas(APART) char server_bytes[2 * APART];
};

#define LOAD(p) atomic_load_explicit(&(p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit(&(p), (v), memory_order_relaxed)

static inline __attribute__((always_inline)) bool has(enum floor_step last, enum floor_step step)
{
    return last >= step;
}

static inline void count(_Atomic uint64_t *counters, uint64_t looks)
{
    const uint64_t add[COUNTERS] = {1, STEP_BYTES, STEP_BYTES, looks, 1};
    for (int i = 0; i < COUNTERS; i++)
        STORE(counters[i], LOAD(counters[i]) + add[i]);
}

/* The sequence is the word's lower half. */
static inline uint64_t word_of(uint32_t state, uint64_t trip)
{
    return (uint64_t)state << 32 | (uint32_t)trip;
}

/* What the caller does before it waits. */
static inline __attribute__((always_inline)) void send(struct lines *l, enum floor_step last,
                                                       uint64_t trip)
{
    if (has(last, FLOOR_PAYLOAD))
        memcpy(l->request, l->caller_bytes, STEP_BYTES);
    if (has(last, FLOOR_FIELDS)) {
        STORE(l->request_bytes, STEP_BYTES);
        STORE(l->type, 16u);
    }
    atomic_store_explicit(&l->caller_word, word_of(STATE_SENDING, trip),
                          memory_order_release); /* R3 -> A3 */
    if (has(last, FLOOR_FENCE))
        atomic_thread_fence(memory_order_seq_cst);
    if (has(last, FLOOR_SLEEPER) && atomic_load_explicit(&l->cell, memory_order_seq_cst) == 1)
        use_number(atomic_load_explicit(&l->armed, memory_order_acquire));
}

/* Takes the answer; false: it is not what was asked for, which cannot be. */
static inline __attribute__((always_inline)) bool take(struct lines *l, enum floor_step last)
{
    size_t bytes = STEP_BYTES;
    if (has(last, FLOOR_FIELDS)) {
        bytes = LOAD(l->response_bytes);
        use_number((uint64_t)LOAD(l->status));
        if (LOAD(l->result) != 0 || bytes > STEP_BYTES)
            return false;
    }
    if (has(last, FLOOR_PAYLOAD)) {
        memcpy(l->caller_bytes + APART, l->response, bytes);
        use(l->caller_bytes);
    }
    if (has(last, FLOOR_COUNTERS))
        count(l->caller_counters, 1);
    return true;
}

static inline __attribute__((always_inline)) bool drive_with(struct table *t, uint64_t *trip,
                                                             int64_t duration_ns,
                                                             struct floor_exchange *out,
                                                             enum floor_step last)
{
    struct lines *l = t->lines;
    uint64_t first = *trip;
    int64_t start_ns = floor_now_ns(), end_ns = start_ns + duration_ns, now_ns;
    do {
        bool yielded = false;
        for (int i = 0; i < TRIPS_PER_CLOCK && !yielded; i++) {
            uint64_t awaited = word_of(STATE_ACKNOWLEDGED, ++*trip);
            if (has(last, FLOOR_FLAGS) && LOAD(l->caller_stops) != 0)
                return false;
            send(l, last, *trip);
            if (wait_for(&l->server_word, awaited, end_ns + FLOOR_GRACE_NS, &yielded) != awaited ||
                !take(l, last)) /* A4 <- R4 */
                return false;
        }
        now_ns = floor_now_ns();
    } while (now_ns < end_ns);
    out->loops = *trip - first;
    out->elapsed_ns = now_ns - start_ns;
    return true;
}

/* What the server does with a request. */
static inline __attribute__((always_inline)) void serve(struct lines *l, enum floor_step last,
                                                        uint64_t trip)
{
    size_t bytes = STEP_BYTES;
    if (has(last, FLOOR_FIELDS)) {
        bytes = LOAD(l->request_bytes);
        if (bytes > STEP_BYTES || LOAD(l->type) != 16u)
            bytes = 0;
    }
    if (has(last, FLOOR_JOURNAL))
        atomic_store_explicit(&l->journal, word_of(1, trip), memory_order_release);
    if (has(last, FLOOR_PAYLOAD)) {
        memcpy(l->server_bytes, l->request, bytes);
        use(l->server_bytes);
        memcpy(l->response, l->server_bytes + APART, bytes);
    }
    if (has(last, FLOOR_FIELDS)) {
        STORE(l->response_bytes, (uint32_t)bytes);
        STORE(l->status, 0);
        STORE(l->result, 0u);
    }
    atomic_store_explicit(&l->server_word, word_of(STATE_ACKNOWLEDGED, trip),
                          memory_order_release); /* R4 -> A4 */
    if (has(last, FLOOR_FENCE))
        atomic_thread_fence(memory_order_seq_cst);
    if (has(last, FLOOR_SLEEPER))
        use_number(atomic_load_explicit(&l->parked, memory_order_acquire));
    if (has(last, FLOOR_COUNTERS))
        count(l->server_counters, 1);
}

static inline __attribute__((always_inline)) void answer_with(struct table *t, enum floor_step last)
{
    struct lines *l = t->lines;
    bool yielded;
    int64_t give_up_ns = patience_of_b(t);
    for (uint64_t trip = 1;; trip++) {
        uint64_t awaited = word_of(STATE_SENDING, trip);
        if (has(last, FLOOR_FLAGS) &&
            (LOAD(l->server_stops) != 0 ||
             atomic_load_explicit(&l->slots_used, memory_order_acquire) == 0))
            return;
        if (wait_for(&l->caller_word, awaited, give_up_ns, &yielded) != awaited) /* A3 <- R3 */
            return;
        serve(l, last, trip);
    }
}

/* Each is compiled for itself, so that a step that is left out costs nothing. */
#define LOOP(last)                                                                                 \
    static bool drive_##last(struct table *t, uint64_t *trip, int64_t duration_ns,                 \
                             struct floor_exchange *out)                                           \
    {                                                                                              \
        return drive_with(t, trip, duration_ns, out, last);                                        \
    }                                                                                              \
    static void answer_##last(struct table *t)                                                     \
    {                                                                                              \
        answer_with(t, last);                                                                      \
    }
LOOP(FLOOR_WORD)
LOOP(FLOOR_PAYLOAD)
LOOP(FLOOR_FENCE)
LOOP(FLOOR_FIELDS)
LOOP(FLOOR_SLEEPER)
LOOP(FLOOR_JOURNAL)
LOOP(FLOOR_COUNTERS)
LOOP(FLOOR_FLAGS)

static const struct {
    bool (*drive)(struct table *, uint64_t *, int64_t, struct floor_exchange *);
    void (*answer)(struct table *);
} loops[FLOOR_STEPS] = {
    {drive_FLOOR_WORD, answer_FLOOR_WORD},         {drive_FLOOR_PAYLOAD, answer_FLOOR_PAYLOAD},
    {drive_FLOOR_FENCE, answer_FLOOR_FENCE},       {drive_FLOOR_FIELDS, answer_FLOOR_FIELDS},
    {drive_FLOOR_SLEEPER, answer_FLOOR_SLEEPER},   {drive_FLOOR_JOURNAL, answer_FLOOR_JOURNAL},
    {drive_FLOOR_COUNTERS, answer_FLOOR_COUNTERS}, {drive_FLOOR_FLAGS, answer_FLOOR_FLAGS},
};

enum floor_failure floor_steps(int cpu_a, int cpu_b, enum floor_step last, int64_t duration_ns,
                               struct floor_exchange *out, int *error)
{
    struct table *t = aligned_alloc(APART, sizeof *t);
    struct lines *lines = aligned_alloc(APART, sizeof *lines);
    enum floor_failure failure = FLOOR_MEMORY;
    *error = ENOMEM;
    if (t && lines) {
        memset(t, 0, sizeof *t);
        memset(lines, 0, sizeof *lines);
        lines->cell = 1;
        lines->slots_used = 1;
        t->lines = lines;
        t->word_of_a = &lines->caller_word;
        t->duration_ns = duration_ns;
        t->cpu[0] = cpu_a;
        t->cpu[1] = cpu_b;
        t->drive = loops[last].drive;
        t->answer = loops[last].answer;
        failure = floor_run_threads(t, error);
        *out = t->result;
    }
    free(lines);
    free(t);
    return failure;
}
