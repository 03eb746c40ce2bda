/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../libdx/dx.h"
#include "digest.h"
#include "frame.h"
#include "memory.h"

/* guest_count.go. Between the two, events of this thread are counted; the second one writes them
 * as text and returns its length. */
extern void dxFrameCountBegin(uintptr_t counters);
extern size_t dxFrameCountEnd(uintptr_t counters, void *text, size_t room);

#define STREAM_TIMEOUT_NS 10000000000ll

struct guest {
    uintptr_t counters;
    unsigned char *copy; /* room bytes: where frames are copied to */
    size_t room;
    struct digest *digest;
    size_t chunk;      /* of streams; 0: the library's own */
    int64_t copied_ns; /* what the latest stream took */
};

/* A frame as one message claims it, checked. */
struct frame {
    struct frame_head head;
    const unsigned char *content; /* in the region */
};

static bool prepare(struct guest *g, size_t bytes, size_t chunk)
{
    g->chunk = chunk;
    memory_unmap(g->copy, g->room);
    g->room = 0;
    g->copy = bytes == 0 || bytes > FRAME_BYTES_MAX ? NULL : memory_map(bytes);
    if (g->copy != NULL)
        g->room = bytes;
    return g->copy != NULL;
}

static void copy(struct guest *g, const struct frame *f, struct frame_report *report)
{
    size_t bytes = f->head.flags & FRAME_SKIP_COPY ? 0 : f->head.bytes;
    int64_t start = memory_now_ns();
    memory_copy(g->copy, f->content, bytes);
    report->ns = memory_now_ns() - start;
    report->bytes = bytes;
}

static size_t count(struct guest *g, const struct frame *f, void *text, size_t room)
{
    dxFrameCountBegin(g->counters);
    memory_copy(g->copy, f->content, f->head.bytes);
    return dxFrameCountEnd(g->counters, text, room);
}

static void copy_cold(struct guest *g, const struct frame *f, struct frame_report *report)
{
    memory_flush(f->content, f->head.bytes);
    memory_flush(g->copy, f->head.bytes);
    copy(g, f, report);
}

static void write_cold(struct guest *g, const struct frame *f, struct frame_report *report)
{
    memory_flush(g->copy, f->head.bytes);
    int64_t start = memory_now_ns();
    memory_write(g->copy, f->head.bytes, f->head.sequence);
    report->ns = memory_now_ns() - start;
    report->bytes = f->head.bytes;
}

static void read_frame(const struct frame *f, struct frame_report *report)
{
    uint64_t loads;
    int64_t start = memory_now_ns();
    uint64_t sum = memory_read(f->content, f->head.bytes, &loads);
    report->ns = memory_now_ns() - start;
    report->bytes = f->head.bytes;
    report->loads = loads;
    report->sum = sum;
}

static void read_hot(const struct frame *f, struct frame_report *report)
{
    uint64_t loads;
    (void)memory_read(f->content, f->head.bytes, &loads);
    read_frame(f, report);
}

static void read_cold(const struct frame *f, struct frame_report *report)
{
    memory_flush(f->content, f->head.bytes);
    read_frame(f, report);
}

static void strided_cold(const struct frame *f, struct frame_report *report)
{
    uint64_t loads;
    memory_flush(f->content, f->head.bytes);
    int64_t start = memory_now_ns();
    report->sum = memory_read_strided(f->content, f->head.bytes, &loads);
    report->ns = memory_now_ns() - start;
    report->bytes = loads * sizeof(uint64_t);
    report->loads = loads;
}

static void verify(const struct guest *g, const unsigned char *content, const struct frame *f,
                   struct frame_report *report)
{
    unsigned char digest[FRAME_DIGEST_BYTES];
    uint64_t sequence;
    int64_t start = memory_now_ns();
    bool done = digest_of(g->digest, content, f->head.bytes, digest);
    report->ns = memory_now_ns() - start;
    memcpy(&sequence, content, sizeof sequence);
    report->bytes = f->head.bytes;
    report->copied_ns = g->copied_ns;
    report->right =
        done && sequence == f->head.sequence && memcmp(digest, f->head.digest, sizeof digest) == 0;
}

