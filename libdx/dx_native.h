/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * For bindings in other languages that run the fast path themselves.
 *
 * It tells where things lie, and has the slow steps as functions. A binding keeps the contract of
 * docs/protocol.md, whose constants are in dx_protocol.h. It is built together with the library:
 * what is declared here may change with each version. C programs need none of this.
 */
#ifndef DX_NATIVE_H
#define DX_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dx_caller.h"
#include "dx_channel.h"
#include "dx_protocol.h"
#include "dx_serve.h"
#include "dx_status.h"

DX_BEGIN_DECLS

struct dx_native_attach;

/**
 * Begins a dx_attach() in steps.
 *
 * It is for runtimes that must not block a thread while they wait for a host: begin, try until it
 * works or makes no sense any more, end.
 *
 * @param url       as for dx_attach()
 * @param wait      as for dx_attach()
 * @param[out] out  set to the attach, which the program owns until dx_native_attach_end(); NULL on
 *                  failure
 *
 * @return DX_OK, or an error of dx_attach() that no wait can change
 *
 * @threads Any thread. Blocks for a file of a wait strategy.
 */
DX_API dx_status dx_native_attach_begin(const char *url, const struct dx_wait *wait,
                                        struct dx_native_attach **out);

/**
 * Tries once to attach.
 *
 * It does not wait for a host. It takes microseconds; where the other side is under another kernel
 * or a rendezvous does not answer, it takes as long as dx_attach() says. After DX_OK only end the
 * attach.
 *
 * @param attach      the attach
 * @param[out] out    set to the channel, which the program owns until dx_close(); NULL on failure
 * @param[out] again  set to whether the reason of the failure may change. Pause before the next
 * try, as dx_attach() does
 *
 * @return DX_OK, or an error of dx_attach()
 *
 * @threads One thread at a time.
 */
DX_API dx_status dx_native_attach_try(struct dx_native_attach *attach, struct dx_channel **out,
                                      bool *again);

/**
 * Ends an attach and frees it.
 *
 * @param attach  the attach; NULL is allowed
 *
 * @threads One thread. Never blocks.
 */
DX_API void dx_native_attach_end(struct dx_native_attach *attach);

/** Where a caller's slot lies. Pointers are into the region, valid until dx_caller_close(). */
struct dx_native_caller {
    void *line;        /**< the caller's line */
    void *server_line; /**< the server's line of the slot */
    void *cells;       /**< all cells of the region */
    void *counters; /**< uint64_t each, in the order of docs/protocol.md; sole writer: the caller */
    void *request;  /**< where the request is built */
    void *response; /**< where the response lies */
    uint32_t cells_count; /**< how many cells there are */
    uint32_t cell;        /**< the caller's own */
    uint32_t shared_cell; /**< one for all callers of this side in this process */
    uint32_t slot;        /**< the number of the slot */
    uint32_t epoch;       /**< of the caller's words */
    uint32_t sequence;    /**< of the latest request */
    uint32_t spin_max;    /**< as lowered by DX_ADAPT_COST */
    int64_t spin_max_ns;  /**< what that many looks take */
    bool begun;           /**< the server has seen our epoch */
    bool abandoned;       /**< the latest request may still be running */
};

/** Where a serving thread's things lie, until dx_native_serve_end(). */
struct dx_native_server {
    void *caller_lines;       /**< of all slots of the region */
    void *server_lines;       /**< of all slots of the region */
    void *cells;              /**< all cells of the region */
    void *counters;           /**< as of dx_native_caller */
    void *serving;            /**< uint64_t journal, see docs/protocol.md */
    void *slots_used;         /**< how many slots the calling side has used */
    void *payload;            /**< requests and responses of all slots */
    uint64_t payload_stride;  /**< from one slot's payload to that of the next */
    uint64_t response_offset; /**< of the response in a slot's payload */
    uint32_t cells_count;     /**< how many cells there are */
    uint32_t cell;            /**< the serving thread's own */
    uint32_t shared_cell;     /**< as of dx_native_caller */
    uint32_t base;            /**< first slot of the calling side */
    uint32_t count;           /**< slots of the calling side */
    uint32_t spin_max;        /**< as lowered by DX_ADAPT_COST */
    int64_t spin_max_ns;      /**< what that many looks take */
};

