/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For bindings in other languages that run the fast path themselves: where things lie, and the
 * slow steps as functions. A binding keeps the contract of docs/protocol.md, whose constants are in
 * dx_protocol.h. It is built together with the library: what is declared here may change with each
 * version. C programs need none of this.
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

/*
 * dx_attach in steps, for runtimes that must not block a thread while they wait for a host: begin,
 * try until it works or makes no sense any more, end. A try does not wait for a host. It takes
 * microseconds; where the other side is under another kernel or a rendezvous does not answer, it
 * takes as long as dx_attach says. *again says whether the reason of a failure may change. Pause
 * before the next try, as dx_attach does. After DX_OK *out is the channel; then only end the
 * attach. One thread at a time.
 */
struct dx_native_attach;
DX_API dx_status dx_native_attach_begin(const char *url, const struct dx_wait *wait,
                                        struct dx_native_attach **out);
DX_API dx_status dx_native_attach_try(struct dx_native_attach *attach, struct dx_channel **out,
                                      bool *again);
DX_API void dx_native_attach_end(struct dx_native_attach *attach); /* NULL is allowed */

/* Where a caller's slot lies. Pointers are into the region, valid until dx_caller_close. */
struct dx_native_caller {
    void *line;
    void *server_line;
    void *cells;
    void *counters; /* uint64_t each, in the order of docs/protocol.md; sole writer: the caller */
    void *request;
    void *response;
    uint32_t cells_count;
    uint32_t cell;        /* the caller's own */
    uint32_t shared_cell; /* one for all callers of this side in this process */
    uint32_t slot;
    uint32_t epoch;
    uint32_t sequence;   /* of the latest request */
    uint32_t spin_max;   /* as lowered by DX_ADAPT_COST */
    int64_t spin_max_ns; /* what that many looks take */
    bool begun;          /* the server has seen our epoch */
    bool abandoned;      /* the latest request may still be running */
};

/* Where a serving thread's things lie, until dx_native_serve_end. */
struct dx_native_server {
    void *caller_lines; /* of all slots of the region */
    void *server_lines;
    void *cells;
    void *counters; /* as of dx_native_caller */
    void *serving;  /* uint64_t journal, see docs/protocol.md */
    void *slots_used;
    void *payload;
    uint64_t payload_stride;
    uint64_t response_offset;
    uint32_t cells_count;
    uint32_t cell;
    uint32_t shared_cell; /* as of dx_native_caller */
    uint32_t base;        /* first slot of the calling side */
    uint32_t count;       /* slots of the calling side */
    uint32_t spin_max;
    int64_t spin_max_ns;
};

DX_API void dx_native_caller(const struct dx_caller *caller, struct dx_native_caller *out);

/* A flag for dx_serve. A handler of a language whose exceptions must not unwind C returns with
 * response->bytes = DX_NATIVE_LEFT in place of throwing one: its request is answered with
 * DX_ERR_LOST, and dx_serve returns DX_OK when all other handlers have returned. */
#define DX_NATIVE_LEAVES 0x80000000u
#define DX_NATIVE_LEFT SIZE_MAX

/* Tells libdx how the binding left the slot; call it before dx_caller_close. */
DX_API void dx_native_caller_settle(struct dx_caller *caller, uint32_t sequence, bool begun,
                                    bool abandoned);

/* Reserves serving on this channel for the binding (DX_ERR_BUSY if it is taken). */
DX_API dx_status dx_native_serve_begin(struct dx_channel *channel);

/* Takes over the slots of serving thread `index` of `threads`. seen has `count` elements (see
 * dx_native_server) and is filled with the words that need no answer. */
DX_API dx_status dx_native_server_begin(struct dx_channel *channel, uint32_t index,
                                        uint32_t threads, struct dx_native_server *out);
DX_API void dx_native_server_takeover(struct dx_channel *channel, uint32_t index, uint32_t threads,
                                      uint64_t *seen);

/* Ends it: callers ring nobody any more. */
DX_API void dx_native_serve_end(struct dx_channel *channel, uint32_t threads);

/* Rings the sleeper of a cell, if there is one. True if this call rang. One system call. */
DX_API bool dx_native_ring(struct dx_channel *channel, uint32_t cell);

/* Announces a sleep in a cell. After it, look once more, then sleep, then disarm. How to sleep is
 * what the channel's wait strategy says. */
DX_API uint32_t dx_native_arm(struct dx_channel *channel, uint32_t cell);
DX_API void dx_native_disarm(struct dx_channel *channel, uint32_t cell, uint32_t armed);

/*
 * For runtimes that can wait for a descriptor but must not block a thread. A bell is a thread of
 * libdx that waits for the rings of one cell and writes each to an eventfd, which does not block
 * and belongs to the bell. Announce and look as above, then wait until the descriptor is readable.
 * With DX_PARK_POLL and DX_PARK_NEVER nobody rings, and the result is DX_ERR_INVALID. Close the
 * bell before the channel.
 */
struct dx_native_bell;
DX_API dx_status dx_native_bell_open(struct dx_channel *channel, uint32_t cell,
                                     struct dx_native_bell **out, int *fd);
DX_API void dx_native_bell_close(struct dx_native_bell *bell);

/*
 * Where there is a rendezvous, no such thread is needed. This returns an eventfd that becomes
 * readable when any cell of this side is rung; it does not block and belongs to the caller. From
 * then on dx_native_arm asks for it. It returns -1 where there is no rendezvous, and for
 * DX_PARK_POLL and DX_PARK_NEVER. Call it once per channel, before the first wait. Of several
 * places of one host, call it for each; any one of the descriptors then tells of all of them.
 */
DX_API int dx_native_take_doorbell(struct dx_channel *channel);

/* Says whether it makes sense to wait on: DX_OK, DX_ERR_STOPPED, _PEER_CLOSED, _PEER_DEAD. */
DX_API dx_status dx_native_check(const struct dx_channel *channel);

/* The same for a server, which may go on when the other side dies: DX_ERR_NAME_REMOVED instead of
 * DX_OK if no other can come. */
DX_API dx_status dx_native_check_server(const struct dx_channel *channel, bool through_restart);

DX_END_DECLS

#endif
