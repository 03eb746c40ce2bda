/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads, each pinned to a CPU, that drive a loop between them: what floor_exchange and
 * floor_steps share. */
#ifndef FLOOR_PRIVATE_H
#define FLOOR_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "floor.h"

enum {
    APART = 128,                 /* a line and the one that the prefetcher fetches with it */
    LOOKS_BEFORE_YIELD = 100000, /* 1 to 5 ms: never reached while both threads have a CPU */
    TRIPS_PER_CLOCK = 256,       /* a clock read costs a tenth of a trip */
};
#define WARM_UP_NS 2000000ll
#define STOP UINT64_MAX

/* One side's word, alone on its pair of lines. */
struct word {
    _Alignas(APART) _Atomic uint64_t value;
};

/* One of several exchanges that are under way: words, and bytes. */
struct slot {
    struct word a;
    struct word b;
    char *request, *response;
};

/* Everything of one measurement. Words first, each written by one side. */
struct table {
    struct word a;
    struct word b;
    struct slot *slots; /* with count > 1, in place of the two words and the shared bytes */
    size_t count;
    struct lines *lines;         /* of floor_steps */
    _Atomic uint64_t *word_of_a; /* where A says STOP, if there is one slot */
    /* Side A until duration_ns have passed; *trip goes on from call to call. False: B never ran. */
    bool (*drive)(struct table *, uint64_t *trip, int64_t duration_ns, struct floor_exchange *out);
    /* Side B: answers until A says STOP. */
    void (*answer)(struct table *);
    _Atomic int ready; /* threads that are pinned, or have failed to be */
    _Atomic int go;    /* 0: wait, 1: run, -1: go home */
    size_t bytes;
    int64_t duration_ns;
    int cpu[2];
    int pin_error[2];
    bool starved;
    struct floor_exchange result;
    char *shared_request, *shared_response;
    char *a_request, *a_response, *b_request, *b_response;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* Makes the compiler believe that somebody reads what p points to. */
static inline void use(const void *p)
{
    __asm__ volatile("" ::"r"(p) : "memory");
}

static inline void use_number(uint64_t n)
{
    __asm__ volatile("" ::"r"(n));
}

/* The rare part of a wait: the other thread seems to want this CPU. Returns what was seen last,
 * which is not `wanted` once give_up_ns has passed. */
uint64_t floor_wait_politely(_Atomic uint64_t *word, uint64_t wanted, int64_t give_up_ns,
                             bool *yielded);

static inline uint64_t wait_for(_Atomic uint64_t *word, uint64_t wanted, int64_t give_up_ns,
                                bool *yielded)
{
    for (int looks = 0; looks < LOOKS_BEFORE_YIELD; looks++) {
        uint64_t seen = atomic_load_explicit(word, memory_order_acquire); /* A1, A2 */
        if (seen == wanted || seen == STOP)
            return seen;
        relax();
    }
    return floor_wait_politely(word, wanted, give_up_ns, yielded);
}

/* When side B gives up: its own patience is A's and more, so that A gives up first. */
static inline int64_t patience_of_b(const struct table *t)
{
    return floor_now_ns() + WARM_UP_NS + t->duration_ns + 4 * FLOOR_GRACE_NS;
}

/* Runs both threads of a table whose bytes, duration, CPUs and functions are set. */
enum floor_failure floor_run_threads(struct table *t, int *error);

#endif
