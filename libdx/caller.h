/* SPDX-License-Identifier: Apache-2.0 */
/* A caller: pointers to its slot, and what it knows of that slot. */
#ifndef DX_CALLER_PRIVATE_H
#define DX_CALLER_PRIVATE_H

#include "channel.h"
#include "dx_caller.h"
#include "histogram.h"
#include "notifier.h"
#include "stream.h"

struct dx_caller {
    struct dx_caller_line *line;
    struct dx_server_line *server;
    struct dx_cell *cells;
    uint32_t cell_count;
    uint64_t awaited;  /* the server's word that ends the present wait */
    uint32_t sequence; /* of the latest request */
    bool ready;        /* a request may be sent at once: the server has seen our epoch and has
                          answered the request before it */
    struct dx_slot_book book;
    uint32_t epoch;
    uint32_t slot;
    uint64_t told_session; /* session of the peer whose end the caller was told; 0: none */
    struct dx_waiter waiter;
    struct dx_recorder round_trips;
    struct dx_reply reply;
    struct dx_channel *channel;
    struct dx_notifier *notifier; /* of a stream whose descriptor was asked for, else NULL */
    struct dx_stream stream;      /* while it is open, the slot carries nothing else */
};

/* caller.c, for streams: the steps of a call. */

/* Waits until a stream may be opened on the slot, as a call does. */
dx_status dx_caller_admit(struct dx_caller *caller, uint32_t type, int64_t timeout_ns);

/* Publishes the request whose fields are written; the answer is in caller->awaited. */
void dx_caller_send(struct dx_caller *caller);

/* Rings the thread that serves our slot, if it sleeps. A fence comes before it. */
void dx_caller_ring(struct dx_caller *caller);

/* Waits until `look` finds something in the caller's stream. `looks` looks have found nothing. */
dx_status dx_caller_wait(struct dx_caller *caller, bool (*look)(void *stream), uint32_t looks,
                         int64_t timeout_ns);

/* The descriptor of the caller's stream, or -1; announces a sleep of those who wait for it, as
 * dx_stream_side.arm says; ends it, if there is one. */
int dx_caller_fd(struct dx_caller *caller);
dx_status dx_caller_arm(struct dx_caller *caller);
void dx_caller_quiet(struct dx_caller *caller);

/* Gives up the request that is under way. */
void dx_caller_abandon(struct dx_caller *caller);

/* Counts a failure and returns it. */
dx_status dx_caller_failed(struct dx_caller *caller, dx_status status);

/* Is this a request that users may send? */
dx_status dx_caller_check_request(const struct dx_channel *channel, uint32_t type, size_t bytes);

/* caller_slots.c: takes a slot of this side, and gives it back with what the next one who takes it
 * must know. index counts from this side's first slot. */
dx_status dx_slot_take(struct dx_channel *channel, int64_t timeout_ns, uint32_t *index);
void dx_slot_give_back(struct dx_channel *channel, uint32_t index, const struct dx_slot_book *book);

/* What a result that is not DX_RESULT_OK means. */
dx_status dx_result_status(uint32_t result);

#endif
