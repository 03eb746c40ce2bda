/* SPDX-License-Identifier: Apache-2.0 */
/* The verification of a frame that the guest has got. The guest acknowledges in two phases: it has
 * taken the request up, and it has answered. Only calls of a queue see the first one. */
#include "host_state.h"

#include "memory.h"

static int ask(struct frame_host *h, struct dx_queue *queue, enum frame_type type,
               struct frame_report *report, int64_t *taken_up_ns)
{
    struct dx_completion done;
    enum dx_progress progress;
    uint32_t count;
    size_t bytes = sizeof h->head + (h->head.bytes <= h->room ? h->head.bytes : 0);
    if (dx_queue_request(queue) == NULL)
        return DX_ERR_TIMEOUT;
    int64_t start = memory_now_ns();
    dx_status status = dx_queue_submit_in_place(queue, 1, type, bytes, h->timeout_ns);
    if (status == DX_OK)
        status = dx_queue_wait_progress(queue, 1, DX_PROGRESS_TAKEN_UP, DX_FOREVER, &progress);
    if (status == DX_OK && progress == DX_PROGRESS_TAKEN_UP)
        *taken_up_ns = memory_now_ns() - start;
    if (status == DX_OK)
        status = dx_queue_wait(queue, 1, DX_FOREVER, &done, 1, &count);
    if (status != DX_OK)
        return status;
    if (done.result != DX_OK)
        return done.result;
    struct dx_reply reply = {.data = done.data, .bytes = done.bytes, .status = done.status};
    return host_answer(h, &reply, report);
}

int frame_host_verify(struct frame_host *h, enum frame_type type, struct frame_report *report,
                      int64_t *taken_up_ns)
{
    struct dx_queue *queue;
    *taken_up_ns = -1;
    *report = (struct frame_report){0};
    if (h->back)
        return back_phase(h, type, report);
    if (!host_put_head(h))
        return DX_ERR_TIMEOUT;
    /* There is one slot, in which the frame lies: the queue gets it, and gives it back. */
    dx_caller_close(h->caller);
    h->caller = NULL;
    dx_status status = dx_queue_open(h->channel, 1, &queue);
    if (status != DX_OK)
        return status;
    int result = ask(h, queue, type, report, taken_up_ns);
    dx_queue_close(queue);
    status = dx_caller_open(h->channel, h->timeout_ns, &h->caller);
    return result != DX_OK ? result : status;
}
