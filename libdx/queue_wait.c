/* SPDX-License-Identifier: Apache-2.0 */
/* How completions are waited for: deadlines, the peer's life, and sleep. */
#include <assert.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "queue.h"
#include "slot.h"

static inline bool has_ended(const struct dx_flight *f)
{
    return f->state == DX_FLIGHT_FAILED || dx_caller_observe(f->server) == f->awaited;
}

static uint64_t session_of_peer(const struct dx_queue *q)
{
    /* Relaxed: a number that stands for itself, as in caller.c. */
    return dx_load_relaxed(&q->channel->peers[dx_other(q->channel->side)].session);
}

void dx_queue_fail_all(struct dx_queue *q, dx_status status)
{
    bool peer_ended = status == DX_ERR_PEER_DEAD || status == DX_ERR_PEER_CLOSED;
    uint64_t session = session_of_peer(q);
    if (peer_ended && session == q->told_session)
        return;
    bool told = q->waiting != 0; /* those wait for the next peer */
    for (uint32_t i = 0; i < q->in_flight.count; i++) {
        struct dx_flight *f = &q->flights[q->in_flight.at[i]];
        if (!has_ended(f) && (f->state == DX_FLIGHT_SENT || !peer_ended)) {
            dx_flight_fail(q, f, status);
            told = true;
        }
    }
    /* If all calls were answered, the next one is told. */
    if (peer_ended && told)
        q->told_session = session;
}

/* Whether the end of the peer has been told already, so that we wait for the next one. */
static dx_status check_peer(struct dx_queue *q)
{
    dx_status status = dx_channel_check(q->channel);
    if (status != DX_ERR_PEER_DEAD && status != DX_ERR_PEER_CLOSED) {
        if (status == DX_OK)
            q->told_session = 0;
        return status;
    }
    return session_of_peer(q) == q->told_session ? DX_OK : status;
}

/* Gives a deadline to what was submitted since the last look at the clock, and ends what is late.
 */
static void look_at_clock(struct dx_queue *q, int64_t now)
{
    if (q->nearest_ns != 0 && now < q->nearest_ns)
        return;
    int64_t nearest = INT64_MAX;
    for (uint32_t i = 0; i < q->in_flight.count; i++) {
        struct dx_flight *f = &q->flights[q->in_flight.at[i]];
        if (f->deadline_ns == 0)
            f->deadline_ns = dx_clock_deadline(now, f->timeout_ns);
        if (now >= f->deadline_ns && !has_ended(f)) {
            bool alone =
                f->state == DX_FLIGHT_WAITING && dx_channel_peer(q->channel) != DX_PEER_ALIVE;
            dx_flight_fail(q, f, alone ? DX_ERR_NO_PEER : DX_ERR_TIMEOUT);
        } else if (f->deadline_ns < nearest) {
            nearest = f->deadline_ns;
        }
    }
    q->nearest_ns = nearest;
}

dx_status dx_queue_look_around(struct dx_queue *q, int64_t now)
{
    look_at_clock(q, now);
    if (now - q->checked_ns < q->waiter.liveness_ns)
        return DX_OK;
    q->checked_ns = now;
    dx_status status = check_peer(q);
    if (status != DX_OK)
        dx_queue_fail_all(q, status);
    return status;
}

/* Rings the servers also for what collecting has sent: requests that waited for a greeting. */
static uint32_t collect(struct dx_queue *q, struct dx_completion *done, uint32_t room)
{
    dx_queue_ring_servers(q);
    uint32_t count = dx_queue_collect(q, done, room);
    dx_queue_ring_servers(q);
    if (q->held.count != 0)
        dx_queue_settle(q);
    return count;
}

void dx_queue_parked(void *user, bool on)
{
    struct dx_queue *q = user;
    uint32_t cell = on ? q->flights[0].slot + 1 : 0;
    if (on && q->watches_progress)
        cell |= DX_PARKED_PROGRESS;
    for (uint32_t i = 0; i < q->depth; i++) {
        /* R7 -> A7 (serve.c): the cell is armed before the server is sent there.
         * S4 <-> S3: the fence after it is in wait.c. */
        dx_store_release(&q->flights[i].line->parked, cell);
    }
}

/* Announces a sleep of those who wait for the descriptor. */
static void arm(struct dx_queue *q)
{
    look_at_clock(q, dx_clock_ns());
    dx_queue_parked(q, true);
    dx_notifier_arm(q->notifier, q->in_flight.count != 0 ? q->nearest_ns : INT64_MAX);
    q->checked_ns = 0; /* the other side is looked at after it */
}

int dx_queue_fd(struct dx_queue *q)
{
    assert(q != NULL);
    if (dx_queue_enter(q) != DX_OK)
        return -1;
    if (q->notifier == NULL)
        (void)dx_notifier_open(q->channel, q->flights[0].slot, &q->notifier);
    int fd = q->notifier != NULL ? dx_notifier_fd(q->notifier) : -1;
    dx_queue_leave(q);
    return fd;
}

dx_status dx_queue_poll(struct dx_queue *q, struct dx_completion *done, uint32_t room,
                        uint32_t *count)
{
    assert(q != NULL && done != NULL && room > 0 && count != NULL);
    *count = 0;
    dx_status status = dx_queue_enter(q);
    if (dx_unlikely(status != DX_OK))
        return status;
    *count = collect(q, done, room);
    if (*count == 0 && (q->in_flight.count != 0 || q->notifier != NULL)) {
        if (q->notifier != NULL)
            arm(q);
        (void)dx_queue_look_around(q, dx_clock_ns());
        *count = collect(q, done, room);
        if (*count != 0 && q->notifier != NULL)
            dx_notifier_signal(q->notifier);
    }
    dx_queue_leave(q);
    return DX_OK;
}

