/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The round trip of a cache line. Side A counts its word up, side B answers with the same number
 * in its own word: nothing else is shared, so that a trip is two transfers of a line and what the
 * loops around them cost.
 *
 *   R1 -> A1  A's word: the request's bytes
 *   R2 -> A2  B's word: the response's bytes
 */
#include "floor_private.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUFFERS = 6 };

int64_t floor_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000ll + t.tv_nsec;
}

uint64_t floor_wait_politely(_Atomic uint64_t *word, uint64_t wanted, int64_t give_up_ns,
                             bool *yielded)
{
    uint64_t seen;
    *yielded = true;
    do {
        sched_yield();
        seen = atomic_load_explicit(word, memory_order_acquire); /* A1, A2 */
    } while (seen != wanted && seen != STOP && floor_now_ns() < give_up_ns);
    return seen;
}

static bool drive(struct table *t, uint64_t *trip, int64_t duration_ns, struct floor_exchange *out)
{
    size_t bytes = t->bytes;
    uint64_t first = *trip;
    int64_t start_ns = floor_now_ns(), end_ns = start_ns + duration_ns, now_ns;
    do {
        bool yielded = false; /* then a trip takes milliseconds: look at the clock at once */
        for (int i = 0; i < TRIPS_PER_CLOCK && !yielded; i++) {
            uint64_t n = ++*trip;
            if (bytes)
                memcpy(t->shared_request, t->a_request, bytes);
            atomic_store_explicit(&t->a.value, n, memory_order_release); /* R1 -> A1 */
            if (wait_for(&t->b.value, n, end_ns + FLOOR_GRACE_NS, &yielded) != n)
                return false;
            if (bytes) {
                memcpy(t->a_response, t->shared_response, bytes);
                use(t->a_response);
            }
        }
        now_ns = floor_now_ns();
    } while (now_ns < end_ns);
    out->loops = *trip - first;
    out->elapsed_ns = now_ns - start_ns;
    return true;
}

static void answer(struct table *t)
{
    size_t bytes = t->bytes;
    bool yielded;
    int64_t give_up_ns = patience_of_b(t);
    for (uint64_t n = 1; wait_for(&t->a.value, n, give_up_ns, &yielded) == n; n++) {
        if (bytes) {
            memcpy(t->b_request, t->shared_request, bytes);
            use(t->b_request);
            memcpy(t->shared_response, t->b_response, bytes);
        }
        atomic_store_explicit(&t->b.value, n, memory_order_release); /* R2 -> A2 */
    }
}

/* Trips go to the slots in turn: n to slot n modulo the count, which knows it as n / count + 1. */
static inline struct slot *slot_of(const struct table *t, uint64_t trip)
{
    return &t->slots[trip % t->count];
}

static void send_from(struct table *t, uint64_t trip)
{
    struct slot *s = slot_of(t, trip);
    if (t->bytes)
        memcpy(s->request, t->a_request, t->bytes);
    atomic_store_explicit(&s->a.value, trip / t->count + 1, memory_order_release); /* R1 -> A1 */
}

/* drive() with several trips under way. *trip is the next one that will be complete. */
static bool drive_slots(struct table *t, uint64_t *trip, int64_t duration_ns,
                        struct floor_exchange *out)
{
    assert(t->count > 0);
    uint64_t first = *trip;
    int64_t start_ns = floor_now_ns(), end_ns = start_ns + duration_ns, now_ns;
    for (uint64_t n = 0; first == 0 && n < t->count; n++)
        send_from(t, n);
    do {
        bool yielded = false;
        for (int i = 0; i < TRIPS_PER_CLOCK && !yielded; i++) {
            struct slot *s = slot_of(t, *trip);
            uint64_t n = *trip / t->count + 1;
            if (wait_for(&s->b.value, n, end_ns + FLOOR_GRACE_NS, &yielded) != n)
                return false;
            if (t->bytes) {
                memcpy(t->a_response, s->response, t->bytes);
                use(t->a_response);
            }
            send_from(t, *trip + t->count);
            ++*trip;
        }
        now_ns = floor_now_ns();
    } while (now_ns < end_ns);
    out->loops = *trip - first;
    out->elapsed_ns = now_ns - start_ns;
    return true;
}

static void answer_slots(struct table *t)
{
    assert(t->count > 0);
    bool yielded;
    int64_t give_up_ns = patience_of_b(t);
    for (uint64_t trip = 0;; trip++) {
        struct slot *s = slot_of(t, trip);
        uint64_t n = trip / t->count + 1;
        if (wait_for(&s->a.value, n, give_up_ns, &yielded) != n)
            return;
        if (t->bytes) {
            memcpy(t->b_request, s->request, t->bytes);
            use(t->b_request);
            memcpy(s->response, t->b_response, t->bytes);
        }
        atomic_store_explicit(&s->b.value, n, memory_order_release); /* R2 -> A2 */
    }
}

