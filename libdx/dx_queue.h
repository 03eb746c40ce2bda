/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/**
 * @file
 * Queues: one thread keeps many calls in flight.
 *
 * A struct dx_queue holds several slots. Each call that is submitted takes one of them and has a
 * tag, a number of the program's choice. Completions come in any order. Each call has exactly one
 * completion, with its tag, also when its deadline passes or the peer ends.
 *
 * @code
 *   struct dx_queue *queue;
 *   struct dx_completion done[32];
 *   uint32_t count;
 *   dx_queue_open(channel, 32, &queue);
 *   for (uint64_t tag = 0; tag < 32; tag++)
 *       dx_queue_submit(queue, tag, DX_TYPE_USER, requests[tag], bytes, timeout_ns);
 *   while (dx_queue_wait(queue, 1, timeout_ns, done, 32, &count) == DX_OK && count != 0)
 *       for (uint32_t i = 0; i < count; i++) {
 *           use(done[i].tag, done[i].data, done[i].bytes);
 *           dx_queue_seen(queue, &done[i]);
 *       }
 * @endcode
 *
 * One thread at a time may use a queue, its owner may change. A thread that comes while another one
 * is in a function of the queue gets DX_ERR_BUSY.
 *
 * A submission stores the request where a server that spins sees it. dx_queue_flush() wakes servers
 * that sleep: one memory fence, and one ring for each serving thread, for all submissions since the
 * last flush. dx_queue_poll(), dx_queue_wait() and dx_queue_cancel() flush first. What is submitted
 * before a server has looked at its slot for the first time is sent by a later one of these calls.
 */
/* clang-format on */
#ifndef DX_QUEUE_H
#define DX_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "dx_caller.h"

DX_BEGIN_DECLS

struct dx_queue;

/**
 * How a call ended.
 *
 * The response lies in the region. It is valid until dx_queue_seen() or dx_queue_close(). The other
 * side can still write there: copy it before you check what you do not trust.
 */
struct dx_completion {
    uint64_t tag;         /**< of the submission */
    const void *data;     /**< where the response lies; NULL unless result is DX_OK */
    size_t bytes;         /**< how long it is */
    dx_status result;     /**< DX_OK, or an error of the table of dx_call() */
    int32_t status;       /**< the handler's return value */
    uint64_t reserved[2]; /**< of the library */
};

/** How far a call has come. */
enum dx_progress {
    DX_PROGRESS_NONE = 0,     /**< no call with this tag is in flight */
    DX_PROGRESS_SENT = 1,     /**< it was submitted; a handler may have begun it */
    DX_PROGRESS_TAKEN_UP = 2, /**< the handler has taken it up, and answers later */
    DX_PROGRESS_ENDED = 3,    /**< its completion is there */
};

/**
 * Takes free slots and makes a queue of them.
 *
 * @param channel   the channel to call on
 * @param depth     how many slots, which is how many calls can be in flight: 1 ...
 *                  dx_channel_slots()
 * @param[out] out  set to the queue, which the program owns until dx_queue_close(); NULL on failure
 *
 * @retval DX_ERR_INVALID  depth is 0
 * @retval DX_ERR_NO_SLOT  so many slots are not free, or this side has none
 * @retval DX_ERR_STOPPED  the channel was stopped
 * @retval DX_ERR_FORKED   another process opened the channel
 * @retval DX_ERR_SYSTEM   there is no memory
 *
 * @threads Any thread, several at once. Never blocks.
 */
DX_API dx_status dx_queue_open(struct dx_channel *channel, uint32_t depth, struct dx_queue **out);

