/* SPDX-License-Identifier: Apache-2.0 */
/* One serving thread: the slots that are its, what it has seen there, and whom it has yet to
 * ring. */
#ifndef DX_SERVE_PRIVATE_H
#define DX_SERVE_PRIVATE_H

#include "channel.h"
#include "dx_caller.h"
#include "dx_serve.h"

/* Answers after which their callers' parked flags are looked at, behind one common fence. */
#define DX_BATCH 64u

/* What the serving threads of one dx_serve share. */
struct dx_pool {
    _Atomic uint32_t ended; /* one of them has ended */
    uint32_t threads;
};

struct dx_server {
    struct dx_channel *channel;
    dx_handler handler;
    void *user;
    uint32_t flags;
    uint32_t first;  /* our first slot */
    uint32_t stride; /* distance between ours */
    uint32_t base;   /* first slot of the calling side */
    uint32_t count;  /* slots of the calling side */
    uint64_t *seen;  /* per slot of the calling side: the caller's latest word that we took up */
    void *copy;      /* DX_SERVE_COPY: room for one request; else NULL */
    struct dx_worker *worker;
    struct dx_pool *pool; /* all end together */
    uint32_t cell;
    struct dx_waiter waiter;
    uint32_t answered[DX_BATCH]; /* slots */
    uint32_t answered_count;
    dx_status status; /* why it ended */
};

/* Takes over slots first, first + stride, ... (of `count` from `base`) from whoever served them
 * before, and says to callers whom to ring. */
void dx_server_begin(struct dx_server *server);

/* Serves until stopped or until the other side is gone; returns why, or DX_OK if another server
 * of the pool ended first. */
dx_status dx_server_run(struct dx_server *server);

/* Ends all servers of the pool. Any thread. */
void dx_server_end_all(struct dx_server *server);

/* Tells callers that nobody is to be rung. */
void dx_server_end(struct dx_server *server);

#endif
