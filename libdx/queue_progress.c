/* SPDX-License-Identifier: Apache-2.0 */
/* How far a call of a queue has come, and how that is waited for. */
#include <assert.h>

#include "clock.h"
#include "error.h"
#include "queue.h"
#include "queue_tags.h"
#include "slot.h"

static enum dx_progress progress_of(const struct dx_queue *q, const struct dx_flight *f)
{
    if (f->state == DX_FLIGHT_FAILED)
        return DX_PROGRESS_ENDED;
    uint64_t word = dx_caller_observe(f->server);
    if (f->state == DX_FLIGHT_SENT && word == f->awaited)
        return DX_PROGRESS_ENDED;
    bool taken_up =
        f->state == DX_FLIGHT_SENT && word == dx_word(q->epoch, DX_SERVER_PROCESSING, f->sequence);
    return taken_up ? DX_PROGRESS_TAKEN_UP : DX_PROGRESS_SENT;
}

enum dx_progress dx_queue_progress(const struct dx_queue *q, uint64_t tag)
{
    assert(q != NULL);
    uint32_t index = dx_channel_forked(q->channel) ? DX_NO_FLIGHT : dx_tag_find(q, tag);
    return index != DX_NO_FLIGHT ? progress_of(q, &q->flights[index]) : DX_PROGRESS_NONE;
}

/* Has the call that is watched come so far, or can it be sent now? */
static bool look(void *user)
{
    const struct dx_queue *q = user;
    const struct dx_flight *f = &q->flights[q->watched];
    if (f->state == DX_FLIGHT_WAITING)
        return dx_caller_observe(f->server) == f->awaited;
    return progress_of(q, f) >= q->least;
}

static dx_status await(struct dx_queue *q, int64_t timeout_ns, enum dx_progress *progress)
{
    struct dx_flight *f = &q->flights[q->watched];
    int64_t now = dx_clock_ns();
    int64_t until_ns = dx_clock_deadline(now, timeout_ns);
    for (;;) {
        dx_queue_send_all(q);
        *progress = progress_of(q, f);
        if (*progress >= q->least)
            return DX_OK;
        if (now >= until_ns)
            return dx_fail_plain(DX_ERR_TIMEOUT);
        (void)dx_queue_look_around(q, now);
        dx_status status = dx_queue_wait_once(q, look, 0, now, until_ns);
        if (status != DX_OK && status != DX_ERR_TIMEOUT)
            dx_queue_fail_all(q, status);
        now = dx_clock_ns();
    }
}

dx_status dx_queue_wait_progress(struct dx_queue *q, uint64_t tag, enum dx_progress least,
                                 int64_t timeout_ns, enum dx_progress *progress)
{
    assert(q != NULL && progress != NULL);
    *progress = DX_PROGRESS_NONE;
    if (least != DX_PROGRESS_TAKEN_UP && least != DX_PROGRESS_ENDED)
        return dx_fail(DX_ERR_INVALID, "wait for progress %d: %d or %d are possible", (int)least,
                       (int)DX_PROGRESS_TAKEN_UP, (int)DX_PROGRESS_ENDED);
    dx_status status = dx_queue_enter(q);
    if (status != DX_OK)
        return status;
    q->watched = dx_tag_find(q, tag);
    if (q->watched != DX_NO_FLIGHT) {
        q->least = least;
        q->watches_progress = true;
        status = await(q, timeout_ns, progress);
        q->watches_progress = false;
    } else {
        status =
            dx_fail(DX_ERR_INVALID, "no call with tag %llu is in flight", (unsigned long long)tag);
    }
    dx_queue_leave(q);
    return status;
}
