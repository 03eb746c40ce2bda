/* SPDX-License-Identifier: Apache-2.0 */
#include "dx_native.h"

#include "atomic.h"
#include "caller.h"
#include "clock.h"
#include "error.h"
#include "serve.h"
#include "serving.h"

_Static_assert((int)DX_NATIVE_CALLER_WORD == (int)offsetof(struct dx_caller_line, word), "offset");
_Static_assert((int)DX_NATIVE_CALLER_BYTES == (int)offsetof(struct dx_caller_line, request_bytes),
               "offset");
_Static_assert((int)DX_NATIVE_CALLER_TYPE == (int)offsetof(struct dx_caller_line, type), "offset");
_Static_assert((int)DX_NATIVE_CALLER_PARKED == (int)offsetof(struct dx_caller_line, parked),
               "offset");
_Static_assert((int)DX_NATIVE_SERVER_WORD == (int)offsetof(struct dx_server_line, word), "offset");
_Static_assert((int)DX_NATIVE_SERVER_BYTES == (int)offsetof(struct dx_server_line, response_bytes),
               "offset");
_Static_assert((int)DX_NATIVE_SERVER_STATUS == (int)offsetof(struct dx_server_line, status),
               "offset");
_Static_assert((int)DX_NATIVE_SERVER_RESULT == (int)offsetof(struct dx_server_line, result),
               "offset");
_Static_assert((int)DX_NATIVE_SERVER_CELL == (int)offsetof(struct dx_server_line, cell), "offset");
_Static_assert((int)DX_NATIVE_CALLER_RESPONSE_RING ==
                   (int)offsetof(struct dx_caller_line, response_ring),
               "offset");
_Static_assert((int)DX_NATIVE_CALLER_SENT == (int)offsetof(struct dx_caller_line, sent), "offset");
_Static_assert((int)DX_NATIVE_CALLER_TAKEN == (int)offsetof(struct dx_caller_line, taken),
               "offset");
_Static_assert((int)DX_NATIVE_SERVER_TAKEN == (int)offsetof(struct dx_server_line, taken),
               "offset");
_Static_assert((int)DX_NATIVE_SERVER_SENT == (int)offsetof(struct dx_server_line, sent), "offset");
_Static_assert((int)DX_NATIVE_CELL_ARMED == (int)offsetof(struct dx_cell, armed), "offset");
_Static_assert((int)DX_NATIVE_CELL_RINGS == (int)offsetof(struct dx_cell, rings), "offset");
_Static_assert(DX_NATIVE_LINE == DX_LINE, "line");

void dx_native_caller(const struct dx_caller *c, struct dx_native_caller *out)
{
    const struct dx_channel *channel = c->channel;
    *out = (struct dx_native_caller){
        .line = c->line,
        .server_line = c->server,
        .cells = c->cells,
        .counters = c->waiter.counters,
        .request = dx_request_at(channel, c->slot),
        .response = dx_response_at(channel, c->slot),
        .cells_count = c->cell_count,
        .cell = c->slot,
        .shared_cell = dx_cell_shared(channel->geometry.slots, channel->side),
        .slot = c->slot,
        .epoch = c->epoch,
        .sequence = c->sequence,
        .spin_max = c->waiter.wait.spin_max,
        .spin_max_ns = c->waiter.spin_max_ns,
        .begun = c->book.begun,
        .abandoned = c->book.abandoned,
    };
}

void dx_native_caller_settle(struct dx_caller *c, uint32_t sequence, bool begun, bool abandoned)
{
    c->sequence = sequence;
    c->book.begun = begun;
    c->book.abandoned = abandoned;
    c->ready = begun && !abandoned;
}

dx_status dx_native_serve_begin(struct dx_channel *c)
{
    if (dx_channel_forked(c))
        return dx_channel_stopped(c);
    if (dx_slot_count(&c->geometry, dx_other(c->side)) == 0)
        return dx_fail(DX_ERR_INVALID, "the other side has no slots to call on, so that there is "
                                       "nothing to serve");
    /* A9 <- R9: what the last server of this process wrote. */
    while (dx_exchange_acqrel(&c->serving, 1u) != 0)
        if (!dx_serving_mend(c))
            return dx_fail(DX_ERR_BUSY, "this channel is being served already");
    return DX_OK;
}

