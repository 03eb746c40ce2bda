/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that keep several calls in flight: each answer is followed by the next submission. */
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "load_private.h"

int load_queue_open(struct load_thread *t)
{
    uint32_t depth = t->load->in_flight;
    t->flights = calloc(depth, sizeof *t->flights);
    return t->flights == NULL ? DX_ERR_SYSTEM : dx_queue_open(t->load->channel, depth, &t->queue);
}

void load_queue_close(struct load_thread *t)
{
    dx_queue_close(t->queue);
    free(t->flights);
}

static void submit(struct load_thread *t, uint64_t tag)
{
    struct load *load = t->load;
    t->flights[tag].sequence = ++t->sequence;
    if (load->verify)
        content_fill(t->request, load->payload_bytes, t->index, t->sequence);
    if (t->row.rtt_ns != NULL)
        t->flights[tag].start_ns = load_now_ns();
    dx_status status =
        dx_queue_submit(t->queue, tag, load->verify ? LOAD_TYPE_VERIFY : LOAD_TYPE_ECHO, t->request,
                        load->payload_bytes, CALL_TIMEOUT_NS);
    if (status != DX_OK)
        load_failed(t, status);
}

static void keep_time(struct load_thread *t, const struct load_flight *flight)
{
    if (t->count.samples == t->row.room)
        t->count.dropped++;
    else
        t->row.rtt_ns[t->count.samples++] = load_sample(load_now_ns() - flight->start_ns);
}

/* Copies the answer out, as a blocking call does. */
static void finish(struct load_thread *t, const struct dx_completion *done)
{
    struct load *load = t->load;
    const struct load_flight *flight = &t->flights[done->tag];
    if (done->result != DX_OK) {
        load_failed(t, done->result);
        return;
    }
    size_t bytes = done->bytes < load->payload_bytes ? done->bytes : load->payload_bytes;
    memcpy(t->response, done->data, bytes);
    if (t->row.rtt_ns != NULL)
        keep_time(t, flight);
    t->count.calls++;
    if (load->verify && (done->bytes != load->payload_bytes ||
                         !content_is_answer(t->response, bytes, t->index, flight->sequence)))
        t->count.verify_failures++;
}

void load_queue_run(struct load_thread *t)
{
    const uint32_t depth = t->load->in_flight;
    struct dx_completion *done = malloc(depth * sizeof *done);
    if (done == NULL) {
        load_failed(t, DX_ERR_SYSTEM);
        return;
    }
    for (uint64_t tag = 0; tag < depth; tag++)
        submit(t, tag);
    for (uint32_t count = 1; count != 0;) {
        dx_status status = dx_queue_wait(t->queue, 1, DX_FOREVER, done, depth, &count);
        if (status != DX_OK)
            load_failed(t, status);
        for (uint32_t i = 0; i < count; i++) {
            finish(t, &done[i]);
            (void)dx_queue_seen(t->queue, &done[i]);
            if (!load_stopped(t->load))
                submit(t, done[i].tag);
        }
    }
    free(done);
}
