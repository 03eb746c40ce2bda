/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving: one thread answers all slots in turn, or a pool of threads shares them out (thread k of
 * n serves the slots whose number is k modulo n). One thread is the fastest as long as handlers
 * are short; a pool keeps one slow handler from delaying the callers of other threads.
 *
 * A call waits for the thread of its slot, even if all other threads are idle: with 4 threads, a
 * slow handler of slot 0 delays the callers of slots 4, 8, 12 and so on. The callers' side chooses
 * the slots (dx_caller_open gives the first free one), so that slow and fast callers cannot be kept
 * apart by their numbers; give each kind a channel of its own. In Go idle workers take such calls.
 */
#ifndef DX_SERVE_H
#define DX_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

#define DX_SERVE_THREADS_MAX 16u

/* One request. `data` is valid until the handler returns. It lies in the region, where a hostile
 * host can change it meanwhile, unless DX_SERVE_COPY is set. */
struct dx_request {
    const void *data;
    size_t bytes;
    uint32_t type; /* DX_TYPE_USER ... DX_TYPE_MAX */
    uint32_t slot;
};

/* The response: fill data[0 ... bytes). More than capacity is reported to the caller as
 * DX_ERR_RESPONSE_TOO_LARGE, never cut. */
struct dx_response {
    void *data;
    size_t capacity;
    size_t bytes; /* 0 when the handler is entered */
};

/*
 * Returns the status that the caller sees; any value. Runs on a serving thread. It may use other
 * channels, and may call dx_stop; it must not close this one (DX_ERR_BUSY), or serve it.
 *
 * A handler can leave otherwise than by its return. This holds for handlers of streams as well:
 *
 *   exception     On the thread that called dx_serve it passes through dx_serve and can be caught
 *                 behind it. On another thread of a pool nobody can catch it: the process ends by
 *                 std::terminate, as with every std::thread. libdx must be built with -fexceptions,
 *                 as its CMake build is where the C library allows it.
 *   pthread_exit, pthread_cancel (deferred, not asynchronous)
 *                 The thread ends. If it is another thread of a pool, the whole pool ends, and
 *                 dx_serve returns DX_ERR_LOST. A serving thread is cancelled where its handler can
 *                 be, and between two sleeps in which it waits for requests, 1 s at most.
 *   longjmp       Out of the handler's own code, to a place in the thread that called dx_serve.
 *                 Nothing of libdx runs then: the channel stays as it is, and other threads of the
 *                 pool go on, until the same thread calls dx_serve or dx_close for this channel, or
 *                 has ended and another thread does. These first do what follows. They return
 *                 DX_ERR_BUSY if they cannot tell that the jump has happened: on a coroutine's
 *                 stack, or if they are called from deeper in the stack than dx_serve was, and
 *                 nothing has been written where its frame lay.
 *
 * In each case the request that was being handled, and every stream of the thread that was open, is
 * answered with DX_ERR_LOST at once, no request is handled twice, and the handlers of the other
 * streams of that thread are not entered again. The other threads of the pool end when their
 * handlers have returned, for which the unwinding waits. After that the channel can be served again
 * and closed. A signal handler must not jump out of dx_serve.
 */
typedef int32_t (*dx_handler)(void *user, const struct dx_request *request,
                              struct dx_response *response);

/* A handler of streams: see dx_stream.h. */
struct dx_stream;
typedef int32_t (*dx_stream_handler)(void *user, struct dx_stream *stream);

enum dx_serve_flag {
    DX_SERVE_COPY = 1,            /* hand each handler a private copy of the request */
    DX_SERVE_THROUGH_RESTART = 2, /* go on when the other side dies: a new one takes over */
};

struct dx_serve_options {
    uint32_t threads; /* 0 or 1: the calling thread; up to DX_SERVE_THREADS_MAX */
    uint32_t flags;   /* enum dx_serve_flag */
    /* NULL: streams are refused (DX_ERR_TYPE). `user` is dx_serve's. */
    dx_stream_handler stream;
};

/*
 * Answers calls until dx_stop (DX_ERR_STOPPED), or until the other side closes
 * (DX_ERR_PEER_CLOSED) or dies (DX_ERR_PEER_DEAD). A death is noticed within 20 ms while calls
 * come, and within a second by a server that was idle; at a rendezvous at once; of a peer under
 * another kernel when it has been silent for silence_ns and a second more. options may be NULL.
 * Blocks; one dx_serve per channel at a time (DX_ERR_BUSY). DX_ERR_LOST: see dx_handler. Threads of
 * a pool are started and joined here; they block all signals.
 */
DX_API dx_status dx_serve(struct dx_channel *channel, dx_handler handler, void *user,
                          const struct dx_serve_options *options);

DX_END_DECLS

#endif
