/* SPDX-License-Identifier: Apache-2.0 */
/* The load in C: threads that call in a closed loop or by a schedule, and the handler that answers
 * them. */
#ifndef DX_EXPERIMENT_LOAD_H
#define DX_EXPERIMENT_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct dx_channel;
struct dx_wait;

#define LOAD_TYPE_ECHO 128u
#define LOAD_TYPE_VERIFY 129u

/* A sleep takes some 60 us more than it was asked for. */
#define LOAD_SLEEPS_NS 100000

struct load;

/* What one caller did in one slice. */
struct load_count {
    uint64_t calls;
    uint64_t errors;
    uint64_t timeouts;
    uint64_t verify_failures;
    uint64_t samples; /* round trips in the caller's row of samples_ns */
    uint64_t dropped; /* round trips for which the row had no room */
    uint64_t missed;  /* calls of a schedule that were never started */
};

/*
 * One slice of an open loop: call n, for n from first up to but without end, is to start
 * n / rate_per_s after the measurement's begin, and is made by thread n modulo the threads. A wait
 * for a start ends with spin_ns of spinning; after longest_ns the slice ends and the rest is
 * missed.
 */
struct load_schedule {
    double rate_per_s;
    int64_t begin_ns; /* of the slice, since the measurement's */
    uint64_t first;
    uint64_t end;
    int64_t spin_ns;
    int64_t longest_ns;
    int no_calls; /* waits for each start and counts it as a call, but makes none */
};

/* Where the times of one slice go: a row of `room` for each thread. */
struct load_samples {
    uint32_t *rtt_ns;      /* NULL: nothing is timed */
    uint32_t *intended_ns; /* of an open loop: from the intended start, one for each round trip */
    uint64_t room;
};

/* Opens one caller a thread; with in_flight > 0 a queue of so many calls. NULL with *status set if
 * that fails. */
struct load *load_open(struct dx_channel *channel, uint32_t threads, uint32_t in_flight,
                       uint32_t payload_bytes, int verify, int *status);

/* Calls for duration_ns on all threads: in a closed loop, or by *schedule if that is not NULL.
 * Returns the nanoseconds that it took, or -1 if threads could not be started. */
int64_t load_slice(struct load *load, int64_t duration_ns, const struct load_schedule *schedule,
                   const struct load_samples *samples, struct load_count *counts);

/* Ends a slice early. Any thread. */
void load_interrupt(struct load *load);

void load_close(struct load *load);

/* Attaches, writes one line to ready_fd, serves until the host is gone. Beside its copies each
 * handler takes handler_ns: from LOAD_SLEEPS_NS on it sleeps, else it looks at the clock. A
 * dx_status. */
int load_serve(const char *url, const struct dx_wait *wait, int ready_fd, int64_t handler_ns);

#endif
