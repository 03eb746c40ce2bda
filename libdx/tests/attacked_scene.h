/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of process_hostile.c have in common: the attacked, and what may happen to it.
 */
#ifndef DX_TEST_ATTACKED_SCENE_H
#define DX_TEST_ATTACKED_SCENE_H

#include "child.h"
#include "guard.h"
#include "hostile.h"
#include "traffic.h"

#define CALL_NS (10 * MS)
#define MARGIN SLACK /* beyond a deadline */
#define CALLING 1    /* threads that call beside the one that waits for the end */
#define QUEUED 2     /* calls in flight of one thread more */
#define STREAMED 3   /* messages of a stream: more than a ring */
#define REOPEN 64u   /* calls after which a thread takes a new caller */
static const char *const kinds[] = {"futex", "poll", "never", "semaphore"};
#define KINDS (sizeof kinds / sizeof *kinds)
#define KIND_SEMAPHORE 3u

static inline struct dx_config hostile_config(const struct dx_wait *wait)
{
    return (struct dx_config){.slots = 4,
                              .guest_slots = 4,
                              .request_capacity = TRAFFIC_CAPACITY,
                              .response_capacity = TRAFFIC_CAPACITY,
                              .wait = wait};
}

/* Short spins, so that the code behind them gets its share. With kind "semaphore" the other side
 * always wants to be rung so, too. */
static inline struct dx_wait hostile_wait(size_t kind)
{
    const enum dx_park parks[KINDS] = {DX_PARK_FUTEX, DX_PARK_POLL, DX_PARK_NEVER, DX_PARK_SEM};
    return (struct dx_wait){.spin_max = kind == KIND_SEMAPHORE ? 0 : 300,
                            .spin_start = kind == KIND_SEMAPHORE ? 0 : 20,
                            .spin_inc = 10,
                            .spin_dec = 10,
                            .yield_every = 10,
                            .relax = DX_RELAX_PAUSE,
                            .park = parks[kind],
                            .adapt = DX_ADAPT_STEP,
                            .park_timeout_ns = SECOND,
                            .poll_ns = 50000};
}

/* The attacked; the attacker has one, too, for its own threads. */
struct scene {
    enum dx_side side; /* of the attacked */
    const char *path;
    char url[TEST_URL_BYTES];
    int page_fd;
    struct scribbler_page *page;
    struct child peer;
    struct dx_wait wait;
    struct dx_channel *channel;
    struct guard guard;
    pthread_t threads[CALLING + 2];
    int threads_count;
    _Atomic int64_t until_ns; /* when calling ends */
    _Atomic uint64_t numbers;
    _Atomic uint64_t right;    /* answers to our requests */
    _Atomic uint64_t streamed; /* streams that were right */
    _Atomic uint64_t queued;   /* calls of a queue, likewise */
    _Atomic uint64_t wrong;
    _Atomic uint64_t failed;
    _Atomic uint64_t served;
    _Atomic uint64_t echoed;     /* spans of streams that were sent back */
    _Atomic uint64_t late;       /* ended later than MARGIN behind the deadline */
    _Atomic uint64_t impossible; /* a status, a length or an address that cannot be */
    _Atomic int latest_impossible;
};

static inline void count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add(counter, 1u);
}

static inline void progress(struct scene *s)
{
    count(&s->page->progress);
    watchdog_step();
}

static inline void impossible(struct scene *s, int what)
{
    count(&s->impossible);
    atomic_store(&s->latest_impossible, what);
}

/* Nothing but the end of the traffic stops the channel. */
static inline void opened(struct scene *s, dx_status status)
{
    bool ended = status == DX_ERR_STOPPED && atomic_load(&s->until_ns) == 0;
    if (status != DX_OK && !ended)
        impossible(s, (int)status);
}

/* What a call may end with while the peer does what it likes. */
static inline bool may_end_with(dx_status status)
{
    switch (status) {
    case DX_OK:
    case DX_ERR_TIMEOUT:
    case DX_ERR_PEER_CLOSED:
    case DX_ERR_PEER_DEAD:
    case DX_ERR_NO_PEER:
    case DX_ERR_LOST:
    case DX_ERR_REQUEST_TOO_LARGE:
    case DX_ERR_RESPONSE_TOO_LARGE:
    case DX_ERR_TYPE:
    case DX_ERR_CANCELLED:
    case DX_ERR_CORRUPT:
    case DX_ERR_STOPPED:
    case DX_ERR_ENDED:
    case DX_ERR_GUEST_EXISTS: /* it wrote another session into our place */
        return true;
    default:
        return false;
    }
}

/* Within the region and no longer than a slot. */
static inline bool is_inside(const struct dx_channel *c, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    const unsigned char *end = (unsigned char *)c->region.base + c->region.bytes;
    return at >= c->payload && at <= end && bytes <= (size_t)(end - at) &&
           bytes <= TRAFFIC_CAPACITY;
}

#endif