/**
 * Gives up what is in flight, gives the slots back, and frees the queue.
 *
 * There is no completion for the calls that are given up. A handler that has begun one goes on.
 *
 * @param queue  the queue; NULL is allowed
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API void dx_queue_close(struct dx_queue *queue);

/**
 * Submits a call, with a copy of the request.
 *
 * A call that is submitted while there is no peer waits for one until its deadline. Its result is
 * then DX_ERR_NO_PEER. A call whose peer ends before it has looked at the slot waits for the next
 * peer, too.
 *
 * @param queue       the queue
 * @param tag         any number that no other call in flight has
 * @param type        what the request is, as for dx_call()
 * @param request     the request; NULL is allowed if bytes is 0
 * @param bytes       its size, 0 ... dx_channel_request_capacity()
 * @param timeout_ns  greater than 0, in ns, or DX_FOREVER. It is counted from the next
 *                    dx_queue_poll() that finds nothing, or from the end of the first spin phase of
 *                    the next dx_queue_wait(), so that a call that is answered at once reads no
 *                    clock
 *
 * @retval DX_ERR_NO_SLOT            all slots of the queue are in use. The text says whether by
 *                                   calls in flight, by completions that were not given back, or
 *                                   by calls that were given up and may still run, for which
 *                                   dx_queue_wait_slot() waits
 * @retval DX_ERR_INVALID            a call with this tag is in flight, or timeout_ns is 0
 * @retval DX_ERR_REQUEST_TOO_LARGE  the request exceeds the slot
 * @retval DX_ERR_TYPE               users may not send this type
 * @retval DX_ERR_STOPPED            the channel was stopped
 * @retval DX_ERR_BUSY               another thread is in a function of this queue
 * @retval DX_ERR_FORKED             another process opened the channel
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API dx_status dx_queue_submit(struct dx_queue *queue, uint64_t tag, uint32_t type,
                                 const void *request, size_t bytes, int64_t timeout_ns);

/**
 * Returns the memory in which the next request is built.
 *
 * @param queue  the queue
 *
 * @return dx_channel_request_capacity() bytes, aligned to 64, until the next submission. NULL if
 *         dx_queue_submit() would return DX_ERR_NO_SLOT, DX_ERR_BUSY or DX_ERR_FORKED
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API void *dx_queue_request(struct dx_queue *queue);

/**
 * Submits a call whose request was built in dx_queue_request().
 *
 * @param queue       the queue
 * @param tag         as for dx_queue_submit()
 * @param type        as for dx_queue_submit()
 * @param bytes       how many bytes of dx_queue_request() are sent
 * @param timeout_ns  as for dx_queue_submit()
 *
 * @return As dx_queue_submit()
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API dx_status dx_queue_submit_in_place(struct dx_queue *queue, uint64_t tag, uint32_t type,
                                          size_t bytes, int64_t timeout_ns);

/**
 * Wakes the servers that sleep, for all that was submitted since the last flush.
 *
 * @param queue  the queue
 *
 * @retval DX_ERR_BUSY    another thread is in a function of this queue
 * @retval DX_ERR_FORKED  another process opened the channel
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API dx_status dx_queue_flush(struct dx_queue *queue);

/**
 * Returns the completions that are there.
 *
 * @param queue       the queue
 * @param[out] done   room for completions
 * @param room        how many fit, at least 1
 * @param[out] count  set to how many there are, 0 ... room
 *
 * @retval DX_ERR_BUSY    another thread is in a function of this queue
 * @retval DX_ERR_FORKED  another process opened the channel
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API dx_status dx_queue_poll(struct dx_queue *queue, struct dx_completion *done, uint32_t room,
                               uint32_t *count);

/**
 * Returns a descriptor that becomes readable when there may be completions.
 *
 * It is for event loops: epoll, poll, libuv, Qt and their kin. Its contract is that of
 * dx_server_fd() in dx_server.h, with dx_queue_poll() in place of dx_server_poll():
 *
 *   - It is level-triggered, and readable at first. It stays readable until dx_queue_poll() finds
 *     no completion. Call dx_queue_poll() once each time that the loop says "readable".
 *   - It can be readable although there is no completion: also after dx_queue_flush(), so that the
 *     deadlines of what was submitted are noticed.
 *   - It becomes readable for deadlines, for the end of the other side and for dx_stop(), too.
 *
 * Call dx_queue_flush() after the submissions of each turn of the loop.
 *
 * @param queue  the queue
 *
 * @return The descriptor, which belongs to the queue; the same in each call. -1 if it cannot be
 *         made, or if another thread is in a function of this queue; dx_last_error() says why
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API int dx_queue_fd(struct dx_queue *queue);

/**
 * Waits for completions, as the channel's wait strategy says.
 *
 * It returns when `least` completions are there. If fewer calls are in flight, it waits for those,
 * and if none is, it returns at once.
 *
 * @param queue       the queue
 * @param least       how many completions to wait for, 1 ... room
 * @param timeout_ns  0 or more, in ns, or DX_FOREVER
 * @param[out] done   room for completions
 * @param room        how many fit
 * @param[out] count  set to how many there are, whatever is returned
 *
 * @retval DX_ERR_TIMEOUT  the time passed before. *count may be greater than 0
 * @retval DX_ERR_INVALID  least is 0 or greater than room
 * @retval DX_ERR_BUSY     another thread is in a function of this queue
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads The thread that uses the queue. Blocks.
 */
