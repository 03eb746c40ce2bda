/* SPDX-License-Identifier: Apache-2.0 */
/* One side's handle on a region, and the pointers into it. */
#ifndef DX_CHANNEL_PRIVATE_H
#define DX_CHANNEL_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "atomic.h"
#include "dx_channel.h"
#include "fork.h"
#include "layout.h"
#include "liveness_heartbeat.h"
#include "region.h"
#include "transport.h"
#include "wait.h"
#include "wait_brake.h"
#include "wait_cell.h"

/* Values of `stopping`. */
enum dx_stopping { DX_GOES_ON = 0, DX_STOPS = 1, DX_FORKED = 2 };

struct dx_histogram_lines;

struct dx_channel {
    struct dx_region region;
    struct dx_geometry geometry; /* checked, private: the region's own is never read again */
    enum dx_side side;
    bool observer;
    bool switching;      /* an observer that writes the switches */
    uint64_t session;    /* of our life; a guest that finds another one in its place is ousted */
    uint32_t epoch;      /* of the words of our callers */
    struct dx_wait wait; /* checked */
    struct dx_wait_cost cost;
    int64_t liveness_ns;
    int64_t peer_timeout_ns; /* after which a peer under another kernel counts as dead */
    struct dx_heartbeat heartbeat;
    _Atomic uint64_t seen_session; /* of the other side, whose lock was seen: see below */
    _Atomic uint64_t dead_life;    /* session | 1 of the dead peer that was traced; 0: none */
    _Atomic uint32_t ousted;       /* our place has been given to somebody else */
    _Atomic uint32_t nameless;     /* the region's name has been removed */
    _Atomic uint32_t *sleepers;    /* one a cell: see channel_sleep.c */
    _Atomic uint32_t hearing;      /* one of our sleepers waits for the device's bell, for all */
    struct dx_brake brake;         /* of that one */
    _Atomic uint64_t found;        /* sleeps that ended with news */
    bool awaiting_peer;  /* one who waits for a peer has the shared cell; guarded by lock */
    bool doorbell_taken; /* a binding waits for our eventfd and arms cells for it */

    struct dx_header *header;
    struct dx_peer_lines *peers;
    struct dx_switches *switches;
    struct dx_caller_line *caller_lines;
    struct dx_server_line *server_lines;
    struct dx_counters *counters; /* of callers, one a slot */
    struct dx_worker *workers;    /* host's, then guest's */
    struct dx_cell *cells;
    unsigned char *payload;
    struct dx_histogram_lines *_Atomic histograms; /* NULL until they are measured or read */
    uint64_t histograms_offset;                    /* in the file, once they are mapped */

    _Atomic uint32_t stopping; /* enum dx_stopping */
    _Atomic uint32_t serving;  /* 1 while dx_serve runs */
    pthread_mutex_t lock;      /* guards what follows */
    struct dx_serving *served; /* the run of dx_serve; NULL while none, or a binding, serves */
    uint32_t callers_open;
    struct dx_slot_wait *slot_waits; /* who waits for a slot, longest first */
    struct dx_recorder *wakes;       /* one a cell; each is its sleeper's */
    struct dx_slot_book *slots;      /* one for each slot on which this side calls */
    struct dx_later *later;          /* what is answered later; NULL until it is served */
    struct dx_stream *streams;       /* of dx_serve, while it runs: one a slot of the other side */
    struct dx_fork_watch forks;
    uint64_t former_session; /* of a guest: what it found in its place */
    uint32_t former_state;
};

/* One that waits for a slot, on its own stack; the channel's lock guards the queue. */
struct dx_slot_wait {
    struct dx_slot_wait *next;
    struct dx_channel *channel;
};

/* What this process remembers of a slot on which it calls, across the callers that hold it. */
struct dx_slot_book {
    bool taken;
    bool abandoned; /* the last request may still be running */
    bool begun;     /* the caller's line has this life's epoch */
    uint32_t sequence;
    struct dx_caller *caller; /* who has it; NULL: nobody */
};

/* The slots on which a side calls: first and count. */
static inline uint32_t dx_first_slot(const struct dx_geometry *g, enum dx_side side)
{
    return side == DX_HOST ? 0 : g->host_slots;
}

static inline uint32_t dx_slot_count(const struct dx_geometry *g, enum dx_side side)
{
    return side == DX_HOST ? g->host_slots : g->guest_slots;
}

static inline enum dx_side dx_other(enum dx_side side)
{
    return side == DX_HOST ? DX_GUEST : DX_HOST;
}

static inline struct dx_worker *dx_channel_worker(const struct dx_channel *c, enum dx_side side,
                                                  uint32_t worker)
{
    return &c->workers[(uint32_t)side * DX_SERVE_THREADS_MAX + worker];
}

static inline unsigned char *dx_request_at(const struct dx_channel *c, uint32_t slot)
{
    return c->payload + slot * c->geometry.payload_stride;
}

static inline unsigned char *dx_response_at(const struct dx_channel *c, uint32_t slot)
{
    return dx_request_at(c, slot) + c->geometry.response_offset;
}

/* Under which kernel can the other side be? */
static inline enum dx_kernels dx_channel_kernels(const struct dx_channel *c)
{
    return c->region.url.transport->kernels;
}

/* channel_peer.c: has the lock of the other side been seen, in this life of it? Then it is under
 * our kernel, whatever it says. */
bool dx_channel_seen_here(const struct dx_channel *channel);
void dx_channel_see_lock_again(struct dx_channel *channel);

/* Is the other side under another kernel? Then it sees neither our locks nor our futexes and
 * semaphores, and we see none of its. */
