/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See boundary.h. The host starts a measurement by writing what is wanted and then a new number;
 * the guest takes it up by repeating the number.
 *
 *   R3 -> A3  start: bytes and pause
 *   R4 -> A4  taken: the guest is about to spin
 *   R5 -> A5  host's word: the request's bytes
 *   R6 -> A6  guest's word: the response's bytes
 */
#include "boundary.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { APART = 128, TRIPS_PER_CLOCK = 256, LOOKS_PER_CLOCK = 100000 };
#define WARM_UP_NS 2000000ll
#define IDLE_NS 500000ll
#define STOP UINT64_MAX

struct area {
    /* The host writes these. */
    _Alignas(APART) _Atomic uint64_t start;
    uint64_t bytes;
    uint64_t pause;
    _Alignas(APART) _Atomic uint64_t host;
    /* The guest writes these. */
    _Alignas(APART) _Atomic uint64_t taken;
    _Alignas(APART) _Atomic uint64_t guest;
    /* The request, and right behind it the response: an emulated TLB has few places, and small
     * payloads a megabyte apart would compete for one. */
    _Alignas(APART) char payload[2 * (FLOOR_BOUNDARY_PAYLOAD_MAX + APART)];
};
_Static_assert(sizeof(struct area) <= FLOOR_BOUNDARY_BYTES, "the area is too small");

static char *response_of(struct area *a, size_t bytes)
{
    return a->payload + (bytes + APART - 1) / APART * APART;
}

static inline void relax(bool pause)
{
    if (!pause)
        return;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = IDLE_NS}, NULL);
}

/* Makes the compiler believe that somebody reads what p points to. */
static inline void use(const void *p)
{
    __asm__ volatile("" ::"r"(p) : "memory");
}

/* Why a wait makes no sense any more: *gone is not 0, or another measurement has begun. */
struct wait_end {
    const int *gone;
    const _Atomic uint64_t *start;
    uint64_t number;
};

static bool is_over(const struct wait_end *end)
{
    return __atomic_load_n(end->gone, __ATOMIC_RELAXED) != 0 ||
           atomic_load_explicit(end->start, memory_order_relaxed) != end->number;
}

/* Spins until the word is `wanted` or STOP; false if waiting makes no sense any more. */
static inline bool wait_for(_Atomic uint64_t *word, uint64_t wanted, bool pause,
                            const struct wait_end *end)
{
    do {
        for (int looks = 0; looks < LOOKS_PER_CLOCK; looks++) {
            uint64_t seen = atomic_load_explicit(word, memory_order_acquire); /* A5, A6 */
            if (seen == wanted)
                return true;
            if (seen == STOP)
                return false;
            relax(pause);
        }
    } while (!is_over(end));
    return false;
}

static bool drive(struct area *a, char *private, size_t bytes, uint64_t *trip, int64_t duration_ns,
                  const struct wait_end *end, struct floor_exchange *out)
{
    char *response = response_of(a, bytes);
    uint64_t first = *trip;
    int64_t start_ns = floor_now_ns(), end_ns = start_ns + duration_ns, now_ns;
    do {
        for (int i = 0; i < TRIPS_PER_CLOCK; i++) {
            uint64_t n = ++*trip;
            memcpy(a->payload, private, bytes);
            atomic_store_explicit(&a->host, n, memory_order_release); /* R5 -> A5 */
            if (!wait_for(&a->guest, n, true, end))
                return false;
            memcpy(private, response, bytes);
            use(private);
        }
        now_ns = floor_now_ns();
    } while (now_ns < end_ns);
    out->loops = *trip - first;
    out->elapsed_ns = now_ns - start_ns;
    return true;
}

/* Gives the guest its work and waits until it has taken it up. */
static bool begin(struct area *a, size_t bytes, bool pause, struct wait_end *end)
{
    uint64_t number = atomic_load_explicit(&a->start, memory_order_relaxed) + 1; /* ours alone */
    end->number = number;
    a->bytes = bytes;
    a->pause = pause;
    atomic_store_explicit(&a->host, 0, memory_order_relaxed);                 /* before R3 */
    atomic_store_explicit(&a->start, number, memory_order_release);           /* R3 -> A3 */
    while (atomic_load_explicit(&a->taken, memory_order_acquire) != number) { /* A4 */
        if (is_over(end))
            return false;
        nanosleep(&(struct timespec){.tv_nsec = IDLE_NS / 10}, NULL);
    }
    return true;
}

enum floor_boundary floor_boundary_measure(void *area, size_t bytes, bool pause,
                                           int64_t duration_ns, const int *gone,
                                           struct floor_exchange *out)
{
    struct area *a = area;
    struct wait_end end = {.gone = gone, .start = &a->start};
    uint64_t trip = 0;
    char *private = aligned_alloc(APART, (bytes + APART) / APART * APART);
    if (!private)
        return FLOOR_BOUNDARY_MEMORY;
    memset(private, 0x5a, bytes);
    enum floor_boundary result = FLOOR_BOUNDARY_NOBODY;
    if (begin(a, bytes, pause, &end)) {
        bool all = drive(a, private, bytes, &trip, WARM_UP_NS, &end, out) &&
                   drive(a, private, bytes, &trip, duration_ns, &end, out);
        result = all ? FLOOR_BOUNDARY_OK : FLOOR_BOUNDARY_SILENT;
    }
    atomic_store_explicit(&a->host, STOP, memory_order_release);
    free(private);
    return result;
}

/* Answers until the host stops, or another one has begun. */
static void answer(struct area *a, char *private, const struct wait_end *end)
{
    uint64_t bytes = a->bytes;
    bool pause = a->pause;
    if (bytes > FLOOR_BOUNDARY_PAYLOAD_MAX)
        return;
    char *response = response_of(a, bytes);
    for (uint64_t n = 1; wait_for(&a->host, n, pause, end); n++) {
        memcpy(private, a->payload, bytes);
        use(private);
        memcpy(response, private, bytes);
        atomic_store_explicit(&a->guest, n, memory_order_release); /* R6 -> A6 */
    }
}

int floor_boundary_serve(void *area, const int *stop)
{
    struct area *a = area;
    char *private = calloc(1, FLOOR_BOUNDARY_PAYLOAD_MAX);
    if (!private)
        return ENOMEM;
    /* What was taken, not what was started: a host may start before we come to this line. */
    uint64_t done = atomic_load_explicit(&a->taken, memory_order_relaxed);
    while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        uint64_t number = atomic_load_explicit(&a->start, memory_order_acquire); /* A3 */
        if (number == done) {
            nap();
            continue;
        }
        done = number;
        atomic_store_explicit(&a->guest, 0, memory_order_relaxed);      /* before R4 */
        atomic_store_explicit(&a->taken, number, memory_order_release); /* R4 -> A4 */
        const struct wait_end end = {.gone = stop, .start = &a->start, .number = number};
        answer(a, private, &end);
    }
    free(private);
    return 0;
}
