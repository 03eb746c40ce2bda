/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Serving: answer the calls of the other side.
 *
 * One thread answers all slots in turn, or a pool of threads shares them out: thread k of n serves
 * the slots whose number is k modulo n. One thread is the fastest while handlers are short. In a
 * pool a slow handler does not delay the callers of other threads.
 *
 * A call waits for the thread of its slot, even if all other threads are idle. With 4 threads, a
 * slow handler of slot 0 delays the callers of slots 4, 8, 12 and so on. dx_caller_open() chooses
 * the slot (the first free one), so slot numbers cannot keep slow and fast callers apart. Give each
 * kind a channel of its own. In Go, idle workers take such calls.
 */
#ifndef DX_SERVE_H
#define DX_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include "dx_channel.h"
#include "dx_status.h"

DX_BEGIN_DECLS

/** How many threads one dx_serve() can have. */
#define DX_SERVE_THREADS_MAX 16u

/**
 * A request.
 *
 * The data is valid until the handler returns. It lies in the region, where a hostile caller can
 * change it meanwhile. With DX_SERVE_COPY it is a private copy.
 */
struct dx_request {
    const void *data; /**< the request's bytes */
    size_t bytes;     /**< how many there are */
    uint32_t type;    /**< DX_TYPE_USER ... DX_TYPE_MAX */
    uint32_t slot;    /**< the number of the caller's slot */
};

/**
 * The response, which the handler fills.
 *
 * It fills data[0 ... bytes). If bytes is more than capacity, the caller gets
 * DX_ERR_RESPONSE_TOO_LARGE; nothing is cut.
 */
struct dx_response {
    void *data;      /**< where the response is written, in the region */
    size_t capacity; /**< how many bytes there is room for */
    size_t bytes;    /**< how long the response is; 0 when the handler is entered */
};

/**
 * A handler of calls.
 *
 * It runs on a serving thread. It may use other channels, and may call dx_stop(). It must not close
 * this channel (DX_ERR_BUSY) or serve it.
 *
 * A handler can leave in other ways than by its return. What follows also holds for handlers of
 * streams.
 *
 *   - By an exception. On the thread that called dx_serve(), it passes through dx_serve() and can
 *     be caught there. On another thread of a pool nobody can catch it: the process ends by
 *     std::terminate, as with every std::thread. libdx must be built with -fexceptions, as its
 *     CMake build is where the C library allows it.
 *   - By pthread_exit, or by pthread_cancel (deferred, not asynchronous). The thread ends. If it is
 *     another thread of a pool, the whole pool ends and dx_serve() returns DX_ERR_LOST. A serving
 *     thread can be cancelled where its handler can, and between two sleeps in which it waits for
 *     requests, at most 1 s apart.
 *   - By longjmp, from the handler's own code to a place in the thread that called dx_serve(). No
 *     code of libdx runs at that time. The channel stays as it is, and the other threads of the
 *     pool go on, until dx_serve() or dx_close() is called for this channel by the same thread, or
 *     by another one after that thread has ended. This call then cleans up first. It returns
 *     DX_ERR_BUSY if it cannot tell that the jump has happened: on a coroutine's stack, or if it
 *     runs deeper in the stack than dx_serve() did and nothing has been written to where the frame
 *     of dx_serve() was.
 *
 * In each case, the request in the handler and every open stream of the thread are answered with
 * DX_ERR_LOST at once. No request is handled twice, and the handlers of that thread's other streams
 * are not entered again. The unwinding waits until the handlers of the pool's other threads have
 * returned, and these threads end. After that the channel can be served again and closed. A signal
 * handler must not jump out of dx_serve().
 *
 * @param user              the pointer that dx_serve() was given
 * @param request           the request
 * @param[in,out] response  the response
 *
 * @return The status that the caller sees, which may be any number
 */
typedef int32_t (*dx_handler)(void *user, const struct dx_request *request,
                              struct dx_response *response);

struct dx_stream;

/**
 * A handler of streams.
 *
 * It is entered when a stream begins. It works in one of two ways:
 *
 *   - It blocks: it reads and writes with timeouts and returns the status that the caller gets.
 *     Meanwhile the other slots of this serving thread wait. Other threads of a pool go on.
 *   - It returns DX_STREAM_AGAIN(events), after each chunk or when a function returned
 *     DX_ERR_TIMEOUT. It is entered again for the same stream when one of these events holds. So
 *     one thread serves the streams of all slots at once. dx_stream_set_user() keeps what the
 *     handler needs, such as the part that came before DX_ERR_TIMEOUT.
 *
 * When a stream fails (DX_ERR_CANCELLED, DX_ERR_PEER_DEAD, DX_ERR_PEER_CLOSED, DX_ERR_STOPPED,
 * DX_ERR_CORRUPT), the handler is entered once more. Every function returns that error, and the
 * handler's return ends the stream. The return also finishes what the handler wrote and drops what
 * it has not read.
 *
 * @param user    the pointer that dx_serve() was given
 * @param stream  the stream, until the handler's return ends it
 *
 * @return The status that the caller sees, or DX_STREAM_AGAIN(events)
 */
typedef int32_t (*dx_stream_handler)(void *user, struct dx_stream *stream);

/** How to serve. */
enum dx_serve_flag {
    DX_SERVE_COPY = 1,            /**< give each handler a private copy of the request */
    DX_SERVE_THROUGH_RESTART = 2, /**< go on after the other side dies: a new one may come */
};

/** Options of dx_serve(). All zero is one thread, without streams. */
struct dx_serve_options {
    uint32_t threads; /**< 0 or 1: the calling thread; up to DX_SERVE_THREADS_MAX */
    uint32_t flags;   /**< a sum of enum dx_serve_flag */
    /** The handler of streams. NULL refuses streams (DX_ERR_TYPE). */
    dx_stream_handler stream;
    uint64_t reserved[6]; /**< must be zero; room for later versions */
};

/**
 * Answers calls until dx_stop(), or until the other side closes or dies.
 *
 * It starts and joins the threads of a pool; these block all signals.
 *
 * How soon it notices a death:
 * @code{.unparsed}
 *   on unix:                  at once
 *   while calls come          within 20 ms
 *   in an idle server         within a second
 *   under another kernel      when the peer has been silent for
 *                             peer_timeout_ns, and a second more
 * @endcode
 *
 * @param channel  the channel to serve
 * @param handler  what answers a call
 * @param user     any pointer; the handlers get it
 * @param options  how to serve; may be NULL
 *
 * @retval DX_ERR_STOPPED       dx_stop() was called
 * @retval DX_ERR_PEER_CLOSED   the other side called dx_close()
 * @retval DX_ERR_PEER_DEAD     the other side died; not with DX_SERVE_THROUGH_RESTART
 * @retval DX_ERR_LOST          a handler ended its thread
 * @retval DX_ERR_BUSY          a dx_serve() runs
 * @retval DX_ERR_INVALID       options are wrong, or the other side has no slots to call on
 * @retval DX_ERR_SYSTEM        there is no memory or no thread
 * @retval DX_ERR_GUEST_EXISTS  this guest's place was given to another
 * @retval DX_ERR_NAME_REMOVED  nobody can come
 * @retval DX_ERR_FORKED        another process opened the channel
 *
 * @threads Any thread, but one dx_serve() per channel at a time. Blocks.
 */
DX_API dx_status dx_serve(struct dx_channel *channel, dx_handler handler, void *user,
                          const struct dx_serve_options *options);

DX_END_DECLS

#endif
