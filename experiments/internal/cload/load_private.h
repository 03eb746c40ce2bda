/* SPDX-License-Identifier: Apache-2.0 */
/* A load and its threads: for load.c and load_queue.c alone. */
#ifndef DX_EXPERIMENT_LOAD_PRIVATE_H
#define DX_EXPERIMENT_LOAD_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "../../../libdx/dx.h"
#include "load.h"

#define CALL_TIMEOUT_NS 10000000000ll

/* One call of a queue. */
struct load_flight {
    uint64_t sequence;
    int64_t start_ns;
};

struct load_thread {
    struct load *load;
    struct dx_caller *caller; /* NULL with in_flight > 0 */
    struct dx_queue *queue;   /* else NULL */
    struct load_flight *flights;
    uint32_t index;
    uint64_t sequence;
    struct load_samples row;
    struct load_count count;
    pthread_t thread;
    unsigned char *request;
    unsigned char *response;
};

struct load {
    struct dx_channel *channel;
    uint32_t threads;
    uint32_t payload_bytes;
    uint32_t in_flight; /* calls of each thread, by a queue; 0: blocking calls */
    int verify;
    const struct load_schedule *schedule; /* NULL: a closed loop */
    int64_t start_ns;                     /* of the slice */
    pthread_mutex_t gate;                 /* held until all threads are there */
    atomic_int stop;
    struct load_thread *thread;
};

static inline int64_t load_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int load_stopped(const struct load *load)
{
    return atomic_load_explicit(&load->stop, memory_order_relaxed);
}

static inline uint32_t load_sample(int64_t ns)
{
    if (ns < 0)
        return 0;
    return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

/* Counts a call that failed; what is gone is gone for this run. */
void load_failed(struct load_thread *thread, int status);

/* load_queue.c: opens a queue of load->in_flight calls (a dx_status), and calls until the slice is
 * over and nothing is in flight. */
int load_queue_open(struct load_thread *thread);
void load_queue_run(struct load_thread *thread);
void load_queue_close(struct load_thread *thread);

#endif