static inline bool dx_channel_is_remote(const struct dx_channel *c)
{
    return dx_channel_kernels(c) == DX_OTHER_KERNEL ||
           (dx_channel_kernels(c) == DX_ANY_KERNEL &&
            dx_peer_is_remote(&c->peers[dx_other(c->side)]) && !dx_channel_seen_here(c));
}

/* Is this the copy that a fork left to a child? Then nothing of the region may be touched. */
static inline bool dx_channel_forked(const struct dx_channel *c)
{
    /* Relaxed: written by the first thread of the child, before there was another. */
    return dx_load_relaxed(&c->stopping) == DX_FORKED;
}

/* channel_fork.c: from here on, and until here, a fork makes the child's copy of it inert. */
dx_status dx_channel_watch_forks(struct dx_channel *channel);
void dx_channel_forget_forks(struct dx_channel *channel);

/* Why a channel whose `stopping` is not 0 does nothing: DX_ERR_STOPPED or DX_ERR_FORKED. */
dx_status dx_channel_stopped(const struct dx_channel *channel);

/* Has the region's name been removed, so that nobody new can come? */
static inline bool dx_channel_nameless(const struct dx_channel *c)
{
    /* Relaxed: looked at again every time; its text was there before its thread began. */
    return dx_load_relaxed(&c->nameless) != 0;
}

/* Says whether it makes sense to wait for the other side: DX_OK, DX_ERR_STOPPED, _FORKED,
 * _NAME_REMOVED, _PEER_CLOSED or _PEER_DEAD. DX_OK also for a peer that never came, unless none can
 * come. It costs a system call. */
dx_status dx_channel_check(const struct dx_channel *channel);

/* The same for a server. One that serves through restarts waits for the next life of a dead side,
 * unless that cannot find the region: DX_ERR_NAME_REMOVED. */
dx_status dx_channel_check_server(const struct dx_channel *channel, bool through_restart);

/* channel_ring.c: rings a cell of either side, by whatever its sleeper asked for. */
bool dx_channel_ring_armed(struct dx_channel *channel, uint32_t cell, uint32_t armed);

/* Rings if somebody sleeps there; the news must have been published before. cell is in range. Any
 * thread. */
static inline bool dx_channel_ring(struct dx_channel *c, uint32_t cell)
{
    /* S1 <-> S2, S3 <-> S4: the load after the publishing store. */
    uint32_t armed = dx_load_seqcst(&c->cells[cell].armed);
    return dx_unlikely(armed & DX_CELL_ARMED) && dx_channel_ring_armed(c, cell, armed);
}

/* channel_ring.c: as dx_channel_ring, and wakes the sleeper also if it was rung already: whoever
 * rang may have died before the system call that wakes. */
void dx_channel_wake(struct dx_channel *channel, uint32_t cell);

/* channel_sleep.c: dx_cell_wait for a cell of ours, also where no futex can lie in the region. */
enum dx_slept dx_channel_sleep(struct dx_channel *channel, struct dx_cell *cell, uint32_t armed,
                               const struct dx_wait *wait, int64_t timeout_ns);

/* channel_sleep.c: one that has slept in a cell of ours since then was rung and runs. */
void dx_channel_woken(struct dx_channel *channel, uint32_t cell, int64_t asleep_since_ns);

/* What all waits in a cell of ours have in common. */
static inline struct dx_source dx_channel_source(struct dx_channel *c, uint32_t cell, void *user)
{
    return (struct dx_source){.park = dx_channel_park_kind,
                              .sleep = dx_channel_sleep,
                              .found = &c->found,
                              .channel = c,
                              .user = user,
                              .cell = &c->cells[cell]};
}

/* channel_ring.c: rings every sleeper of the other side, or of our own, so that it looks at the
 * peers' states. */
void dx_channel_ring_all(struct dx_channel *channel, enum dx_side side);

/* channel_watch.c: starts the thread of the heartbeat, where the other side may be under another
 * kernel, and hears what the link has to say, if there is one. */
dx_status dx_channel_watch(struct dx_channel *channel);
dx_status dx_channel_watch_link(struct dx_channel *channel);

/* channel_ring.c: our eventfd was rung: wakes those of our sleepers whose cells were. */
void dx_channel_dispatch(struct dx_channel *channel);

/* channel_session.c: begins this side's life in the region, and ends it. A guest has had the number
 * of its life since it took its place. */
dx_status dx_session_begin_host(struct dx_channel *channel, bool rebuild);
void dx_session_begin_guest(struct dx_channel *channel);
void dx_session_end(struct dx_channel *channel);

/* A guest that has taken its place and cannot begin leaves it as it was. */
void dx_session_withdraw(struct dx_channel *channel);

/* channel.c: a channel with its strategy and nothing mapped; its end, which also unmaps; what it
 * remembers of its slots. */
dx_status dx_channel_make(enum dx_side side, const struct dx_wait *wait, struct dx_channel **out);
void dx_channel_destroy(struct dx_channel *channel);
dx_status dx_channel_make_books(struct dx_channel *channel);

/* channel.c: measures what waiting costs here, as far as our strategy asks for it: takes 0.1 ms, or
 * some with DX_ADAPT_COST and _LOAD. */
dx_status dx_channel_measure(struct dx_channel *channel);

/* channel_attach.c: one attempt to find the region, as guest to take a place in it. What was opened
 * is closed again if it fails, unless the next attempt goes on with it. Can waiting change what an
 * attempt said? */
dx_status dx_attach_try(struct dx_channel *channel, const struct dx_url *url, uint32_t place);
bool dx_attach_may_change(dx_status status);

/* channel.c: checks that our strategy fits the transport, and starts what listens there for us. */
dx_status dx_channel_start(struct dx_channel *channel);

/* channel.c: sets the pointers into the mapped region. */
void dx_channel_point(struct dx_channel *channel);

#endif
