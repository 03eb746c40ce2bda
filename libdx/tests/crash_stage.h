/* SPDX-License-Identifier: Apache-2.0 */
/* The stage of a crash test, which is memory that all of its processes share, and what the parts of
 * a peer have in common: crash_peer.h. */
#ifndef DX_TEST_CRASH_STAGE_H
#define DX_TEST_CRASH_STAGE_H

#include "child.h"
#include "fault_plan.h"

#define PEER_SLOTS 4u      /* of each side */
#define PEER_CALLERS 2u    /* under load, a thread each; beside them there is a queue */
#define PEER_DEPTH 2u      /* of the queue under load */
#define PEER_ROUND 8u      /* calls of a caller under load, until it gives its slot back */
#define PEER_VERIFIED 8u   /* calls a slot of one 'v' */
#define PEER_HASTE 30000   /* a deadline that is often missed */
#define PEER_PAUSE 100000  /* in which the other side goes to sleep */
#define PEER_LONG 200000   /* what a long handler takes */
#define PEER_SHORT 8000000 /* the deadline of 't' */
#define PEER_WORDS 8u
#define PEER_LOOPS (1u << 31) /* servers and queues wait for descriptors, as event loops do */
#define PEER_SETS (1u << 30)  /* servers are waited for as a set */
#define PEER_MESSAGES 3u      /* of a stream */
#define STAGE_CALLS (1u << 23)
#define STAGE_LABEL 96

struct stage {
    struct fault_plan plan;
    _Atomic int64_t slow_ns[2]; /* what each of a side's handlers takes */
    _Atomic int64_t timeout_ns; /* of calls under load */
    _Atomic uint32_t park[2];   /* of each side's next process */
    _Atomic uint32_t threads;
    _Atomic uint32_t flags;  /* of dx_serve, and PEER_... */
    _Atomic uint32_t loops;  /* servers and queues wait for descriptors, as event loops do */
    _Atomic int32_t region;  /* the host's descriptor */
    _Atomic uint32_t closes; /* the faulty one closes instead of calling */
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

/* A request that is answered by another thread. */
struct peer_later {
    struct dx_token token;
    void *response;
    uint64_t number;
    _Atomic bool due;
};

struct peer {
    struct stage *stage;
    enum dx_side side;
    struct dx_channel *channel;
    pthread_t server;
    pthread_t answerer;
    sem_t kept;
    struct peer_later later[2 * PEER_SLOTS]; /* by slot */
    pthread_t callers[PEER_CALLERS];
    pthread_t queue;
    struct peer_progress streams[2 * PEER_SLOTS]; /* by slot */
    bool calling;
    _Atomic bool enough;
    _Atomic bool answers; /* the answerer goes on */
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

/* Waits for the next peer, or for the end of the load. */
static inline void peer_await_next(struct peer *p)
{
    while (!atomic_load(&p->enough) && dx_wait_peer(p->channel, MS) == DX_ERR_NO_PEER)
        continue;
}

static inline bool peer_does(const struct stage *stage, uint32_t what)
{
    return (atomic_load(&stage->flags) & what) != 0;
}

/* Is the end of a call one that a peer's death or haste explains? */
static inline bool peer_may_end(dx_status status)
{
    return status == DX_ERR_TIMEOUT || status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED ||
           status == DX_ERR_LOST || status == DX_ERR_NO_PEER;
}

#endif
