/* SPDX-License-Identifier: Apache-2.0 */
/* Guest to host: the host asks, the guest makes frames and writes them into its response, or into a
 * stream; what it does with a frame that came, the host does itself. */
#include "host_state.h"

#include <string.h>

#include "memory.h"

/* A call with nothing but its head, which is put there before any clock is read. */
static int ask(struct frame_host *h, uint32_t type, struct frame_report *report, int64_t *start)
{
    if (!host_put_head(h))
        return DX_ERR_TIMEOUT;
    *start = memory_now_ns();
    return host_call(h, type, 0, report);
}

/* Nobody but the guest knows what it sent: the digest comes apart from the frame. */
int back_make(struct frame_host *h, uint64_t sequence, bool in_place, enum frame_fault fault,
              int64_t *ns)
{
    struct frame_report report;
    int64_t start;
    h->head.sequence = sequence;
    h->head.fault = fault;
    h->head.flags = in_place ? FRAME_IN_PLACE : 0;
    int status = ask(h, FRAME_MAKE, &report, &start);
    if (status != DX_OK)
        return status;
    *ns = report.ns;
    h->sum = report.sum;
    memcpy(h->head.digest, report.digest, sizeof h->head.digest);
    return DX_OK;
}

/* The host's own pass over the frame that came. */
static int act(struct frame_host *h, uint32_t type, struct frame_report *report)
{
    *report = (struct frame_report){.sequence = h->head.sequence};
    if (receiver_reads_region(type) && h->arrived == NULL)
        return FRAME_STRANGE;
    return receiver_act(&h->receiver, h->digest, type, &h->head, h->arrived, report)
               ? DX_OK
               : FRAME_REFUSED;
}

int back_copy(struct frame_host *h, struct frame_transfer *out)
{
    struct frame_report asked, copied;
    int64_t start;
    int status = ask(h, FRAME_WRITE, &asked, &start);
    int64_t there = memory_now_ns();
    if (status == DX_OK)
        status = act(h, FRAME_COPY, &copied);
    if (status != DX_OK)
        return status;
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){asked.ns, there - start, end - start, copied.ns};
    return DX_OK;
}

int back_read(struct frame_host *h, struct frame_transfer *out)
{
    struct frame_report asked, read;
    int64_t start;
    int status = ask(h, FRAME_NOTIFY, &asked, &start);
    int64_t there = memory_now_ns();
    if (status == DX_OK)
        status = act(h, FRAME_READ, &read);
    if (status != DX_OK)
        return status;
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){0, there - start, end - start, read.ns};
    return h->head.fault == FRAME_FAULT_NONE && read.sum != h->sum ? FRAME_STRANGE : DX_OK;
}

int back_stream(struct frame_host *h, size_t ring, size_t chunk, struct frame_transfer *out)
{
    struct dx_stream_options options = {.response_ring = ring, .chunk = chunk};
    struct dx_stream *stream;
    int32_t refused = 0;
    bool drop = h->head.fault == FRAME_FAULT_SKIP_COPY;
    int64_t start = memory_now_ns();
    dx_status status =
        dx_stream_open(h->caller, FRAME_STREAM_BACK, &options, h->timeout_ns, &stream);
    if (status != DX_OK)
        return status;
    size_t bytes = receiver_take(&h->receiver, stream, drop, h->timeout_ns);
    int64_t copied = memory_now_ns();
    status = dx_stream_end(stream, &refused, h->timeout_ns);
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){0, end - copied, end - start, copied - start};
    if (status != DX_OK)
        return status;
    return refused != 0 ? FRAME_REFUSED : bytes == h->head.bytes ? DX_OK : FRAME_STRANGE;
}

int back_phase(struct frame_host *h, uint32_t type, struct frame_report *report)
{
    if (type >= FRAME_COPY && type <= FRAME_VERIFY_PLACE)
        return act(h, type, report);
    return host_call(h, type, 0, report);
}

int back_memcpy(struct frame_host *h, int64_t *ns)
{
    struct frame_report report = {0};
    int64_t start;
    int status = ask(h, FRAME_MEMCPY, &report, &start);
    *ns = report.ns;
    return status;
}
