/* SPDX-License-Identifier: Apache-2.0 */
/* One serving thread: its slots, what it has seen there, and which callers it has yet to ring. */
#ifndef DX_SERVE_PRIVATE_H
#define DX_SERVE_PRIVATE_H

#include "channel.h"
#include "dx_caller.h"
#include "dx_protocol.h"
#include "dx_serve.h"
#include "histogram.h"
#include "serve_later.h"
#include "stream.h"

/* What the serving threads of one dx_serve share. */
struct dx_pool {
    _Atomic uint32_t ended; /* one of them has ended */
    uint32_t threads;
};

struct dx_server;

/* What a server does with streams: stream_serve.c. */
struct dx_streaming {
    /* Takes up a request that says it is a stream; true if it is. */
    bool (*begin)(struct dx_server *server, uint32_t slot, uint64_t word, uint32_t type,
                  size_t request_ring);
    /* Is this slot's stream going on? Then its caller's word is the stream's to judge. */
    bool (*goes_on)(const struct dx_server *server, uint32_t slot);
    /* Enters the handlers of active streams that have news; true if there was one. */
    bool (*round)(struct dx_server *server);
    /* Has an active stream news? */
    bool (*look)(const struct dx_server *server);
    /* Ends all active streams: their handlers are entered a last time. */
    void (*end)(struct dx_server *server, dx_status why);
};
extern const struct dx_streaming dx_streaming;

/* A request that is in its handler. */
struct dx_entered {
    struct dx_request request; /* first: what the handler is given leads here */
    struct dx_server *server;
    uint64_t word; /* the caller's */
};

static inline const struct dx_entered *dx_entered_of(const struct dx_request *request)
{
    return (const struct dx_entered *)(const void *)request;
}

struct dx_server {
    struct dx_channel *channel;
    dx_handler handler;
    void *user;
    struct dx_later *later;   /* NULL: a binding serves */
    bool kept;                /* the handler has called dx_answer_later */
    struct dx_stream *active; /* streams whose handler is to be entered again */
    uint32_t flags;
    uint32_t first;  /* our first slot */
    uint32_t stride; /* distance between ours */
    uint32_t base;   /* first slot of the calling side */
    uint32_t count;  /* slots of the calling side */
    uint32_t recent; /* the slot of ours that called last */
    uint64_t *seen;  /* per slot of the calling side: the caller's latest word that we took up */
    dx_stream_handler stream;             /* NULL: none are taken */
    const struct dx_streaming *streaming; /* NULL with `stream` */
    struct dx_stream *streams;            /* one per slot of the calling side; NULL with `stream` */
    void *copy;                           /* DX_SERVE_COPY: room for one request; else NULL */
    struct dx_worker *worker;
    struct dx_pool *pool; /* all end together */
    uint32_t cell;
    struct dx_waiter waiter;
    struct dx_recorder handlers;
    uint64_t began; /* ticks; of a request whose handler is measured */
    bool measured;
    uint32_t answered[DX_BATCH]; /* slots */
    uint32_t answered_count;
    dx_status status; /* why it ended */
    bool returned;    /* it has ended, and no handler ended its thread */
    /* Of dx_server_open alone. */
    struct dx_serving *serving;
    struct dx_notifier *notifier; /* NULL until a descriptor is asked for */
    _Atomic uint32_t entered;     /* a thread is in one of its functions */
    int64_t checked_ns;           /* when the other side was looked at last */
    struct dx_server_set *set;    /* what dx_servers_wait keeps; of its first server */
};

/* Takes over slots first, first + stride, ... (of `count` from `base`) from whoever served them
 * before, and says to callers whom to ring. */
void dx_server_begin(struct dx_server *server);

/* Serves until stopped or until the other side is gone; returns why, or DX_OK if another server
 * of the pool ended first. */
dx_status dx_server_run(struct dx_server *server);

/* Serves what is there once; if nothing is, waits for news. DX_OK, DX_ERR_TIMEOUT, or why it ends.
 */
dx_status dx_server_step(struct dx_server *server, int64_t timeout_ns);

/* Ends the handlers of streams, and tells the others of the pool; `status` as of dx_server_run. */
void dx_server_finish(struct dx_server *server, dx_status status);

/* For waits: is there news; does it make sense to wait? */
bool dx_server_look(void *server);
dx_status dx_server_check(void *server);

/* serve.c, for streams: stores an answer and publishes it; rings whoever waits for one. */
void dx_server_answer(struct dx_server *server, uint32_t slot, uint64_t word, enum dx_result result,
                      int32_t status);
void dx_server_ring_answered(struct dx_server *server);
bool dx_server_ended(const struct dx_server *server);
void dx_server_journal(struct dx_server *server, uint32_t slot, uint64_t word);

/* Ends all servers of the pool. Any thread. */
void dx_server_end_all(struct dx_server *server);

/* For a server whose handler has left otherwise than by its return: answers what it has not
 * answered with DX_RESULT_LOST, enters no handler, and ends all servers of the pool. */
void dx_server_leave(struct dx_server *server);

/* Tells callers that nobody serves, so that they ring nobody. */
void dx_server_end(struct dx_server *server);

#endif
