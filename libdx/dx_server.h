/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/**
 * @file
 * Serving in steps: in an event loop, and many channels by one thread.
 *
 * dx_serve() keeps its thread. A struct dx_server does the same in steps that do not block, and has
 * a descriptor for epoll, poll, libuv, Qt and their kin.
 *
 * @code
 *   struct dx_server *server;
 *   dx_server_open(channel, handler, user, NULL, &server);
 *   struct epoll_event event = {.events = EPOLLIN, .data.ptr = server};
 *   epoll_ctl(loop, EPOLL_CTL_ADD, dx_server_fd(server), &event);
 *   ...
 *   // when the descriptor is readable:
 *   dx_status status = dx_server_poll(server, 0);
 *   if (status != DX_OK && status != DX_ERR_TIMEOUT)
 *       dx_server_close(server);               // stopped, or the other side has ended
 * @endcode
 *
 * The contract of the descriptor:
 *
 *   - It is level-triggered: it stays readable until dx_server_poll() finds nothing new and returns
 *     DX_ERR_TIMEOUT. One dx_server_poll() for each time that the loop says "readable" is enough.
 *     With EPOLLET, call dx_server_poll() until it returns DX_ERR_TIMEOUT.
 *   - It is readable at first. dx_server_poll() must have returned DX_ERR_TIMEOUT once before the
 *     loop waits for it.
 *   - It can be readable although there is nothing new.
 *   - It becomes readable, too, when the channel is stopped or the other side ends, and stays so
 *     until dx_server_close().
 *   - Only watch it: never read it, write it or close it.
 *   - Where nobody can wake this side (DX_PARK_POLL and DX_PARK_NEVER, and a VM without a
 *     doorbell), it becomes readable every poll_ns of the wait strategy.
 *
 * A thread of the library sleeps for each descriptor. A call that finds the program asleep takes
 * two wake-ups more than with dx_serve(): 27 us in place of 21 (docs/measurements/serving.md).
 *
 * One thread can serve many channels: by an event loop, or by dx_servers_wait(), which also spins.
 * A pool of threads does so with some of the servers each. A server is used by one thread at a
 * time, which may change.
 */
/* clang-format on */
#ifndef DX_SERVER_H
#define DX_SERVER_H

#include <stdint.h>

#include "dx_serve.h"

DX_BEGIN_DECLS

struct dx_server;

/**
 * Begins to serve a channel in steps.
 *
 * @param channel   the channel to serve
 * @param handler   what answers a call
 * @param user      any pointer; the handlers get it
 * @param options   as for dx_serve(), with 0 or 1 threads; may be NULL
 * @param[out] out  set to the server, which the program owns until dx_server_close(); NULL on
 *                  failure
 *
 * @retval DX_ERR_INVALID  options are wrong, or the other side has no slots to call on
 * @retval DX_ERR_BUSY     the channel is being served already
 * @retval DX_ERR_SYSTEM   there is no memory
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_server_open(struct dx_channel *channel, dx_handler handler, void *user,
                                const struct dx_serve_options *options, struct dx_server **out);

/**
 * Answers the requests that are there, or waits for some.
 *
 * It enters at most one handler for each slot, so that the program gets its turn. After DX_OK there
 * may be more to do. Once it has returned another error than DX_ERR_TIMEOUT or DX_ERR_BUSY, it
 * returns that error for ever.
 *
 * A handler may leave by an exception, pthread_exit or pthread_cancel, as with dx_serve(): its
 * request is answered with DX_ERR_LOST, and the server has ended (DX_ERR_LOST). A handler must not
 * leave by longjmp.
 *
 * @param server      the server
 * @param timeout_ns  how long to wait if there is nothing, by the channel's wait strategy, in ns;
 *                    0 does not wait, DX_FOREVER waits without limit
 *
 * @retval DX_OK                something was new
 * @retval DX_ERR_TIMEOUT       nothing was new
 * @retval DX_ERR_STOPPED       dx_stop() was called
 * @retval DX_ERR_PEER_CLOSED   the other side called dx_close()
 * @retval DX_ERR_PEER_DEAD     the other side died; not with DX_SERVE_THROUGH_RESTART
 * @retval DX_ERR_LOST          a handler ended its thread
 * @retval DX_ERR_BUSY          a function of this server runs, perhaps below us
 * @retval DX_ERR_GUEST_EXISTS  this guest's place was given to another
 * @retval DX_ERR_NAME_REMOVED  nobody can come
 * @retval DX_ERR_FORKED        another process opened the channel
 *
 * @threads One thread at a time. Blocks only if timeout_ns is not 0, and in handlers.
 */
DX_API dx_status dx_server_poll(struct dx_server *server, int64_t timeout_ns);

/**
 * Returns a descriptor that becomes readable when there is something to do.
 *
 * @param server  the server
 *
 * @return The descriptor, which belongs to the server; the same in each call. -1 if it cannot be
 *         made (descriptors or threads have run out; dx_last_error() says which)
 *
 * @threads The thread that uses the server. Never blocks.
 */
DX_API int dx_server_fd(struct dx_server *server);

/**
 * Ends a server. The channel can be served again, and closed.
 *
 * Streams that go on are ended: their handlers are entered a last time. What is answered later
 * stays pending, see dx_answer.h.
 *
 * @param server  the server; NULL is allowed
 *
 * @retval DX_OK        it has ended
 * @retval DX_ERR_BUSY  a function of this server runs, perhaps below us: nothing has happened
 *
 * @threads One thread.
 */
DX_API dx_status dx_server_close(struct dx_server *server);

/**
 * Serves many channels in one thread: dx_server_poll() for each of them in turn.
 *
 * It spins by the wait strategy of the first server's channel, then sleeps until one of them has
 * news. A server that has ended says so once in each call, so that the program takes it out.
 *
 * @param servers     the servers
 * @param count       how many there are, at least 1
 * @param timeout_ns  how long to wait if there is nothing, in ns; 0 does not wait, DX_FOREVER waits
 *                    without limit
 * @param[out] which  set to the index of the server that has ended, if one has
 *
 * @retval DX_OK           something was new
 * @retval DX_ERR_TIMEOUT  nothing was new
 * @retval DX_ERR_INVALID  count is 0
 * @retval DX_ERR_BUSY     a function of one of them runs, or one is there twice; *which is not set
 * @retval DX_ERR_SYSTEM   there is no memory, no descriptor or no thread to sleep
 *
 * @return Another error is of server *which, as dx_server_poll() says
 *
 * @threads One thread at a time, of each server. Blocks.
 */
DX_API dx_status dx_servers_wait(struct dx_server *const *servers, uint32_t count,
                                 int64_t timeout_ns, uint32_t *which);

DX_END_DECLS

#endif
