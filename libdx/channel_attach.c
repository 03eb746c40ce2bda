/* SPDX-License-Identifier: Apache-2.0 */
/* How a guest and an observer find a region. */
#include <sys/stat.h>

#include "atomic.h"
#include "channel.h"
#include "error.h"
#include "fault.h"
#include "liveness_heartbeat.h"
#include "liveness_kernel.h"
#include "random.h"
#include "rendezvous_link.h"

static dx_status see_lock(const struct dx_channel *c, enum dx_lock lock, bool *held)
{
    return dx_region_lock_see(c->region.fd, dx_lock_at(c->region.place, lock), c->region.url.path,
                              held);
}

/* Is there a living host in good order? */
static dx_status check_host(const struct dx_channel *c)
{
    const char *path = c->region.url.path;
    const struct dx_peer_lines *host = &c->peers[DX_HOST];
    bool lives;
    dx_status status = DX_OK;
    if (dx_channel_is_remote(c))
        /* One process is the host of all places, and whoever could lie could do so in each. */
        lives = c->region.place != 0 || dx_heartbeat_heard(host, DX_HEARTBEAT_LISTEN_NS);
    else
        status = see_lock(c, DX_LOCK_OPEN, &lives);
    if (status != DX_OK)
        return status;
    if (!lives)
        return dx_fail(DX_ERR_STALE,
                       "%s: left by a host that is gone (process %u); a new host "
                       "will take it over",
                       path, host->pid);
    /* A4 <- R4: the host's cells and slots are there when it is open. */
    if (dx_load_acquire(&host->state) != DX_PEER_STATE_OPEN)
        return dx_fail(DX_ERR_STALE, "%s: its host is not ready", path);
    return DX_OK;
}

/* The header, read once and checked; the error says where. */
static dx_status check_header(struct dx_channel *c)
{
    c->header = c->region.base;
    /* A1 <- R1: only its value counts here. */
    if (dx_load_acquire(&c->header->magic) == DX_MAGIC_REBUILDING)
        return dx_fail(DX_ERR_STALE, "%s: its host has not finished it", c->region.url.path);
    /* A1 <- R1: zero memory was made for a host that has yet to begin. */
    if (dx_load_acquire(&c->header->magic) == 0 &&
        (c->region.link != NULL || dx_region_is_blank(c->region.base)))
        return dx_fail(DX_ERR_NO_PEER, "%s: no host has begun there yet", c->region.url.path);
    dx_status status = dx_header_check(c->header, c->region.bytes, &c->geometry);
    struct stat s;
    if (status == DX_ERR_SHORT && fstat(c->region.fd, &s) == 0 &&
        (uint64_t)s.st_size > c->region.bytes && c->region.offset == 0)
        return dx_fail(DX_ERR_STALE, "%s: a new host made it larger just now", c->region.url.path);
    if (status != DX_OK)
        return dx_fail_at(status, c->region.url.path);
    dx_channel_point(c);
    return DX_OK;
}

/* Is there a region whose host is under another kernel? Then its locks say nothing. */
static bool host_is_remote(struct dx_channel *c)
{
    return dx_channel_kernels(c) == DX_OTHER_KERNEL ||
           (check_header(c) == DX_OK && dx_channel_is_remote(c));
}

/* What there is where no host is open. A host that begins may be writing what we read: nothing that
 * is read while there may be one counts. */
static dx_status check_no_host(struct dx_channel *c)
{
    bool begins;
    dx_status seen = see_lock(c, DX_LOCK_HOST, &begins);
    dx_status status = check_header(c);
    if (seen == DX_OK && !begins)
        seen = see_lock(c, DX_LOCK_HOST, &begins);
    if (seen != DX_OK)
        return seen;
    if (begins)
        return dx_fail(DX_ERR_STALE, "%s: its host is just beginning", c->region.url.path);
    return status == DX_OK ? check_host(c) : status;
}

/* Without a host there is nothing to attach to, and the guest's lock is left alone: a new host
 * must be able to tell those who wait from those who are attached. */
static dx_status lock_as_guest(struct dx_channel *c)
{
    const char *path = c->region.url.path;
    bool open;
    dx_status status = see_lock(c, DX_LOCK_OPEN, &open);
    if (status != DX_OK)
        return status;
    if (!open && !host_is_remote(c))
        return check_no_host(c);
    status = dx_region_lock(c->region.fd, dx_lock_at(c->region.place, DX_LOCK_GUEST), path);
    if (status == DX_ERR_BUSY)
        return dx_fail(DX_ERR_GUEST_EXISTS, "%s: a living guest is attached", path);
    if (status == DX_OK) {
        DX_FAULT(GUEST_LOCKED);
    }
    return status;
}

/*
 * Makes the guest's place ours. Its lock keeps out those under our kernel; for all others it is the
 * session that is taken, from that of a guest who is gone. A host that begins meanwhile either sees
 * us there, or we see that it begins. silent: what was noted of a guest that was not heard since;
 * NULL: nobody has listened.
 */