/* False: the guest knows no such message. */
static bool act(struct guest *g, uint32_t type, const struct frame *f, struct frame_report *report)
{
    switch (type) {
    case FRAME_COPY:
        copy(g, f, report);
        return true;
    case FRAME_COPY_COLD:
        copy_cold(g, f, report);
        return true;
    case FRAME_WRITE_COLD:
        write_cold(g, f, report);
        return true;
    case FRAME_VERIFY_COPY:
        verify(g, g->copy, f, report);
        return true;
    case FRAME_VERIFY_PLACE:
        verify(g, f->content, f, report);
        return true;
    case FRAME_READ:
        read_frame(f, report);
        return true;
    case FRAME_READ_HOT:
        read_hot(f, report);
        return true;
    case FRAME_READ_COLD:
        read_cold(f, report);
        return true;
    case FRAME_STRIDED_COLD:
        strided_cold(f, report);
        return true;
    default:
        return false;
    }
}

/* The handler's status: 0, or an errno-like 1 for a message that makes no sense. */
static int32_t answer(void *user, const struct dx_request *request, struct dx_response *response)
{
    struct guest *g = user;
    struct frame f;
    struct frame_report report = {0};
    if (request->bytes < sizeof f.head || response->capacity < sizeof report)
        return 1;
    memcpy(&f.head, request->data, sizeof f.head); /* read once: what follows uses this copy */
    f.content = (const unsigned char *)request->data + sizeof f.head;
    report.sequence = f.head.sequence;
    bool good = true;
    size_t text = 0;
    if (request->type == FRAME_PREPARE) {
        good = prepare(g, f.head.bytes, f.head.chunk);
        report.flush = memory_flush_kind();
        report.anonymous_bytes = memory_anonymous_bytes();
    } else if (request->type == FRAME_MEMORY) {
        report.anonymous_bytes = memory_anonymous_bytes();
    } else if (request->type != FRAME_NOTIFY) {
        bool in_region = request->type != FRAME_VERIFY_COPY && request->type != FRAME_WRITE_COLD;
        good = (!in_region || f.head.bytes <= request->bytes - sizeof f.head) &&
               f.head.bytes <= g->room && f.head.bytes >= FRAME_STEP &&
               f.head.bytes % FRAME_STEP == 0;
        if (good && request->type == FRAME_COUNT)
            text = count(g, &f, (unsigned char *)response->data + sizeof report,
                         response->capacity - sizeof report);
        else if (good)
            good = act(g, request->type, &f, &report);
    }
    memcpy(response->data, &report, sizeof report);
    response->bytes = sizeof report + text;
    return good ? 0 : 1;
}

/* Reads without copying. Returns how many bytes there were. */
static size_t drop(struct dx_stream *stream, size_t bytes)
{
    const void *data;
    size_t dropped = 0, there = 1;
    while (dropped < bytes && there != 0 &&
           dx_stream_peek(stream, 0, &data, &there, STREAM_TIMEOUT_NS) == DX_OK) {
        dx_stream_consume(stream, there);
        dropped += there;
    }
    return dropped;
}

/* A stream: copied while the host still writes. The status is 0 if all of it came. */
static int32_t receive(void *user, struct dx_stream *stream)
{
    struct guest *g = user;
    size_t bytes = 0;
    if (g->chunk != 0)
        dx_stream_set_chunk(stream, g->chunk);
    int64_t start = memory_now_ns();
    if (dx_stream_type(stream) == FRAME_STREAM)
        (void)dx_stream_read(stream, g->copy, g->room, &bytes, STREAM_TIMEOUT_NS);
    else if (dx_stream_type(stream) == FRAME_STREAM_DROP)
        bytes = drop(stream, g->room);
    g->copied_ns = memory_now_ns() - start;
    return bytes == g->room && bytes != 0 ? 0 : 1;
}

int frame_serve(const char *url, const struct dx_wait *wait, int ready_fd, uintptr_t counters)
{
    struct dx_channel *channel;
    struct guest g = {.counters = counters};
    struct dx_serve_options options = {.stream = receive};
    dx_status status = dx_attach(url, wait, 10000000000ll, &channel);
    if (status != DX_OK)
        return status;
    g.digest = digest_open();
    const char *notice = dx_channel_notice(channel);
    (void)fputs(notice, stderr);
    /* What is measured is what was asked for, or nothing. */
    if (*notice == '\0' && g.digest != NULL && write(ready_fd, "ready\n", 6) == 6)
        status = dx_serve(channel, answer, &g, &options);
    else
        status = DX_ERR_SYSTEM;
    digest_close(g.digest);
    memory_unmap(g.copy, g.room);
    (void)dx_close(channel);
    return status;
}
