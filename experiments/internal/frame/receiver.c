/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver.h"

#include <string.h>

#include "../../../libdx/dx.h"
#include "digest.h"
#include "memory.h"

void receiver_close(struct receiver *r)
{
    memory_unmap(r->copy, r->room);
    *r = (struct receiver){0};
}

bool receiver_prepare(struct receiver *r, size_t bytes)
{
    receiver_close(r);
    r->copy = bytes == 0 || bytes > FRAME_BYTES_MAX ? NULL : memory_map(bytes);
    if (r->copy != NULL)
        r->room = bytes;
    return r->copy != NULL;
}

bool receiver_reads_region(uint32_t type)
{
    return type != FRAME_VERIFY_COPY && type != FRAME_WRITE_COLD;
}

static void copy(const struct receiver *r, const struct frame_head *head,
                 const unsigned char *content, struct frame_report *report)
{
    size_t bytes = head->fault == FRAME_FAULT_SKIP_COPY ? 0 : head->bytes;
    int64_t start = memory_now_ns();
    memory_copy(r->copy, content, bytes);
    report->ns = memory_now_ns() - start;
    report->bytes = bytes;
}

static void write_copy(const struct receiver *r, const struct frame_head *head,
                       struct frame_report *report)
{
    int64_t start = memory_now_ns();
    memory_write(r->copy, head->bytes, head->sequence);
    report->ns = memory_now_ns() - start;
    report->bytes = head->bytes;
}

static void read_frame(const unsigned char *content, size_t bytes, struct frame_report *report)
{
    uint64_t loads;
    int64_t start = memory_now_ns();
    uint64_t sum = memory_read(content, bytes, &loads);
    report->ns = memory_now_ns() - start;
    report->bytes = bytes;
    report->loads = loads;
    report->sum = sum;
}

static void read_strided(const unsigned char *content, size_t bytes, struct frame_report *report)
{
    uint64_t loads;
    int64_t start = memory_now_ns();
    report->sum = memory_read_strided(content, bytes, &loads);
    report->ns = memory_now_ns() - start;
    report->bytes = loads * sizeof(uint64_t);
    report->loads = loads;
}

static void verify(struct digest *d, const unsigned char *content, const struct frame_head *head,
                   struct frame_report *report)
{
    unsigned char digest[FRAME_DIGEST_BYTES];
    uint64_t sequence;
    int64_t start = memory_now_ns();
    bool done = digest_of(d, content, head->bytes, digest);
    report->ns = memory_now_ns() - start;
    memcpy(&sequence, content, sizeof sequence);
    report->bytes = head->bytes;
    report->right =
        done && sequence == head->sequence && memcmp(digest, head->digest, sizeof digest) == 0;
}

/* What comes before a pass: caches as they should be. */
static void before(const struct receiver *r, uint32_t type, const unsigned char *content,
                   size_t bytes)
{
    uint64_t loads;
    if (type == FRAME_READ_HOT)
        (void)memory_read(content, bytes, &loads);
    if (type == FRAME_READ_COLD || type == FRAME_STRIDED_COLD || type == FRAME_COPY_COLD)
        memory_flush(content, bytes);
    if (type == FRAME_COPY_COLD || type == FRAME_WRITE_COLD)
        memory_flush(r->copy, bytes);
}

bool receiver_act(const struct receiver *r, struct digest *d, uint32_t type,
                  const struct frame_head *head, const unsigned char *content,
                  struct frame_report *report)
{
    before(r, type, content, head->bytes);
    switch (type) {
    case FRAME_COPY:
    case FRAME_COPY_COLD:
        copy(r, head, content, report);
        return true;
    case FRAME_WRITE_COLD:
        write_copy(r, head, report);
        return true;
    case FRAME_READ:
    case FRAME_READ_HOT:
    case FRAME_READ_COLD:
        read_frame(content, head->bytes, report);
        return true;
    case FRAME_STRIDED_COLD:
        read_strided(content, head->bytes, report);
        return true;
    case FRAME_VERIFY_COPY:
    case FRAME_VERIFY_PLACE:
        verify(d, type == FRAME_VERIFY_COPY ? r->copy : content, head, report);
        return true;
    default:
        return false;
    }
}

size_t receiver_take(const struct receiver *r, struct dx_stream *stream, bool drop,
                     int64_t timeout_ns)
{
    const void *data;
    size_t bytes = 0, there = 1;
    if (!drop) {
        (void)dx_stream_read(stream, r->copy, r->room, &bytes, timeout_ns);
        return bytes;
    }
    while (bytes < r->room && there != 0 &&
           dx_stream_peek(stream, 0, &data, &there, timeout_ns) == DX_OK) {
        dx_stream_consume(stream, there);
        bytes += there;
    }
    return bytes;
}