static dx_status take_place(struct dx_channel *c, const struct dx_heartbeat_sample *silent)
{
    struct dx_peer_lines *self = &c->peers[DX_GUEST];
    const char *path = c->region.url.path;
    /* Relaxed: the exchange decides. */
    uint64_t before = dx_load_relaxed(&self->session);
    c->former_state = dx_load_relaxed(&self->state); /* relaxed: written back if we withdraw */
    if (dx_channel_kernels(c) != DX_SAME_KERNEL && !dx_heartbeat_vacant(self) &&
        (silent == NULL || dx_heartbeat_changed(silent, self)))
        return dx_fail(DX_ERR_GUEST_EXISTS, "%s: a guest under another kernel is attached", path);
    c->session = dx_random64();
    /* S5 <-> S6 (channel_create.c): our place, then the look at the host. */
    c->former_session = before;
    if (!dx_cas_seqcst(&self->session, &before, c->session))
        return dx_fail(DX_ERR_GUEST_EXISTS, "%s: another guest took the place just now", path);
    /* Relaxed: the state after it says that we are there. */
    dx_store_relaxed(&self->kernel, dx_kernel_id());
    dx_heartbeat_write(self);
    dx_store_seqcst(&self->state, (uint32_t)DX_PEER_STATE_INITIALIZING); /* S5 <-> S6 */
    dx_fence_store_load();
    /* A1 <- R1, A4 <- R4: is it still the same host? */
    if (dx_load_acquire(&c->header->magic) == DX_MAGIC &&
        dx_load_acquire(&c->peers[DX_HOST].state) == DX_PEER_STATE_OPEN) /* A4 <- R4 */
        return DX_OK;
    dx_store_release(&self->state, (uint32_t)DX_PEER_STATE_CLOSED); /* R4 -> A4: we are not */
    return dx_fail(DX_ERR_STALE, "%s: its host is just beginning anew", path);
}

bool dx_attach_may_change(dx_status status)
{
    /* DX_ERR_TIMEOUT: whoever serves the rendezvous may be stopped, and go on. */
    return status == DX_ERR_NO_PEER || status == DX_ERR_STALE || status == DX_ERR_GUEST_EXISTS ||
           status == DX_ERR_TIMEOUT;
}

/* Whoever waits keeps what it has opened: at a rendezvous it is told there of what changes, and
 * everywhere the next look costs less. */
static bool keeps_region(const struct dx_channel *c, dx_status status)
{
    return c->region.base != NULL && dx_attach_may_change(status);
}

/* The region to look at: the one that is open, unless its name stands for another one now. */
static dx_status open_region(struct dx_channel *c, const struct dx_url *url)
{
    if (c->region.base != NULL && !dx_region_is_current(&c->region))
        dx_region_close(&c->region);
    return c->region.base == NULL ? dx_region_open(url, c->observer && !c->switching, &c->region)
                                  : dx_region_view(&c->region, 0, 0, 0);
}

/* A host has reserved what it made, but whoever wrote this header may have been another. */
static dx_status reserve(const struct dx_channel *c)
{
    const struct dx_region *r = &c->region;
    if (dx_channel_kernels(c) == DX_OTHER_KERNEL)
        return DX_OK; /* a device's memory, which its host reserves */
    return dx_region_reserve(r->fd, r->url.path, r->offset, r->offset + c->geometry.region_bytes,
                             false);
}

/* The place that is mapped; nothing of it is held if that fails. */
static dx_status try_place(struct dx_channel *c, const struct dx_heartbeat_sample *silent)
{
    dx_status status = lock_as_guest(c);
    if (status == DX_OK)
        status = check_header(c);
    if (status == DX_OK)
        status = check_host(c);
    if (status == DX_OK)
        status = reserve(c);
    if (status == DX_OK)
        status = take_place(c, silent);
    if (status == DX_OK)
        return DX_OK;
    dx_status unlocked = dx_region_unlock(c->region.fd, dx_lock_at(c->region.place, DX_LOCK_GUEST),
                                          c->region.url.path);
    return unlocked == DX_OK ? status : unlocked;
}

/* Maps a place as the header of place 0 says where it is; sizes are input. */
static dx_status view_place(struct dx_channel *c, const struct dx_geometry *first, uint32_t place)
{
    uint64_t offset = place * first->place_bytes;
    uint64_t end = offset + first->region_bytes;
    if (end > dx_region_file_bytes(&c->region))
        return dx_fail(DX_ERR_SHORT,
                       "%s: place %u of %u would end at byte %llu, which is not there",
                       c->region.url.path, place, first->places, (unsigned long long)end);
    dx_status status = dx_region_view(&c->region, place, offset, first->region_bytes);
    if (status == DX_OK)
        status = check_header(c);
    if (status == DX_OK && (!dx_geometry_equal(&c->geometry, first) || c->geometry.place != place))
        status = dx_fail(DX_ERR_GEOMETRY, "%s: the header of place %u is not as that of place 0",
                         c->region.url.path, place);
    return status;
}