DX_API dx_status dx_queue_wait(struct dx_queue *queue, uint32_t least, int64_t timeout_ns,
                               struct dx_completion *done, uint32_t room, uint32_t *count);

/**
 * Waits until dx_queue_submit() finds a slot, while the server has not let go of calls that were
 * given up.
 *
 * @param queue       the queue
 * @param timeout_ns  0 or more, in ns, or DX_FOREVER
 *
 * @retval DX_ERR_NO_SLOT       all slots are in use by calls in flight, or by completions that
 *                              were not given back
 * @retval DX_ERR_TIMEOUT       the time passed before
 * @retval DX_ERR_NO_PEER       the time passed before, and there is no peer that could let go
 * @retval DX_ERR_PEER_CLOSED   the other side called dx_close(). It is told once
 * @retval DX_ERR_PEER_DEAD     the other side died. It is told once
 * @retval DX_ERR_STOPPED       the channel was stopped
 * @retval DX_ERR_GUEST_EXISTS  this guest's place was given to another
 * @retval DX_ERR_NAME_REMOVED  nobody can come
 * @retval DX_ERR_BUSY          another thread is in a function of this queue
 * @retval DX_ERR_FORKED        another process opened the channel
 *
 * @threads The thread that uses the queue. Blocks.
 */
DX_API dx_status dx_queue_wait_slot(struct dx_queue *queue, int64_t timeout_ns);

/**
 * Gives the slot of a completion back to the queue. The response must not be read afterwards.
 *
 * @param queue       the queue
 * @param completion  what dx_queue_poll() or dx_queue_wait() returned
 *
 * @retval DX_ERR_INVALID  it is no completion of this queue, or was given back before
 * @retval DX_ERR_BUSY     another thread is in a function of this queue
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API dx_status dx_queue_seen(struct dx_queue *queue, const struct dx_completion *completion);

/**
 * Gives a call up.
 *
 * The call completes at the next dx_queue_poll(). Its result is DX_ERR_CANCELLED, or what the
 * server has answered by now. A handler that has not begun is not entered. After
 * DX_PROGRESS_TAKEN_UP the server is told, and its slot is in use until the server has let go of
 * it.
 *
 * @param queue  the queue
 * @param tag    the tag of the call
 *
 * @retval DX_ERR_INVALID  no call with this tag is in flight
 * @retval DX_ERR_BUSY     another thread is in a function of this queue
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API dx_status dx_queue_cancel(struct dx_queue *queue, uint64_t tag);

/**
 * Returns how far a call has come.
 *
 * @param queue  the queue
 * @param tag    the tag of the call
 *
 * @return DX_PROGRESS_NONE also in the child of a fork
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API enum dx_progress dx_queue_progress(const struct dx_queue *queue, uint64_t tag);

/**
 * Flushes, then waits until a call has come so far.
 *
 * After DX_PROGRESS_TAKEN_UP a cancel can no longer keep the handler from running. A handler that
 * answers by its return goes to DX_PROGRESS_ENDED at once: the server says that it has taken up a
 * request only if it answers later (dx_answer_later()).
 *
 * @param queue          the queue
 * @param tag            the tag of the call
 * @param least          DX_PROGRESS_TAKEN_UP or DX_PROGRESS_ENDED
 * @param timeout_ns     how long to wait, in ns; DX_FOREVER waits without limit. The call's own
 *                       deadline ends the wait, too: then the call has ended
 * @param[out] progress  set to how far the call has come, which may be further
 *
 * @retval DX_ERR_TIMEOUT  the call has not come so far
 * @retval DX_ERR_INVALID  no call with this tag is in flight, or least is something else
 * @retval DX_ERR_BUSY     another thread is in a function of this queue
 * @retval DX_ERR_FORKED   another process opened the channel
 *
 * @threads The thread that uses the queue. Blocks.
 */
DX_API dx_status dx_queue_wait_progress(struct dx_queue *queue, uint64_t tag,
                                        enum dx_progress least, int64_t timeout_ns,
                                        enum dx_progress *progress);

/**
 * Returns how many calls are in flight: submitted, and their completions not yet returned.
 *
 * @param queue  the queue
 *
 * @return 0 ... the queue's depth
 *
 * @threads The thread that uses the queue. Never blocks.
 */
DX_API uint32_t dx_queue_in_flight(const struct dx_queue *queue);

DX_END_DECLS

#endif