/* Are there the completions that the present wait wants? */
static bool look(void *user)
{
    const struct dx_queue *q = user;
    uint32_t ended = 0;
    for (uint32_t i = 0; i < q->in_flight.count; i++) {
        const struct dx_flight *f = &q->flights[q->in_flight.at[i]];
        if (!has_ended(f))
            continue;
        if (f->state == DX_FLIGHT_WAITING || ++ended == q->wanted)
            return true;
    }
    return false;
}

/* Has the server let go of a slot? */
static bool look_at_held(void *user)
{
    const struct dx_queue *q = user;
    for (uint32_t i = 0; i < q->held.count; i++)
        if (dx_flight_let_go(q, &q->flights[q->held.at[i]]))
            return true;
    return false;
}

static dx_status check(void *user)
{
    return check_peer(user);
}

dx_status dx_queue_wait_once(struct dx_queue *q, bool (*for_what)(void *queue), uint32_t looks,
                             int64_t now, int64_t until_ns)
{
    if (q->notifier != NULL)
        dx_notifier_recall(q->notifier);
    struct dx_source source = dx_channel_source(q->channel, q->flights[0].slot, q);
    source.look = for_what;
    source.check = check;
    source.parked = dx_queue_parked;
    int64_t end = until_ns;
    if (q->in_flight.count != 0 && q->nearest_ns != 0 && q->nearest_ns < end)
        end = q->nearest_ns;
    return dx_wait_on(&q->waiter, &source, looks, end > now ? end - now : 1);
}

/* The first looks decide the latency. Returns how many completions there were. */
static uint32_t spin(struct dx_queue *q, struct dx_completion *done, uint32_t room, uint32_t least,
                     uint32_t looks)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= looks; n++) {
        count += dx_queue_collect(q, done + count, room - count);
        if (count >= least || q->in_flight.count == 0) {
            dx_waiter_spun(&q->waiter, n);
            break;
        }
        dx_waiter_relax(&q->waiter);
    }
    dx_queue_ring_servers(q);
    return count;
}

/* Goes on after the first looks. */
static dx_status await(struct dx_queue *q, uint32_t least, uint32_t looks, int64_t timeout_ns,
                       struct dx_completion *done, uint32_t room, uint32_t *count)
{
    int64_t now = dx_clock_ns();
    int64_t until_ns = dx_clock_deadline(now, timeout_ns);
    while (*count < least && q->in_flight.count != 0) {
        if (now >= until_ns)
            return dx_fail_plain(DX_ERR_TIMEOUT);
        look_at_clock(q, now);
        q->wanted = least - *count < q->in_flight.count ? least - *count : q->in_flight.count;
        dx_status status = dx_queue_wait_once(q, look, looks, now, until_ns);
        looks = 0;
        if (status != DX_OK && status != DX_ERR_TIMEOUT)
            dx_queue_fail_all(q, status);
        now = dx_clock_ns();
        (void)dx_queue_look_around(q,
                                   now); /* also if the other side shows news and takes it back */
        *count += collect(q, done + *count, room - *count);
    }
    return DX_OK;
}

dx_status dx_queue_wait(struct dx_queue *q, uint32_t least, int64_t timeout_ns,
                        struct dx_completion *done, uint32_t room, uint32_t *count)
{
    assert(q != NULL && done != NULL && count != NULL);
    *count = 0;
    if (least == 0 || least > room)
        return dx_fail(DX_ERR_INVALID, "wait for %u completions, with room for %u: 1 to %u", least,
                       room, room);
    dx_status status = dx_queue_enter(q);
    if (dx_unlikely(status != DX_OK))
        return status;
    dx_queue_ring_servers(q);
    uint32_t looks = 0;
    if (q->in_flight.count != 0) {
        looks = dx_waiter_first_looks(&q->waiter);
        *count = spin(q, done, room, least, looks);
    }
    if (dx_unlikely(*count < least && q->in_flight.count != 0))
        status = await(q, least, looks, timeout_ns, done, room, count);
    dx_queue_leave(q);
    return status;
}

static dx_status await_slot(struct dx_queue *q, int64_t timeout_ns)
{
    int64_t now = dx_clock_ns();
    int64_t until_ns = dx_clock_deadline(now, timeout_ns);
    dx_queue_ring_servers(q);
    for (;;) {
        dx_queue_settle(q);
        if (q->idle.count != 0 || q->building != DX_NO_FLIGHT)
            return DX_OK;
        if (q->held.count == 0)
            return dx_queue_no_slot(q);
        if (now >= until_ns)
            return dx_fail_plain(dx_channel_peer(q->channel) == DX_PEER_ALIVE ? DX_ERR_TIMEOUT
                                                                              : DX_ERR_NO_PEER);
        dx_status status = dx_queue_wait_once(q, look_at_held, 0, now, until_ns);
        now = dx_clock_ns();
        if (status == DX_OK || status == DX_ERR_TIMEOUT)
            status = dx_queue_look_around(q, now);
        else
            dx_queue_fail_all(q, status);
        if (status != DX_OK) {
            q->told_session = session_of_peer(q);
            return dx_fail_plain(status);
        }
    }
}

dx_status dx_queue_wait_slot(struct dx_queue *q, int64_t timeout_ns)
{
    assert(q != NULL);
    dx_status status = dx_queue_enter(q);
    if (status != DX_OK)
        return status;
    status = await_slot(q, timeout_ns);
    dx_queue_leave(q);
    return status;
}
