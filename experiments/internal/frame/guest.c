/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../../libdx/dx.h"
#include "digest.h"
#include "frame.h"
#include "memory.h"
#include "receiver.h"
#include "sender.h"

/* guest_count.go. Between the two, events of this thread are counted; the second one writes them
 * as text and returns its length. */
extern void dxFrameCountBegin(uintptr_t counters);
extern size_t dxFrameCountEnd(uintptr_t counters, void *text, size_t room);

#define STREAM_TIMEOUT_NS 10000000000ll

struct guest {
    uintptr_t counters;
    struct digest *digest;
    size_t chunk;             /* of streams; 0: the library's own */
    int64_t stream_ns;        /* what the latest stream took */
    struct receiver receiver; /* of frames from the host */
    struct sender sender;     /* of frames to it; only one of the two has memory */
    bool lies;                /* behind every response there is a frame of ours */
};

/* A message, with its head read once, and where its response goes. */
struct message {
    uint32_t type;
    struct frame_head head;
    const unsigned char *content; /* a frame from the host, in the region */
    size_t bytes;                 /* of that */
    unsigned char *text;          /* at most FRAME_TEXT_BYTES */
    unsigned char *place;         /* of a frame to the host; NULL: there is no room for one */
    struct frame_report report;
};

static bool prepare(struct guest *g, struct message *m)
{
    size_t bytes = m->head.bytes;
    receiver_close(&g->receiver);
    sender_close(&g->sender);
    g->lies = false;
    g->chunk = m->head.chunk;
    m->report.flush = memory_flush_kind();
    if (bytes < FRAME_STEP || bytes > FRAME_BYTES_MAX || bytes % FRAME_STEP != 0)
        return false;
    return m->head.flags & FRAME_GUEST_SENDS ? sender_prepare(&g->sender, bytes)
                                             : receiver_prepare(&g->receiver, bytes);
}

/* What a guest does that sends. False: it knows no such message, or has no room for the frame. */
static bool send_frame(struct guest *g, struct message *m)
{
    struct sender *s = &g->sender;
    if (m->head.bytes != s->bytes || m->head.fault > FRAME_FAULT_SKIP_COPY)
        return false;
    if (m->type == FRAME_MAKE) {
        bool in_place = m->head.flags & FRAME_IN_PLACE;
        if (in_place && m->place == NULL)
            return false;
        bool made = sender_make(s, g->digest, m->head.sequence, (enum frame_fault)m->head.fault,
                                in_place ? m->place : NULL, &m->report.ns, m->report.digest);
        m->report.sum = s->sum;
        g->lies = g->lies || in_place;
        return made;
    }
    if (s->frame == NULL)
        return false;
    switch (m->type) {
    case FRAME_MEMCPY:
        m->report.ns = sender_memcpy(s);
        return true;
    case FRAME_WRITE:
        if (m->place == NULL)
            return false;
        m->report.ns = sender_write(s, m->place);
        m->report.bytes = s->bytes;
        g->lies = true;
        return true;
    case FRAME_COUNT:
        if (m->place == NULL)
            return false;
        dxFrameCountBegin(g->counters);
        memory_copy(m->place, s->source, s->bytes);
        m->report.text_bytes = dxFrameCountEnd(g->counters, m->text, FRAME_TEXT_BYTES);
        return true;
    default:
        return false;
    }
}

/* What a guest does to which frames are sent. */
static bool receive_frame(struct guest *g, struct message *m)
{
    const struct receiver *r = &g->receiver;
    size_t bytes = m->head.bytes;
    if (bytes > r->room || bytes < FRAME_STEP || bytes % FRAME_STEP != 0 ||
        (receiver_reads_region(m->type) && bytes > m->bytes))
        return false;
    if (m->type == FRAME_COUNT) {
        dxFrameCountBegin(g->counters);
        memory_copy(r->copy, m->content, bytes);
        m->report.text_bytes = dxFrameCountEnd(g->counters, m->text, FRAME_TEXT_BYTES);
        return true;
    }
    return receiver_act(r, g->digest, m->type, &m->head, m->content, &m->report);
}

static bool act(struct guest *g, struct message *m)
{
    switch (m->type) {
    case FRAME_NOTIFY:
        return true;
    case FRAME_PREPARE:
    case FRAME_MEMORY: {
        bool good = m->type == FRAME_MEMORY || prepare(g, m);
        m->report.anonymous_bytes = memory_anonymous_bytes();
        return good;
    }
    default:
        return g->sender.bytes != 0 ? send_frame(g, m) : receive_frame(g, m);
    }
}

/* The handler's status: 0, or an errno-like 1 for a message that makes no sense. */
static int32_t answer(void *user, const struct dx_request *request, struct dx_response *response)
{
    struct guest *g = user;
    struct message m = {.type = request->type};
    if (request->bytes < sizeof m.head || response->capacity < FRAME_RESPONSE_CONTENT)
        return 1;
    memcpy(&m.head, request->data, sizeof m.head); /* read once: what follows uses this copy */
    m.content = (const unsigned char *)request->data + sizeof m.head;
    m.bytes = request->bytes - sizeof m.head;
    m.text = (unsigned char *)response->data + sizeof m.report;
    if (g->sender.bytes != 0 && g->sender.bytes <= response->capacity - FRAME_RESPONSE_CONTENT)
        m.place = (unsigned char *)response->data + FRAME_RESPONSE_CONTENT;
    m.report.sequence = m.head.sequence;
    m.report.stream_ns = g->stream_ns;
    struct dx_token token;
    bool later = m.type == FRAME_VERIFY_COPY || m.type == FRAME_VERIFY_PLACE;
    if (later && dx_answer_later(request, &token) != DX_OK)
        return 1;
    bool good = act(g, &m);
    memcpy(response->data, &m.report, sizeof m.report);
    response->bytes =
        g->lies ? FRAME_RESPONSE_CONTENT + g->sender.bytes : sizeof m.report + m.report.text_bytes;
    if (later)
        (void)dx_answer(&token, response->bytes, good ? 0 : 1); /* the host may have given up */
    return good ? 0 : 1;
}

/* A stream of either direction. The status is 0 if all of it went. */
static int32_t flow(void *user, struct dx_stream *stream)
{
    struct guest *g = user;
    struct sender *s = &g->sender;
    uint32_t type = dx_stream_type(stream);
    size_t bytes = 0, wanted = type == FRAME_STREAM_BACK ? s->bytes : g->receiver.room;
    if (g->chunk != 0)
        dx_stream_set_chunk(stream, g->chunk);
    if (type == FRAME_STREAM_BACK && s->frame == s->source)
        sender_spoil_stream(s);
    int64_t start = memory_now_ns();
    if (type == FRAME_STREAM_BACK)
        (void)dx_stream_write(stream, s->source, s->bytes, &bytes, STREAM_TIMEOUT_NS);
    else if (type == FRAME_STREAM || type == FRAME_STREAM_DROP)
        bytes = receiver_take(&g->receiver, stream, type == FRAME_STREAM_DROP, STREAM_TIMEOUT_NS);
    g->stream_ns = memory_now_ns() - start;
    return bytes == wanted && bytes != 0 ? 0 : 1;
}

int frame_serve(const char *url, const struct dx_wait *wait, int ready_fd, uintptr_t counters)
{
    struct dx_channel *channel;
    struct guest g = {.counters = counters};
    struct dx_serve_options options = {.stream = flow};
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
    receiver_close(&g.receiver);
    sender_close(&g.sender);
    (void)dx_close(channel);
    return status;
}