/**
 * Tells where a caller's slot lies.
 *
 * @param caller    the caller
 * @param[out] out  filled with it
 *
 * @threads The thread that uses the caller. Never blocks.
 */
DX_API void dx_native_caller(const struct dx_caller *caller, struct dx_native_caller *out);

/** A flag for dx_serve(), for a language whose exceptions must not unwind C. Its handlers return
 * with response->bytes = DX_NATIVE_LEFT in place of throwing one. Their request is answered with
 * DX_ERR_LOST, and dx_serve() returns DX_OK when all other handlers have returned. */
#define DX_NATIVE_LEAVES 0x80000000u
/** What such a handler sets. */
#define DX_NATIVE_LEFT SIZE_MAX

/**
 * Tells libdx how the binding left a slot.
 *
 * Call it before dx_caller_close().
 *
 * @param caller     the caller
 * @param sequence   of its latest request
 * @param begun      whether the server has seen our epoch
 * @param abandoned  whether the latest request may still be running
 *
 * @threads The thread that uses the caller. Never blocks.
 */
DX_API void dx_native_caller_settle(struct dx_caller *caller, uint32_t sequence, bool begun,
                                    bool abandoned);

/**
 * Reserves serving on a channel for the binding.
 *
 * @param channel  the channel
 *
 * @return DX_OK, or an error of dx_serve(), such as DX_ERR_BUSY if somebody serves
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_native_serve_begin(struct dx_channel *channel);

/**
 * Tells where the things of a serving thread lie.
 *
 * @param channel   the channel
 * @param index     the thread's number, 0 ... threads - 1
 * @param threads   how many there are, up to DX_SERVE_THREADS_MAX
 * @param[out] out  filled with it
 *
 * @return DX_OK, or an error of dx_serve()
 *
 * @threads Any thread, after dx_native_serve_begin(). Never blocks.
 */
DX_API dx_status dx_native_server_begin(struct dx_channel *channel, uint32_t index,
                                        uint32_t threads, struct dx_native_server *out);

/**
 * Takes over the slots of a serving thread.
 *
 * @param channel    the channel
 * @param index      as for dx_native_server_begin()
 * @param threads    as for dx_native_server_begin()
 * @param[out] seen  an array of dx_native_server.count elements, filled with the words that need no
 *                   answer
 *
 * @threads That serving thread. Never blocks.
 */
DX_API void dx_native_server_takeover(struct dx_channel *channel, uint32_t index, uint32_t threads,
                                      uint64_t *seen);

/**
 * Ends serving: callers ring nobody any more.
 *
 * @param channel  the channel
 * @param threads  as for dx_native_server_begin()
 *
 * @threads One thread, after all serving threads. Never blocks.
 */
DX_API void dx_native_serve_end(struct dx_channel *channel, uint32_t threads);

/**
 * Rings the sleeper of a cell, if there is one.
 *
 * @param channel  the channel
 * @param cell     the number of the cell
 *
 * @return Whether this call rang, by one system call
 *
 * @threads Any thread.
 */
DX_API bool dx_native_ring(struct dx_channel *channel, uint32_t cell);

/**
 * Announces a sleep in a cell.
 *
 * After it, look once more, then sleep, then disarm. How to sleep is what the channel's wait
 * strategy says.
 *
 * @param channel  the channel
 * @param cell     the number of the cell
 *
 * @return The cell's armed word, for dx_native_disarm()
 *
 * @threads The thread that sleeps in the cell. Never blocks.
 */
DX_API uint32_t dx_native_arm(struct dx_channel *channel, uint32_t cell);

/**
 * Ends an announcement.
 *
 * @param channel  the channel
 * @param cell     the number of the cell
 * @param armed    what dx_native_arm() returned
 *
 * @threads The thread that slept in the cell. Never blocks.
 */
DX_API void dx_native_disarm(struct dx_channel *channel, uint32_t cell, uint32_t armed);

struct dx_native_bell;

