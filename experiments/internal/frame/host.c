/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../../libdx/dx.h"
#include "digest.h"
#include "memory.h"

struct frame_host {
    struct dx_channel *channel;
    struct dx_caller *caller;
    struct digest *digest;
    int64_t timeout_ns;
    bool in_place; /* the frame was made in the region */
    size_t room;   /* for a frame in the region */
    size_t bytes;
    unsigned char *source; /* frames are made here, unless in place */
    unsigned char *spare;  /* what one memcpy fills */
    struct frame_head head;
    uint64_t sum; /* of the frame's words */
    enum frame_fault fault;
    size_t text_bytes; /* of the latest response */
    char text[FRAME_TEXT_BYTES];
};

int frame_host_create(const char *url, size_t room, const struct dx_wait *wait, int64_t timeout_ns,
                      struct frame_host **out)
{
    struct dx_config config = {1, 0, sizeof(struct frame_head) + room,
                               sizeof(struct frame_report) + FRAME_TEXT_BYTES, wait};
    struct frame_host *h = calloc(1, sizeof *h);
    *out = NULL;
    if (h == NULL)
        return DX_ERR_SYSTEM;
    h->timeout_ns = timeout_ns;
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

static void unmap(struct frame_host *h)
{
    memory_unmap(h->source, h->bytes);
    memory_unmap(h->spare, h->bytes);
    h->source = h->spare = NULL;
    h->bytes = 0;
}

int frame_host_close(struct frame_host *h)
{
    dx_caller_close(h->caller);
    dx_status status = dx_close(h->channel);
    unmap(h);
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

/* Where the frame lies in the region, behind its head. The head is there in any case: messages
 * without a frame have one, too. NULL while the guest may still be reading an older one. */
static unsigned char *place(struct frame_host *h)
{
    unsigned char *request = dx_caller_request(h->caller);
    /* A call that timed out may still hold the slot: a ping waits until it is over. */
    if (request == NULL &&
        dx_call(h->caller, DX_TYPE_PING, NULL, 0, NULL, NULL, NULL, h->timeout_ns) == DX_OK)
        request = dx_caller_request(h->caller);
    return request == NULL ? NULL : request + sizeof h->head;
}

/* One call about the frame; its head is in place. */
static int call(struct frame_host *h, uint32_t type, size_t bytes, struct frame_report *report)
{
    struct dx_reply reply;
    dx_status status =
        dx_call_in_place(h->caller, type, sizeof h->head + bytes, &reply, h->timeout_ns);
    if (status != DX_OK)
        return status;
    if (reply.status != 0)
        return FRAME_REFUSED;
    if (reply.bytes < sizeof *report || reply.bytes > sizeof *report + sizeof h->text)
        return FRAME_STRANGE;
    memcpy(report, reply.data, sizeof *report);
    h->text_bytes = reply.bytes - sizeof *report;
    memcpy(h->text, (const unsigned char *)reply.data + sizeof *report, h->text_bytes);
    return report->sequence == h->head.sequence ? DX_OK : FRAME_STRANGE;
}

static bool put_head(struct frame_host *h)
{
    unsigned char *at = place(h);
    if (at != NULL)
        memcpy(at - sizeof h->head, &h->head, sizeof h->head);
    return at != NULL;
}

int frame_host_prepare(struct frame_host *h, size_t bytes, size_t chunk,
                       struct frame_report *report)
{
    unmap(h);
    h->head = (struct frame_head){.bytes = bytes, .chunk = chunk};
    h->source = memory_map(bytes);
    h->spare = memory_map(bytes);
    h->bytes = bytes;
    if (h->source == NULL || h->spare == NULL)
        return DX_ERR_SYSTEM;
    memory_write(h->source, bytes, 1); /* pages that nobody wrote are one page of zeros */
    if (!put_head(h))
        return DX_ERR_TIMEOUT;
    return call(h, FRAME_PREPARE, 0, report);
}

int frame_host_make(struct frame_host *h, uint64_t sequence, int in_place, enum frame_fault fault,
                    int64_t *ns)
{
    unsigned char *region = place(h);
    unsigned char *to = in_place ? region : h->source;
    if (region == NULL)
        return DX_ERR_TIMEOUT;
    int64_t start = memory_now_ns();
    h->sum = memory_generate(to, h->bytes, sequence);
    *ns = memory_now_ns() - start;
    h->fault = fault;
    h->in_place = in_place;
    h->head.sequence = sequence;
    h->head.flags = fault == FRAME_FAULT_SKIP_COPY ? FRAME_SKIP_COPY : 0;
    if (!digest_of(h->digest, to, h->bytes, h->head.digest))
        return DX_ERR_SYSTEM;
    if (in_place && fault == FRAME_FAULT_FLIP)
        to[h->bytes / 2] ^= 1;
    /* In place there is no write and no copy to leave out: the frame of another number then. */
    if (in_place && fault > FRAME_FAULT_FLIP)
        (void)memory_generate(to, h->bytes, sequence - 1);
    return put_head(h) ? DX_OK : DX_ERR_TIMEOUT;
}

void frame_host_write_again(struct frame_host *h)
{
    unsigned char *at = place(h);
    if (at != NULL)
        memory_copy(at, h->source, h->bytes);
}

int frame_host_copy(struct frame_host *h, struct frame_transfer *out)
{
    struct frame_report report;
    unsigned char *at = place(h);
    if (at == NULL)
        return DX_ERR_TIMEOUT;
    size_t bytes = h->fault == FRAME_FAULT_SKIP_WRITE ? 0 : h->bytes;
    int64_t start = memory_now_ns();
    memory_copy(at, h->source, bytes);
    int64_t written = memory_now_ns();
    if (h->fault == FRAME_FAULT_FLIP)
        at[h->bytes / 2] ^= 1;
    int status = call(h, FRAME_COPY, h->bytes, &report);
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){written - start, end - written, end - start, report.ns};
    return status;
}

int frame_host_read(struct frame_host *h, struct frame_transfer *out)
{
    struct frame_report report;
    int64_t start = memory_now_ns();
    int status = call(h, FRAME_READ, h->bytes, &report);
    int64_t end = memory_now_ns();
    *out = (struct frame_transfer){0, end - start, end - start, report.ns};
    return status;
}

/* What goes wrong on purpose; the digest is made already. */
static uint32_t spoil_stream(struct frame_host *h)
{
    if (h->fault == FRAME_FAULT_FLIP)
        h->source[h->bytes / 2] ^= 1;
    if (h->fault == FRAME_FAULT_SKIP_WRITE)
        (void)memory_generate(h->source, h->bytes, h->head.sequence - 1);
    return h->fault == FRAME_FAULT_SKIP_COPY ? FRAME_STREAM_DROP : FRAME_STREAM;
}

int frame_host_stream(struct frame_host *h, size_t ring, size_t chunk, struct frame_transfer *out)
{
    struct dx_stream_options options = {.request_ring = ring, .chunk = chunk};
    struct dx_stream *stream;
    int32_t refused = 0;
    uint32_t type = spoil_stream(h);
    int64_t start = memory_now_ns();
    dx_status status = dx_stream_open(h->caller, type, &options, h->timeout_ns, &stream);
    if (status != DX_OK)
        return status;
    status = dx_stream_write(stream, h->source, h->bytes, NULL, h->timeout_ns);
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

int frame_host_phase(struct frame_host *h, enum frame_type type, struct frame_report *report,
                     int64_t *roundtrip_ns)
{
    if (!put_head(h))
        return DX_ERR_TIMEOUT;
    int64_t start = memory_now_ns();
    /* A frame that came as a stream does not lie in the region. */
    int status = call(h, type, h->bytes <= h->room ? h->bytes : 0, report);
    *roundtrip_ns = memory_now_ns() - start;
    bool whole = type == FRAME_READ || type == FRAME_READ_HOT || type == FRAME_READ_COLD;
    if (status == DX_OK && whole && h->fault == FRAME_FAULT_NONE && report->sum != h->sum)
        return FRAME_STRANGE;
    return status;
}

const char *frame_host_text(const struct frame_host *h, size_t *bytes)
{
    *bytes = h->text_bytes;
    return h->text;
}

int64_t frame_host_memcpy(struct frame_host *h)
{
    const unsigned char *from = h->in_place ? place(h) : h->source;
    if (from == NULL)
        from = h->source;
    int64_t start = memory_now_ns();
    memory_copy(h->spare, from, h->bytes);
    return memory_now_ns() - start;
}
