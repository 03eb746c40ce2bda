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
    uint32_t cell;
    struct dx_waiter waiter;
    uint32_t answered[DX_BATCH]; /* slots */
    uint32_t answered_count;
    dx_status status; /* why it ended */
};

/* Takes over slots first, first + stride, ... (of `count` from `base`) from whoever served them
 * before, and says to callers whom to ring. */
void dx_server_begin(struct dx_server *server);

/* Serves until stopped or until the other side is gone; returns why. */
dx_status dx_server_run(struct dx_server *server);

/* Tells callers that nobody is to be rung. */
void dx_server_end(struct dx_server *server);

#endif