static struct dx_server server_of(struct dx_channel *c, uint32_t index, uint32_t threads)
{
    enum dx_side callers = dx_other(c->side);
    uint32_t base = dx_first_slot(&c->geometry, callers);
    struct dx_server s = {
        .channel = c,
        .first = base + index,
        .stride = threads,
        .base = base,
        .count = dx_slot_count(&c->geometry, callers),
        .worker = dx_channel_worker(c, c->side, index),
        .cell = dx_cell_of_worker(c->geometry.slots, c->side, index),
    };
    dx_waiter_init(&s.waiter, &c->wait, &c->cost, &s.worker->counters);
    return s;
}

dx_status dx_native_server_begin(struct dx_channel *c, uint32_t index, uint32_t threads,
                                 struct dx_native_server *out)
{
    if (threads == 0 || threads > DX_SERVE_THREADS_MAX || index >= threads)
        return dx_fail(DX_ERR_INVALID, "serving thread %u of %u: 1 to %u are possible", index,
                       threads, DX_SERVE_THREADS_MAX);
    struct dx_server s = server_of(c, index, threads);
    *out = (struct dx_native_server){
        .caller_lines = c->caller_lines,
        .server_lines = c->server_lines,
        .cells = c->cells,
        .counters = &s.worker->counters,
        .serving = &s.worker->serving,
        .slots_used = &c->peers[dx_other(c->side)].slots_used,
        .payload = c->payload,
        .payload_stride = c->geometry.payload_stride,
        .response_offset = c->geometry.response_offset,
        .cells_count = c->geometry.cells,
        .cell = s.cell,
        .shared_cell = dx_cell_shared(c->geometry.slots, c->side),
        .base = s.base,
        .count = s.count,
        .spin_max = s.waiter.wait.spin_max,
        .spin_max_ns = s.waiter.spin_max_ns,
    };
    return DX_OK;
}

void dx_native_server_takeover(struct dx_channel *c, uint32_t index, uint32_t threads,
                               uint64_t *seen)
{
    struct dx_server s = server_of(c, index, threads);
    s.seen = seen;
    dx_server_begin(&s);
}

void dx_native_serve_end(struct dx_channel *c, uint32_t threads)
{
    for (uint32_t index = 0; index < threads; index++) {
        struct dx_server s = server_of(c, index, threads);
        dx_server_end(&s);
    }
    /* R9 -> A9: for the next server of this process. */
    (void)dx_exchange_acqrel(&c->serving, 0u);
}

bool dx_native_ring(struct dx_channel *c, uint32_t cell)
{
    return cell < c->geometry.cells && dx_channel_ring(c, cell);
}

uint32_t dx_native_arm(struct dx_channel *c, uint32_t cell)
{
    uint32_t armed = dx_cell_arm(&c->cells[cell], (enum dx_park)dx_channel_park_kind(c));
    /* S2 <-> S1, S4 <-> S3: before the binding's last look. */
    dx_fence_store_load();
    return armed;
}

void dx_native_disarm(struct dx_channel *c, uint32_t cell, uint32_t armed)
{
    dx_cell_disarm(&c->cells[cell], armed);
}

const void *dx_native_switches(const struct dx_channel *c)
{
    return &c->switches->histograms;
}

void dx_native_histogram(struct dx_channel *c, uint64_t control, bool handler, uint32_t number,
                         struct dx_native_histogram *out)
{
    struct dx_recorder r = {.control = 0};
    uint32_t index = handler ? dx_histogram_of_handler(&c->geometry, c->side, number) : number;
    dx_recorder_find(&r, c, control, index);
    *out = (struct dx_native_histogram){.lines = r.lines, .scale = r.scale};
}

void dx_native_woken(struct dx_channel *c, uint32_t cell, int64_t asleep_ns)
{
    dx_channel_woken(c, cell, dx_clock_ns() - asleep_ns);
}

dx_status dx_native_check(const struct dx_channel *c)
{
    return dx_fail_plain(dx_channel_check(c));
}

dx_status dx_native_check_server(const struct dx_channel *c, bool through_restart)
{
    return dx_fail_plain(dx_channel_check_server(c, through_restart));
}
