/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine itself costs, without any protocol: a cache line that two CPUs pass to and fro,
 * and the bytes that one CPU copies, reads or writes. Called by floor.go and bandwidth.go alone,
 * which check the arguments.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct floor_exchange {
    uint64_t loops;     /* complete round trips, warm-up left out */
    int64_t elapsed_ns; /* from the end of the warm-up to the end of the last of them */
};

/* Which of the calls of floor_exchange failed; FLOOR_STARVED is no error of a system call. */
enum floor_failure {
    FLOOR_OK = 0,
    FLOOR_MEMORY = 1,
    FLOOR_THREAD = 2,
    FLOOR_PIN_A = 3,
    FLOOR_PIN_B = 4,
    FLOOR_STARVED = 5, /* a CPU did not run its thread for FLOOR_GRACE_NS beyond the end */
};

#define FLOOR_GRACE_NS 5000000000ll

/*
 * Passes a cache line between a thread on cpu_a and one on cpu_b for duration_ns, with `bytes`
 * copied in and out on both sides if it is not 0. With more than one slot, so many lines are under
 * way at a time: both sides go round. Blocks; both threads have ended on return.
 * *error is the errno behind FLOOR_MEMORY to FLOOR_PIN_B, else 0.
 */
enum floor_failure floor_exchange(int cpu_a, int cpu_b, size_t bytes, size_t slots,
                                  int64_t duration_ns, struct floor_exchange *out, int *error);

/* Steps of the slot protocol, each on top of those before it. */
enum floor_step {
    FLOOR_WORD = 0,     /* the words alone, as floor_exchange without bytes */
    FLOOR_PAYLOAD = 1,  /* 64 bytes each way, on lines of their own */
    FLOOR_FENCE = 2,    /* a fence after each word */
    FLOOR_FIELDS = 3,   /* length and type beside the request's word, length, status and result
                           beside the response's */
    FLOOR_SLEEPER = 4,  /* a look whether the other side sleeps, after each word */
    FLOOR_JOURNAL = 5,  /* the server's note which request it begins */
    FLOOR_COUNTERS = 6, /* five on each side */
    FLOOR_FLAGS = 7,    /* stopped? how many slots are in use? */
    FLOOR_STEPS = 8,
};

/* As floor_exchange with one slot and 64 bytes: a loop with the steps up to `last`. */
enum floor_failure floor_steps(int cpu_a, int cpu_b, enum floor_step last, int64_t duration_ns,
                               struct floor_exchange *out, int *error);

/* What floor_bandwidth does with the bytes. */
enum floor_traffic { FLOOR_COPY = 0, FLOOR_READ = 1, FLOOR_WRITE = 2 };

struct floor_moved {
    uint64_t bytes; /* copied, read or written in all passes, warm-up left out */
    uint64_t loads; /* load instructions of FLOOR_READ; 0 for the others */
    int64_t elapsed_ns;
};

/* Moves `bytes` (more than 0) again and again on the calling thread for duration_ns, at least
 * once. Returns 0 or an errno. */
int floor_bandwidth(enum floor_traffic kind, size_t bytes, int64_t duration_ns,
                    struct floor_moved *out);

/* The same between two buffers of the caller's of at least `bytes`, faulted in and aligned to 16.
 */
void floor_move(enum floor_traffic kind, char *to, const char *from, size_t bytes,
                int64_t duration_ns, struct floor_moved *out);

int64_t floor_now_ns(void);

#endif
