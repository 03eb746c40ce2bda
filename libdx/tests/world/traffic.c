/* SPDX-License-Identifier: Apache-2.0 */
/* The calls and streams that are exchanged, and what answers them. */
#include <string.h>

#include "peer.h"

struct dx_config peer_config(const struct dx_wait *wait)
{
    return (struct dx_config){.slots = PEER_SLOTS,
                              .guest_slots = PEER_SLOTS,
                              .request_capacity = PEER_CAPACITY,
                              .response_capacity = PEER_CAPACITY,
                              .wait = wait};
}

int32_t peer_handler(void *user, const struct dx_request *request, struct dx_response *response)
{
    if (request->type == PEER_TYPE_STOP)
        dx_stop(user);
    if (request->bytes <= response->capacity) {
        memcpy(response->data, request->data, request->bytes);
        response->bytes = request->bytes;
    }
    return 0;
}

/* Passes on what comes, part by part; a part that was read is written before the next. */
int32_t peer_stream_handler(void *user, struct dx_stream *stream)
{
    (void)user;
    for (;;) {
        const void *data;
        size_t bytes;
        if (dx_stream_peek(stream, 1, &data, &bytes, PEER_PATIENCE_NS) != DX_OK)
            return 1;
        if (bytes == 0)
            return 0;
        if (dx_stream_write(stream, data, bytes, NULL, PEER_PATIENCE_NS) != DX_OK)
            return 2;
        dx_stream_consume(stream, bytes);
    }
}

static dx_status call_once(struct dx_caller *caller, uint32_t number, int64_t timeout_ns)
{
    uint32_t answer = 0;
    size_t bytes = sizeof answer;
    dx_status status =
        dx_call(caller, PEER_TYPE_ECHO, &number, sizeof number, &answer, &bytes, NULL, timeout_ns);
    bool right = bytes == sizeof answer && answer == number;
    return status != DX_OK || right ? status : DX_ERR_CORRUPT;
}

dx_status peer_calls(struct dx_channel *channel, int64_t timeout_ns)
{
    struct dx_caller *caller = NULL;
    dx_status status = dx_caller_open(channel, timeout_ns, &caller);
    for (uint32_t i = 1; i <= 2 && status == DX_OK; i++)
        status = call_once(caller, 7 * i, timeout_ns);
    dx_caller_close(caller);
    return status;
}

/* If earlier calls were given up, the server may have to let go of their slots first. */
static dx_status submit(struct dx_queue *queue, uint32_t number, int64_t timeout_ns)
{
    dx_status status = dx_queue_wait_slot(queue, timeout_ns);
    return status != DX_OK
               ? status
               : dx_queue_submit(queue, number, PEER_TYPE_ECHO, &number, sizeof number, timeout_ns);
}

/* One call after the other, and then two at a time. */
static dx_status answers_come(struct dx_queue *queue, int64_t timeout_ns)
{
    struct dx_completion done[PEER_SLOTS];
    dx_status status = DX_OK;
    for (uint32_t depth = 1; depth <= PEER_SLOTS && status == DX_OK; depth++) {
        uint32_t count = 0;
        for (uint32_t number = 0; number < depth && status == DX_OK; number++)
            status = submit(queue, number, timeout_ns);
        if (status ==
            DX_ERR_NO_SLOT) /* a slot of an earlier try, and the other call is under way */
            status = DX_OK;
        if (status == DX_OK)
            status = dx_queue_wait(queue, depth, timeout_ns, done, PEER_SLOTS, &count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t tag = (uint32_t)done[i].tag;
            if (status == DX_OK)
                status = done[i].result;
            if (status == DX_OK &&
                (done[i].bytes != sizeof tag || memcmp(done[i].data, &tag, sizeof tag) != 0))
                status = DX_ERR_CORRUPT;
            (void)dx_queue_seen(queue, &done[i]);
        }
    }
    return status;
}

dx_status peer_queues(struct dx_channel *channel, int64_t timeout_ns)
{
    struct dx_queue *queue;
    dx_status status = dx_queue_open(channel, PEER_SLOTS, &queue);
    if (status == DX_OK)
        status = answers_come(queue, timeout_ns);
    dx_queue_close(queue);
    return status;
}

/* Both directions at once, since the rings are smaller than what goes through them. */
static dx_status exchange(struct dx_stream *stream, int64_t timeout_ns)
{
    unsigned char sent[PEER_STREAM_BYTES];
    unsigned char got[PEER_STREAM_BYTES] = {0};
    size_t written = 0;
    size_t read = 0;
    dx_status status = DX_OK;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (unsigned char)(i * 31 / 7);
    while (status == DX_OK && read < sizeof got) {
        size_t part = 0;
        if (written < sizeof sent) {
            status = dx_stream_write(stream, sent + written, sizeof sent - written, &part, 0);
            written += part;
            if (written == sizeof sent)
                dx_stream_close_write(stream);
        }
        if (status == DX_OK || status == DX_ERR_TIMEOUT) {
            status = dx_stream_read(stream, got + read, sizeof got - read, &part, 0);
            read += part;
        }
        uint32_t room = written < sizeof sent ? (uint32_t)DX_STREAM_WRITABLE : 0;
        if (status == DX_ERR_TIMEOUT)
            status = dx_stream_wait(stream, DX_STREAM_READABLE | room, timeout_ns);
    }
    return status == DX_OK && memcmp(sent, got, sizeof got) != 0 ? DX_ERR_CORRUPT : status;
}

dx_status peer_streams(struct dx_channel *channel, int64_t timeout_ns)
{
    struct dx_caller *caller;
    struct dx_stream *stream;
    dx_status status = dx_caller_open(channel, timeout_ns, &caller);
    if (status != DX_OK)
        return status;
    status = dx_stream_open(caller, PEER_TYPE_ECHO, NULL, timeout_ns, &stream);
    if (status == DX_OK) {
        int32_t handlers = 0;
        status = exchange(stream, timeout_ns);
        dx_status end = dx_stream_end(stream, &handlers, timeout_ns);
        if (status == DX_OK)
            status = end == DX_OK && handlers != 0 ? DX_ERR_CORRUPT : end;
    }
    dx_caller_close(caller);
    return status;
}
