/* SPDX-License-Identifier: Apache-2.0 */
/* One run of dx_serve: all that its threads use lies here and not on the stack of the caller, since
 * a handler can leave that stack by longjmp while other threads of the pool go on. */
#ifndef DX_SERVING_H
#define DX_SERVING_H

#include <pthread.h>
#include <sys/types.h>

#include "serve.h"

#define DX_SEAL_WORDS 32

/* Where dx_serve was entered, by which its end is noticed if it never returns. */
struct dx_entry {
    pid_t process;
    pthread_t thread;
    pthread_mutex_t alive; /* robust, held by that thread: who asks is told if it has ended */
    /* In the frame of dx_serve: words that nobody else writes for as long as that frame lives. */
    const volatile uint64_t *seal;
};

struct dx_serving {
    struct dx_channel *channel;
    struct dx_pool pool;
    uint64_t *seen;            /* of each slot, shared out among the servers as the slots are */
    struct dx_stream *streams; /* of each slot; NULL if none are taken */
    struct dx_server *servers[DX_SERVE_THREADS_MAX];
    pthread_t threads[DX_SERVE_THREADS_MAX]; /* of servers 1, 2, ... */
    uint32_t started;                        /* of these */
    bool begun;                              /* the slots have been taken over */
    bool entered;                            /* by dx_serve: the entry is in use */
    struct dx_entry entry;
};

/* serve_pool.c: makes a run and reserves the channel for it; dx_serving_end must follow. */
dx_status dx_serving_begin(struct dx_channel *channel, dx_handler handler, void *user,
                           const struct dx_serve_options *options, struct dx_serving **out);

/* serve_pool.c: takes over the slots from whoever served them before. */
void dx_serving_take_over(struct dx_serving *serving);

/* serve_pool.c: ends a run however it came to that: answers what a handler has left, joins the
 * threads, frees all. The channel can be served again. */
void dx_serving_end(struct dx_serving *serving);

/* serving.c: writes a seal of DX_SEAL_WORDS words, and says where the calling thread has it; the
 * end of that, by the same thread or by one to which dx_serving_mend gave it. */
void dx_entry_seal(struct dx_entry *entry, volatile uint64_t *seal);
void dx_entry_end(struct dx_entry *entry);

/* AddressSanitizer marks what lies between the variables of a frame, and takes the marks of a frame
 * back when that returns. Takes those back that the frames left which did not return. */
void dx_serving_unmark(void);

/* A run of dx_serve that a handler has left by longjmp, or NULL; nobody else gets it. */
struct dx_serving *dx_serving_take_left(struct dx_channel *channel);

/* serve_pool.c: ends such a run; true if there was one. */
bool dx_serving_mend(struct dx_channel *channel);

#endif