/**
 * Starts a thread that turns the rings of a cell into those of an eventfd, which counts them.
 *
 * It is for runtimes that can wait for a descriptor but must not block a thread. Announce and look
 * as for dx_native_arm(), then wait until the descriptor is readable.
 *
 * @param channel   the channel
 * @param cell      the number of the cell
 * @param[out] out  set to the bell, which the program owns until dx_native_bell_close(). Close it
 *                  before the channel. NULL on failure
 * @param[out] fd   set to an eventfd that does not block and belongs to the bell
 *
 * @retval DX_ERR_INVALID  the strategy parks by neither futex nor semaphore, so nobody rings
 * @retval DX_ERR_SYSTEM   there is no memory, no descriptor or no thread
 *
 * @threads Any thread. Never blocks.
 */
DX_API dx_status dx_native_bell_open(struct dx_channel *channel, uint32_t cell,
                                     struct dx_native_bell **out, int *fd);

/**
 * Ends a bell.
 *
 * @param bell  the bell; NULL is allowed
 *
 * @threads Any thread. Blocks until its thread has ended.
 */
DX_API void dx_native_bell_close(struct dx_native_bell *bell);

/**
 * Returns a descriptor that all rings of this side make readable, where there is a rendezvous.
 *
 * No bell is needed there. From then on dx_native_arm() asks for it. Call it once per channel,
 * before the first wait. Of several places of one host, call it for each; any one of the
 * descriptors then tells of all of them.
 *
 * @param channel  the channel
 *
 * @return An eventfd that does not block and belongs to the caller; -1 where there is no
 * rendezvous, and for DX_PARK_POLL and DX_PARK_NEVER
 *
 * @threads One thread.
 */
DX_API int dx_native_take_doorbell(struct dx_channel *channel);

/**
 * Tells where the word is that switches histograms.
 *
 * @param channel  the channel
 *
 * @return A uint64_t: in its lower half what dx_histogram_every() returns. It may change at any
 * time
 *
 * @threads Any thread. Never blocks.
 */
DX_API const void *dx_native_switches(const struct dx_channel *channel);

/** Where one histogram is written by its sole writer; docs/protocol.md has its layout. */
struct dx_native_histogram {
    void *lines;    /**< NULL: it cannot be had */
    uint64_t scale; /**< ticks of the time-stamp counter * scale / 2^32 are ns; 0: take a clock */
};

/**
 * Finds a histogram for its writer, and clears it if it is of an earlier time.
 *
 * Call it whenever the word of dx_native_switches() is another one than at the last time.
 *
 * @param channel  the channel
 * @param control  that word
 * @param handler  false: that of the round trips of a slot; true: that of the handlers of a serving
 *                 thread of this side
 * @param number   of the slot, or of the thread
 * @param[out] out filled with it
 *
 * @threads The thread that writes it.
 */
DX_API void dx_native_histogram(struct dx_channel *channel, uint64_t control, bool handler,
                                uint32_t number, struct dx_native_histogram *out);

/**
 * Measures a wake-up, if wake-ups are measured: one who slept in a cell was rung and runs now.
 *
 * @param channel    the channel
 * @param cell       the number of the cell
 * @param asleep_ns  how long it slept
 *
 * @threads The thread that slept in the cell. Never blocks.
 */
DX_API void dx_native_woken(struct dx_channel *channel, uint32_t cell, int64_t asleep_ns);

/**
 * Says whether it makes sense to wait on.
 *
 * @param channel  the channel
 *
 * @return DX_OK, DX_ERR_STOPPED, DX_ERR_FORKED, DX_ERR_PEER_CLOSED, DX_ERR_PEER_DEAD,
 *         DX_ERR_NAME_REMOVED or DX_ERR_GUEST_EXISTS
 *
 * @threads Any thread. It costs a system call.
 */
DX_API dx_status dx_native_check(const struct dx_channel *channel);

/**
 * Says the same for a server, which may go on when the other side dies.
 *
 * @param channel          the channel
 * @param through_restart  whether it does, as DX_SERVE_THROUGH_RESTART
 *
 * @return As dx_native_check(). With through_restart, DX_ERR_NAME_REMOVED instead of DX_OK if no
 *         other can come
 *
 * @threads Any thread. It costs a system call.
 */
DX_API dx_status dx_native_check_server(const struct dx_channel *channel, bool through_restart);

DX_END_DECLS

#endif
