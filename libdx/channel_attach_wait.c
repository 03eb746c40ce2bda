/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching, at once or with patience. Nobody is there yet who could wake whoever waits for a host,
 * so that it looks: soon again at first, later less often. The pause between two looks is as long
 * as was waited so far: a host that begins soon is found soon, and waiting for hours costs next to
 * nothing.
 */
#include <stdlib.h>
#include <time.h>

#include "atomic.h"
#include "channel.h"
#include "clock.h"
#include "dx_native.h"
#include "error.h"
#include "fault.h"
#include "rendezvous_link.h"

#define PAUSE_MIN_NS 1000000ll
#define PAUSE_MAX_NS 95000000ll /* dx_channel.h names it */

struct dx_native_attach {
    struct dx_channel *channel;
    struct dx_url url; /* larger than what a small stack has room for */
};

static dx_status begin(const char *url, const struct dx_wait *wait, struct dx_native_attach **out)
{
    *out = NULL;
    struct dx_native_attach *a = calloc(1, sizeof *a);
    if (a == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory to attach");
    dx_status status = dx_channel_make(DX_GUEST, wait, &a->channel);
    if (status == DX_OK)
        status = dx_url_parse(url, &a->url);
    if (status == DX_OK)
        *out = a;
    else
        dx_native_attach_end(a);
    return status;
}

/* The place is ours. What can fail comes first: once the other side has been told of us, an end of
 * ours is one that it must be told of, too. */
static dx_status finish(struct dx_channel *c)
{
    dx_status status = dx_channel_make_books(c);
    if (status == DX_OK)
        status = dx_channel_measure(c);
    if (status == DX_OK)
        status = dx_channel_start(c);
    if (status != DX_OK) {
        dx_session_withdraw(c);
        return status;
    }
    DX_FAULT(GUEST_CHECKED);
    dx_session_begin_guest(c);
    return DX_OK;
}

/* One attempt. *again: what it failed for may change. */
static dx_status attempt(struct dx_native_attach *a, struct dx_channel **out, bool *again)
{
    dx_status status = dx_attach_try(a->channel, &a->url, 0);
    *again = dx_attach_may_change(status);
    if (status == DX_OK)
        status = finish(a->channel);
    if (status == DX_OK) {
        *out = a->channel;
        a->channel = NULL;
    }
    return status;
}

/* Sleeps so long, or until a rendezvous tells us something: then true. */
static bool sleep_or_hear(struct dx_channel *c, int64_t pause_ns)
{
    if (c->region.base != NULL && c->region.link != NULL) {
        int64_t until = dx_clock_ns() + pause_ns;
        if (!dx_link_await_news(c->region.link, pause_ns))
            dx_region_close(&c->region);
        return dx_clock_ns() < until;
    }
    struct timespec pause = dx_clock_timespec(pause_ns);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    return false;
}

static int64_t pause_after(int64_t waited_ns)
{
    if (waited_ns < PAUSE_MIN_NS)
        return PAUSE_MIN_NS;
    return waited_ns < PAUSE_MAX_NS ? waited_ns : PAUSE_MAX_NS;
}

static dx_status attach(struct dx_native_attach *a, int64_t timeout_ns, struct dx_channel **out)
{
    int64_t since = dx_clock_ns(); /* the beginning, or the latest news */
    int64_t deadline = dx_clock_deadline(since, timeout_ns);
    /* Also without patience whoever serves a rendezvous is given a second. */
    a->url.greet_by_ns = since + DX_LINK_GREETING_NS;
    if (deadline > a->url.greet_by_ns)
        a->url.greet_by_ns = deadline;
    for (;;) {
        bool again;
        dx_status status = attempt(a, out, &again);
        int64_t now = dx_clock_ns();
        if (status == DX_OK || !again || now >= deadline)
            return status;
        int64_t pause_ns = pause_after(now - since);
        if (sleep_or_hear(a->channel, deadline - now < pause_ns ? deadline - now : pause_ns))
            since = dx_clock_ns();
    }
}

dx_status dx_attach(const char *url, const struct dx_wait *wait, int64_t timeout_ns,
                    struct dx_channel **out)
{
    uint64_t mark = dx_error_mark();
    struct dx_native_attach *a;
    *out = NULL;
    dx_status status = begin(url, wait, &a);
    if (status == DX_OK)
        status = attach(a, timeout_ns, out);
    dx_native_attach_end(a);
    return dx_error_settle(mark, status);
}

dx_status dx_native_attach_begin(const char *url, const struct dx_wait *wait,
                                 struct dx_native_attach **out)
{
    uint64_t mark = dx_error_mark();
    return dx_error_settle(mark, begin(url, wait, out));
}

dx_status dx_native_attach_try(struct dx_native_attach *a, struct dx_channel **out, bool *again)
{
    uint64_t mark = dx_error_mark();
    *out = NULL;
    /* What a rendezvous has said meanwhile. */
    if (a->channel->region.base != NULL && a->channel->region.link != NULL)
        (void)sleep_or_hear(a->channel, 0);
    return dx_error_settle(mark, attempt(a, out, again));
}

void dx_native_attach_end(struct dx_native_attach *a)
{
    if (a != NULL && a->channel != NULL)
        dx_channel_destroy(a->channel);
    free(a);
}

static dx_status observe(const char *url, uint32_t place, struct dx_channel **out)
{
    struct dx_native_attach *a;
    dx_status status = begin(url, NULL, &a);
    if (status == DX_OK) {
        a->channel->observer = true;
        status = dx_attach_try(a->channel, &a->url, place);
    }
    if (status == DX_OK)
        status = dx_channel_make_books(a->channel);
    if (status == DX_OK) {
        /* Whoever only reads is no peer: nobody is to ring it, or to tell it who leaves. */
        dx_link_close(a->channel->region.link);
        a->channel->region.link = NULL;
        *out = a->channel;
        a->channel = NULL;
    }
    dx_native_attach_end(a);
    return status;
}

dx_status dx_observe_place(const char *url, uint32_t place, struct dx_channel **out)
{
    uint64_t mark = dx_error_mark();
    *out = NULL;
    return dx_error_settle(mark, observe(url, place, out));
}

dx_status dx_observe(const char *url, struct dx_channel **out)
{
    return dx_observe_place(url, 0, out);
}