/* Listens to the guests of all places at once. One under our own kernel is known by its lock. */
static dx_status listen_in_all(struct dx_channel *c, const struct dx_geometry *first,
                               struct dx_heartbeat_sample *samples)
{
    dx_status status = dx_region_view(&c->region, 0, 0, 0);
    if (status != DX_OK)
        return status;
    for (uint32_t i = 0; i < first->places; i++) {
        uint64_t offset = i * first->place_bytes;
        samples[i] = (struct dx_heartbeat_sample){.heard = true}; /* it is not there */
        if (offset + DX_HEADER_BYTES > c->region.bytes ||
            dx_region_touch(&c->region, offset, DX_HEADER_BYTES) != DX_OK)
            continue;
        const char *peers = (const char *)c->region.base + offset + sizeof(struct dx_header);
        dx_heartbeat_note(&samples[i],
                          (const struct dx_peer_lines *)(const void *)peers + DX_GUEST);
        samples[i].heard = dx_region_lock_held(c->region.fd, dx_lock_at(i, DX_LOCK_GUEST));
    }
    dx_heartbeat_listen(samples, first->places, c->peer_timeout_ns);
    return check_header(c);
}

static dx_status all_taken(const struct dx_channel *c, const struct dx_geometry *first,
                           dx_status status, uint32_t taken)
{
    if (first->places == 1)
        return status;
    return dx_fail(DX_ERR_GUEST_EXISTS, "%s: living guests are attached to %u of its %u places%s",
                   c->region.url.path, taken, first->places,
                   taken < first->places ? ", the others are closed" : "");
}

/* One look at each place. Of a place other than the first the host may have closed its end, so that
 * the next one is tried; what the system refuses is no matter of places. */
static dx_status try_each(struct dx_channel *c, const struct dx_geometry *first, uint32_t from,
                          const struct dx_heartbeat_sample *samples, uint32_t *taken)
{
    *taken = 0;
    for (uint32_t i = from; i < first->places; i++) {
        bool heard = samples != NULL && samples[i].heard;
        dx_status status = heard ? DX_ERR_GUEST_EXISTS : view_place(c, first, i);
        if (status == DX_OK)
            status = try_place(c, samples != NULL ? &samples[i] : NULL);
        if (status == DX_OK || status == DX_ERR_SYSTEM || (i == 0 && status != DX_ERR_GUEST_EXISTS))
            return status;
        *taken += status == DX_ERR_GUEST_EXISTS;
    }
    return DX_ERR_GUEST_EXISTS;
}

/* The first place that is free: at first of those where that is known at once, then of those that
 * a dead guest from another kernel may have left. */
static dx_status try_places(struct dx_channel *c)
{
    uint32_t taken = 0;
    struct dx_heartbeat_sample samples[DX_GUESTS_MAX];
    dx_status status = try_place(c, NULL);
    if (status != DX_ERR_GUEST_EXISTS)
        return status;
    status = check_header(c);
    const struct dx_geometry first = c->geometry;
    if (status == DX_OK)
        status = try_each(c, &first, 1, NULL, &taken);
    if (status != DX_ERR_GUEST_EXISTS)
        return status;
    status = listen_in_all(c, &first, samples);
    if (status == DX_OK)
        status = try_each(c, &first, 0, samples, &taken);
    return status == DX_ERR_GUEST_EXISTS ? all_taken(c, &first, status, taken) : status;
}

/* Of several places a guest maps its own only. */
static dx_status keep_place(struct dx_channel *c)
{
    if (c->geometry.places == 1)
        return DX_OK;
    dx_status status =
        dx_region_view(&c->region, c->region.place, c->region.offset, c->geometry.region_bytes);
    dx_channel_point(c);
    return status;
}

static dx_status observe_place(struct dx_channel *c, uint32_t place)
{
    dx_status status = check_header(c);
    if (status == DX_OK && place >= c->geometry.places)
        return dx_fail(DX_ERR_NO_SLOT, "%s: has %u places, there is no place %u",
                       c->region.url.path, c->geometry.places, place);
    const struct dx_geometry first = c->geometry;
    if (status == DX_OK && place != 0)
        status = view_place(c, &first, place);
    /* It may not reserve anything, and payloads are not for it. */
    return status == DX_OK ? dx_region_touch(&c->region, 0, c->geometry.payload_offset) : status;
}

dx_status dx_attach_try(struct dx_channel *c, const struct dx_url *url, uint32_t place)
{
    dx_status status = open_region(c, url);
    if (status == DX_OK)
        status = c->observer ? observe_place(c, place) : try_places(c);
    if (status == DX_OK)
        status = keep_place(c);
    if (status != DX_OK && !keeps_region(c, status))
        dx_region_close(&c->region);
    return status;
}