/* Pins the calling thread and waits until the other one is pinned, too. False: do not run. */
static bool line_up(struct table *t, int side)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(t->cpu[side], &set);
    t->pin_error[side] = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    atomic_fetch_add_explicit(&t->ready, 1, memory_order_acq_rel);
    while (!atomic_load_explicit(&t->go, memory_order_acquire))
        sched_yield();
    return atomic_load_explicit(&t->go, memory_order_acquire) > 0;
}

static void *side_a(void *arg)
{
    struct table *t = arg;
    uint64_t trip = 0;
    if (line_up(t, 0)) {
        t->starved = !t->drive(t, &trip, WARM_UP_NS, &t->result) ||
                     !t->drive(t, &trip, t->duration_ns, &t->result);
        atomic_store_explicit(t->word_of_a, STOP, memory_order_release);
        for (size_t i = 0; t->count > 1 && i < t->count; i++)
            atomic_store_explicit(&t->slots[i].a.value, STOP, memory_order_release);
    }
    return NULL;
}

static void *side_b(void *arg)
{
    struct table *t = arg;
    if (line_up(t, 1))
        t->answer(t);
    return NULL;
}

/* Starts both threads with every signal blocked, since they are not the Go runtime's, and joins
 * them. */
enum floor_failure floor_run_threads(struct table *t, int *error)
{
    pthread_t a, b;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int a_error = pthread_create(&a, NULL, side_a, t);
    int b_error = a_error ? a_error : pthread_create(&b, NULL, side_b, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (!b_error && atomic_load_explicit(&t->ready, memory_order_acquire) < 2)
        sched_yield();
    bool run = !b_error && !t->pin_error[0] && !t->pin_error[1];
    atomic_store_explicit(&t->go, run ? 1 : -1, memory_order_release);
    if (!a_error)
        pthread_join(a, NULL);
    if (!b_error)
        pthread_join(b, NULL);
    *error = b_error ? b_error : t->pin_error[0] ? t->pin_error[0] : t->pin_error[1];
    if (b_error)
        return FLOOR_THREAD;
    if (t->pin_error[0] || t->pin_error[1])
        return t->pin_error[0] ? FLOOR_PIN_A : FLOOR_PIN_B;
    return t->starved ? FLOOR_STARVED : FLOOR_OK;
}

/* Where the buffers of each side and slot lie: never two in one line. */
static void place_buffers(struct table *t, char *buffers, size_t stride)
{
    char **place[BUFFERS] = {&t->shared_request, &t->shared_response, &t->a_request,
                             &t->a_response,     &t->b_request,       &t->b_response};
    for (size_t i = 0; i < BUFFERS; i++)
        *place[i] = buffers + i * stride;
    for (size_t i = 0; i < t->count; i++) {
        t->slots[i].request = buffers + (BUFFERS + 2 * i) * stride;
        t->slots[i].response = buffers + (BUFFERS + 2 * i + 1) * stride;
    }
}

enum floor_failure floor_exchange(int cpu_a, int cpu_b, size_t bytes, size_t slots,
                                  int64_t duration_ns, struct floor_exchange *out, int *error)
{
    size_t stride = (bytes + 2 * APART - 1) / APART * APART;
    struct table *t = aligned_alloc(APART, sizeof *t);
    struct slot *all = aligned_alloc(APART, slots * sizeof *all);
    char *buffers = aligned_alloc(APART, (BUFFERS + 2 * slots) * stride);
    enum floor_failure failure = FLOOR_MEMORY;
    *error = ENOMEM;
    if (t && all && buffers) {
        memset(buffers, 0x5a, (BUFFERS + 2 * slots) * stride); /* no page fault inside the timer */
        memset(t, 0, sizeof *t);
        memset(all, 0, slots * sizeof *all);
        t->slots = all;
        t->count = slots;
        t->bytes = bytes;
        t->duration_ns = duration_ns;
        t->cpu[0] = cpu_a;
        t->cpu[1] = cpu_b;
        place_buffers(t, buffers, stride);
        t->word_of_a = &t->a.value;
        t->drive = slots > 1 ? drive_slots : drive;
        t->answer = slots > 1 ? answer_slots : answer;
        failure = floor_run_threads(t, error);
        *out = t->result;
    }
    free(buffers);
    free(all);
    free(t);
    return failure;
}
