/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue: slots with a call each, and lists of them by what they are doing. All of it belongs to
 * one thread at a time; the slot protocol is that of caller.c, seen from many slots at once.
 */
#ifndef DX_QUEUE_PRIVATE_H
#define DX_QUEUE_PRIVATE_H

#include "caller.h"
#include "dx_queue.h"
#include "notifier.h"

#define DX_NO_FLIGHT UINT32_MAX

enum dx_flight_state {
    DX_FLIGHT_FREE,
    DX_FLIGHT_HELD,     /* the server has yet to let go of what was sent before */
    DX_FLIGHT_WAITING,  /* submitted; no server has greeted our epoch on this slot */
    DX_FLIGHT_SENT,     /* the request is published */
    DX_FLIGHT_FAILED,   /* it ended without an answer; its completion was not returned yet */
    DX_FLIGHT_RETURNED, /* the program has its completion */
};

/* One slot of a queue, and the call on it. */
struct dx_flight {
    struct dx_caller_line *line;
    struct dx_server_line *server;
    uint64_t awaited; /* the server's word that ends the present state */
    uint64_t tag;
    int64_t timeout_ns;
    int64_t deadline_ns; /* 0: the clock has not been read since the submission */
    uint32_t slot;
    uint32_t sequence; /* of the latest request */
    uint32_t serial;   /* of the latest completion */
    uint32_t request_bytes;
    enum dx_flight_state state;
    dx_status failure;
    bool measured; /* since `sent` */
    uint64_t sent; /* ticks */
    struct dx_recorder round_trips;
    bool begun;     /* a server has greeted our epoch here */
    bool abandoned; /* the latest request was given up */
};

/* Indexes of flights. */
struct dx_flights {
    uint32_t *at;
    uint32_t count;
};

struct dx_queue {
    struct dx_channel *channel;
    uint32_t depth;
    struct dx_flights in_flight; /* WAITING, SENT, FAILED, in the order of their submission */
    struct dx_flights idle;      /* FREE, the next one last */
    struct dx_flights held;      /* HELD */
    struct dx_flights unflushed; /* SENT since the last flush */
    uint32_t waiting;            /* of `in_flight` */
    uint32_t building;           /* whose memory the program has; DX_NO_FLIGHT: none */
    uint32_t wanted;             /* completions, by the present wait */
    bool watches_progress;       /* the present wait is for requests to be taken up, too */
    enum dx_progress least;      /* that it waits for, of this flight */
    uint32_t watched;
    uint32_t tag_mask;            /* size of the table less 1 */
    uint32_t *tags;               /* open addressing: index + 1 of the flight with a tag; 0: none */
    uint64_t told_session;        /* as of a caller */
    int64_t checked_ns;           /* when the peer was looked at last */
    int64_t nearest_ns;           /* the first deadline of those that are known; 0: not known */
    struct dx_notifier *notifier; /* NULL until a descriptor is asked for */
    _Atomic uint32_t entered;     /* a thread is in a function of the queue */
    uint32_t epoch;
    struct dx_waiter waiter;
    struct dx_flight flights[];
};

/* Is another thread in the queue, or is it a child's copy? If DX_OK, dx_queue_leave must follow. */
dx_status dx_queue_enter(struct dx_queue *queue);
void dx_queue_leave(struct dx_queue *queue);

/* Gives up what was sent: a server that has not begun it will not. */
void dx_flight_abandon(struct dx_queue *queue, struct dx_flight *flight);

/* Has the server let go of all that was sent on this slot? */
bool dx_flight_let_go(const struct dx_queue *queue, const struct dx_flight *flight);

/* DX_ERR_NO_SLOT, and by what all slots are in use. */
dx_status dx_queue_no_slot(const struct dx_queue *queue);

/* Ends a call that goes on, without an answer. */
void dx_flight_fail(struct dx_queue *queue, struct dx_flight *flight, dx_status status);

/* Sends the calls that have waited for a greeting and were greeted, and rings the servers. */
void dx_queue_send_all(struct dx_queue *queue);

/* Moves what the server has let go of from `held` to `idle`. */
void dx_queue_settle(struct dx_queue *queue);

/* Moves what has ended out of `in_flight`; returns how many completions that made. */
uint32_t dx_queue_collect(struct dx_queue *queue, struct dx_completion *done, uint32_t room);

/* One fence, and a ring for each sleeping server, for all that is unflushed. */
void dx_queue_ring_servers(struct dx_queue *queue);

/* queue_wait.c: all slots name the one cell in which we sleep, or none. */
void dx_queue_parked(void *queue, bool on);

/* queue_wait.c: sleeps until `for_what` finds something, for no longer than until `until_ns` or the
 * nearest deadline. */
dx_status dx_queue_wait_once(struct dx_queue *queue, bool (*for_what)(void *queue), uint32_t looks,
                             int64_t now, int64_t until_ns);

/* queue_wait.c: ends the calls that are late, or all if the peer has ended, and returns why. Looks
 * at the peer as often as its liveness asks for. */
dx_status dx_queue_look_around(struct dx_queue *queue, int64_t now);

/* queue_wait.c: ends what goes on, for this reason. Without a peer a call waits for one: what was
 * not sent yet stays where it is. The end of a peer is told once. */
void dx_queue_fail_all(struct dx_queue *queue, dx_status status);

#endif
