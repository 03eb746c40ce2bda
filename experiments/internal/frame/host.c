/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../../libdx/dx.h"
#include "digest.h"
#include "host_state.h"
#include "memory.h"

int frame_host_create(const char *url, int back, size_t room, const struct dx_wait *wait,
                      int64_t timeout_ns, struct frame_host **out)
{
    struct dx_config config = {
        .slots = 1,
        .request_capacity = sizeof(struct frame_head) + (back ? 0 : room),
        .response_capacity = FRAME_RESPONSE_CONTENT + (back ? room : 0),
        .wait = wait,
    };
    struct frame_host *h = calloc(1, sizeof *h);
    *out = NULL;
    if (h == NULL)
        return DX_ERR_SYSTEM;
    h->timeout_ns = timeout_ns;
    h->back = back;
    h->room = room;
    h->digest = digest_open();
    dx_status status = h->digest == NULL ? DX_ERR_SYSTEM : dx_create(url, &config, &h->channel);
    if (status == DX_OK)
        status = dx_caller_open(h->channel, 0, &h->caller);
    if (status != DX_OK) {
        (void)frame_host_close(h);
        return status;
    }
    *out = h;
    return DX_OK;
}

void frame_host_stop(struct frame_host *h)
{
    dx_stop(h->channel);
}

int frame_host_close(struct frame_host *h)
{
    dx_caller_close(h->caller);
    dx_status status = dx_close(h->channel);
    sender_close(&h->sender);
    receiver_close(&h->receiver);
    digest_close(h->digest);
    free(h);
    return status;
}

int frame_host_fd(const struct frame_host *h)
{
    return dx_channel_fd(h->channel);
}

uint64_t frame_host_region_bytes(const struct frame_host *h)
{
    return dx_channel_region_bytes(h->channel);
}

static dx_status waits(const struct frame_host *h, enum dx_stats_of of, uint64_t out[3])
{
    struct dx_stats stats;
    dx_status status = dx_stats_read(h->channel, of, &stats);
    if (status == DX_OK) {
        out[0] = stats.spin;
        out[1] = stats.yield;
        out[2] = stats.park;
    }
    return status;
}

int frame_host_waits(const struct frame_host *h, struct frame_waits *out)
{
    dx_status status = waits(h, DX_STATS_HOST_CALLERS, out->host);
    return status != DX_OK ? status : waits(h, DX_STATS_GUEST_SERVERS, out->guest);
}

unsigned char *host_place(struct frame_host *h)
{
    if (h->caller == NULL && dx_caller_open(h->channel, h->timeout_ns, &h->caller) != DX_OK)
        return NULL;
    unsigned char *request = dx_caller_request(h->caller);
    /* A call that timed out may still hold the slot: a ping waits until it is over. */
    if (request == NULL &&
        dx_call(h->caller, DX_TYPE_PING, NULL, 0, NULL, NULL, NULL, h->timeout_ns) == DX_OK)
        request = dx_caller_request(h->caller);
    return request == NULL ? NULL : request + sizeof h->head;
}

bool host_put_head(struct frame_host *h)
{
    unsigned char *at = host_place(h);
    if (at != NULL)
        memcpy(at - sizeof h->head, &h->head, sizeof h->head);
    return at != NULL;
}

int host_call(struct frame_host *h, uint32_t type, size_t bytes, struct frame_report *report)
{
    struct dx_reply reply;
    *report = (struct frame_report){0};
    h->arrived = NULL;
    h->text_bytes = 0;
    dx_status status =
        dx_call_in_place(h->caller, type, sizeof h->head + bytes, &reply, h->timeout_ns);
    return status != DX_OK ? status : host_answer(h, &reply, report);
}

int host_answer(struct frame_host *h, const struct dx_reply *reply, struct frame_report *report)
{
    if (reply->status != 0)
        return FRAME_REFUSED;
    if (reply->bytes < sizeof *report)
        return FRAME_STRANGE;
    memcpy(report, reply->data, sizeof *report);
    if (report->text_bytes > sizeof h->text || report->text_bytes > reply->bytes - sizeof *report ||
        report->sequence != h->head.sequence)
        return FRAME_STRANGE;
    h->text_bytes = report->text_bytes;
    memcpy(h->text, (const unsigned char *)reply->data + sizeof *report, h->text_bytes);
    if (h->back && reply->bytes == FRAME_RESPONSE_CONTENT + h->head.bytes)
        h->arrived = (const unsigned char *)reply->data + FRAME_RESPONSE_CONTENT;
    return DX_OK;
}

int frame_host_prepare(struct frame_host *h, size_t bytes, size_t chunk,
                       struct frame_report *report)
{
    bool good = h->back ? receiver_prepare(&h->receiver, bytes) : sender_prepare(&h->sender, bytes);
    h->head = (struct frame_head){
        .bytes = bytes, .chunk = chunk, .flags = h->back ? FRAME_GUEST_SENDS : 0};
    if (!good)
        return DX_ERR_SYSTEM;
    return host_put_head(h) ? host_call(h, FRAME_PREPARE, 0, report) : DX_ERR_TIMEOUT;
}

int frame_host_make(struct frame_host *h, uint64_t sequence, int in_place, enum frame_fault fault,
                    int64_t *ns)
{
    if (h->back)
        return back_make(h, sequence, in_place != 0, fault, ns);
    unsigned char *region = host_place(h);
    if (region == NULL)
        return DX_ERR_TIMEOUT;
    h->head.sequence = sequence;
    h->head.fault = fault;
    if (!sender_make(&h->sender, h->digest, sequence, fault, in_place ? region : NULL, ns,
                     h->head.digest))
        return DX_ERR_SYSTEM;
    h->sum = h->sender.sum;
    return host_put_head(h) ? DX_OK : DX_ERR_TIMEOUT;
}

int frame_host_again(struct frame_host *h)
{
    if (h->back) {
        if (h->arrived == NULL)
            return FRAME_STRANGE;
        memory_copy(h->receiver.copy, h->arrived, h->head.bytes);
        return DX_OK;
    }
    unsigned char *at = host_place(h);
    if (at == NULL)
        return DX_ERR_TIMEOUT;
    memory_copy(at, h->sender.source, h->head.bytes);
    return DX_OK;
}

int frame_host_copy(struct frame_host *h, struct frame_transfer *out)
{
    if (h->back)
        return back_copy(h, out);
    struct frame_report report;
    unsigned char *at = host_place(h);
    if (at == NULL)
        return DX_ERR_TIMEOUT;
    int64_t start = memory_now_ns();
    int64_t write_ns = sender_write(&h->sender, at);
    int64_t written = memory_now_ns();
    int status = host_call(h, FRAME_COPY, h->head.bytes, &report);
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){write_ns, end - written, end - start, report.ns};
    return status;
}

int frame_host_read(struct frame_host *h, struct frame_transfer *out)
{
    if (h->back)
        return back_read(h, out);
    struct frame_report report;
    int64_t start = memory_now_ns();
    int status = host_call(h, FRAME_READ, h->head.bytes, &report);
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){0, end - start, end - start, report.ns};
    return status;
}

int frame_host_stream(struct frame_host *h, size_t ring, size_t chunk, struct frame_transfer *out)
{
    if (h->back)
        return back_stream(h, ring, chunk, out);
    struct dx_stream_options options = {.request_ring = ring, .chunk = chunk};
    struct dx_stream *stream;
    int32_t refused = 0;
    sender_spoil_stream(&h->sender); /* the digest is made already */
    uint32_t type = h->head.fault == FRAME_FAULT_SKIP_COPY ? FRAME_STREAM_DROP : FRAME_STREAM;
    int64_t start = memory_now_ns();
    dx_status status = dx_stream_open(h->caller, type, &options, h->timeout_ns, &stream);
    if (status != DX_OK)
        return status;
    status = dx_stream_write(stream, h->sender.source, h->head.bytes, NULL, h->timeout_ns);
    int64_t written = memory_now_ns();
    if (status != DX_OK) {
        dx_stream_cancel(stream);
        return status;
    }
    status = dx_stream_end(stream, &refused, h->timeout_ns);
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){written - start, end - written, end - start, 0};
    return status != DX_OK ? status : refused != 0 ? FRAME_REFUSED : DX_OK;
}

/* The phase, and in *roundtrip_ns the host's time of it. */
static int timed_phase(struct frame_host *h, enum frame_type type, struct frame_report *report,
                       int64_t *roundtrip_ns)
{
    if (!host_put_head(h))
        return DX_ERR_TIMEOUT;
    int64_t start = memory_now_ns();
    /* A frame that came as a stream does not lie in the region. */
    int status = h->back ? back_phase(h, type, report)
                         : host_call(h, type, h->head.bytes <= h->room ? h->head.bytes : 0, report);
    *roundtrip_ns = memory_now_ns() - start;
    return status;
}

int frame_host_phase(struct frame_host *h, enum frame_type type, struct frame_report *report,
                     int64_t *roundtrip_ns)
{
    int status = timed_phase(h, type, report, roundtrip_ns);
    bool whole = type == FRAME_READ || type == FRAME_READ_HOT || type == FRAME_READ_COLD;
    if (status == DX_OK && whole && h->head.fault == FRAME_FAULT_NONE && report->sum != h->sum)
        return FRAME_STRANGE;
    return status;
}

const char *frame_host_text(const struct frame_host *h, size_t *bytes)
{
    *bytes = h->text_bytes;
    return h->text;
}

int frame_host_memcpy(struct frame_host *h, int64_t *ns)
{
    if (h->back)
        return back_memcpy(h, ns);
    *ns = sender_memcpy(&h->sender);
    return DX_OK;
}
