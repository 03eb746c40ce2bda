/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a host begins: with new memory, or in that of a dead host, in which guests may live on. The
 * memory has one region for each guest that there may be at once: a place. All locks of the host
 * are taken before anything is written, and place 0, at which guests begin to look, opens last.
 */
#include <stdlib.h>

#include "atomic.h"
#include "channel.h"
#include "error.h"
#include "fault.h"
#include "histogram.h"
#include "rendezvous_link.h"

/* Begins to listen for a guest from another kernel in a place of a dead host, if one may be there.
 */
static void note_guest(struct dx_peer_lines *peers, struct dx_heartbeat_sample *sample)
{
    /* S6 <-> S5 (channel_attach.c): our state before the look for guests under other kernels. */
    dx_store_seqcst(&peers[DX_HOST].state, (uint32_t)DX_PEER_STATE_INITIALIZING);
    dx_fence_store_load();
    if (!dx_heartbeat_vacant(&peers[DX_GUEST]))
        dx_heartbeat_note(sample, &peers[DX_GUEST]);
}

static dx_status let_guest_in(const struct dx_channel *c)
{
    return dx_region_unlock(c->region.fd, dx_lock_at(c->region.place, DX_LOCK_GUEST),
                            c->region.url.path);
}

/* Locks guests out of those places that a dead host had, and listens to all that may be left in
 * them at once. found[place]: DX_OK if none is there, under our kernel or another, and none can
 * come; DX_ERR_BUSY. */
__attribute__((noinline)) static void find_guests(struct dx_channel **c, uint32_t places,
                                                  const bool *fresh, dx_status *found)
{
    struct dx_heartbeat_sample samples[DX_GUESTS_MAX] = {{.peer = NULL}};
    for (uint32_t i = 0; i < places; i++) {
        const struct dx_region *r = &c[i]->region;
        found[i] = fresh[i] ? DX_OK : dx_region_lock_out_guest(r->fd, r->place, r->url.path);
        if (!fresh[i] && found[i] == DX_OK)
            note_guest(c[i]->peers, &samples[i]);
    }
    dx_heartbeat_listen(samples, places, c[0]->peer_timeout_ns);
    for (uint32_t i = 0; i < places; i++) {
        if (!samples[i].heard)
            continue;
        dx_status status = let_guest_in(c[i]);
        found[i] = status == DX_OK ? DX_ERR_BUSY : status;
    }
}

/* The region of a dead host. A guest that lives on keeps it as it is. */
static dx_status begin_on_stale(struct dx_channel *c, dx_status found)
{
    dx_status status = found;
    if (status == DX_OK) {
        DX_FAULT(HOST_ALONE);
        status = dx_session_begin_host(c, true);
        if (status == DX_OK)
            status = let_guest_in(c);
    }
    if (status != DX_ERR_BUSY)
        return status;
    struct dx_geometry old;
    if (dx_header_check(c->header, c->region.bytes, &old) != DX_OK ||
        !dx_geometry_equal(&old, &c->geometry))
        return dx_fail(DX_ERR_GUEST_EXISTS,
                       "%s: its host is dead, but a guest is still attached "
                       "and its sizes are not the ones asked for: end that guest or take the same "
                       "sizes",
                       c->region.url.path);
    c->geometry.histograms = old.histograms; /* as the guest knows it */
    return dx_session_begin_host(c, false);
}

/* Maps the beginning of a place of the old layout, to listen to its guest. False: it cannot be. */
static bool note_old_guest(const struct dx_channel *first, const struct dx_geometry *old,
                           uint32_t place, void **page, struct dx_heartbeat_sample *sample)
{
    uint64_t offset = place * old->place_bytes;
    uint64_t end = offset + DX_HEADER_BYTES;
    int fd = first->region.fd;
    if (end > dx_region_file_bytes(&first->region))
        return true;
    if (dx_region_reserve(fd, first->region.url.path, offset, end, false) != DX_OK)
        return false;
    *page = dx_region_map_part(fd, offset, DX_HEADER_BYTES, false, first->region.page_bytes);
    if (*page == NULL)
        return false;
    note_guest((void *)((char *)*page + sizeof(struct dx_header)), sample);
    return true;
}

/* Is no guest from another kernel in any place of the old layout? */
__attribute__((noinline)) static bool old_places_are_empty(const struct dx_channel *first,
                                                           const struct dx_geometry *old)
{
    struct dx_heartbeat_sample samples[DX_GUESTS_MAX] = {{.peer = NULL}};
    void *pages[DX_GUESTS_MAX] = {NULL};
    bool empty = true;
    for (uint32_t i = 0; empty && i < old->places; i++)
        empty = note_old_guest(first, old, i, &pages[i], &samples[i]);
    if (empty)
        dx_heartbeat_listen(samples, old->places, first->peer_timeout_ns);
    for (uint32_t i = 0; i < old->places; i++) {
        empty = empty && !samples[i].heard;
        if (pages[i] != NULL)
            dx_region_unmap_part(pages[i], i * old->place_bytes, DX_HEADER_BYTES,
                                 first->region.page_bytes);
    }
    return empty;
}

/* May the memory of a dead host be laid out anew? Where it stays as it was each place looks for
 * itself; else no guest may be left in any, because places move. */
static dx_status check_layout(const struct dx_channel *first)
{
    struct dx_geometry old;
    bool known =
        dx_header_check(first->header, dx_region_file_bytes(&first->region), &old) == DX_OK;
    if (known && dx_geometry_equal(&old, &first->geometry))
        return DX_OK;
    uint32_t places = known ? old.places : 1;
    if (places == 1 && first->geometry.places == 1)
        return DX_OK;
    dx_status status = dx_region_lock_out_guests(first->region.fd, first->region.url.path);
    if (status == DX_OK)
        status = let_guest_in(first);
    if (known && status == DX_OK && !old_places_are_empty(first, &old))
        status = DX_ERR_BUSY;
    return status != DX_ERR_BUSY
               ? status
               : dx_fail(DX_ERR_GUEST_EXISTS,
                         "%s: its host is dead, but a guest is still attached to one of its %u "
                         "places, and other sizes or another number of places were asked for: end "
                         "that guest or take the same",
                         first->region.url.path, places);
}

/* Opens every place; nothing is changed yet. */
static dx_status open_places(struct dx_channel **c, uint32_t places, const char *url, bool *fresh)
{
    struct dx_url *parsed;
    dx_status status = dx_url_new(url, &parsed);
    if (status != DX_OK)
        return status;
    struct dx_region_size size = {c[0]->geometry.region_bytes, c[0]->geometry.place_bytes, places,
                                  dx_histogram_room(&c[0]->geometry, places)};
    status = dx_region_create(parsed, size, &c[0]->region, &fresh[0]);
    free(parsed);
    if (status == DX_OK) {
        DX_FAULT(HOST_LOCKED);
    }
    for (uint32_t place = 1; status == DX_OK && place < places; place++)
        status =
            dx_region_create_place(&c[0]->region, size, place, &c[place]->region, &fresh[place]);
    for (uint32_t place = 0; status == DX_OK && place < places; place++) {
        dx_channel_point(c[place]);
        status = dx_channel_make_books(c[place]);
    }
    if (status == DX_OK)
        dx_histogram_place(c, places);
    return status == DX_OK && !fresh[0] ? check_layout(c[0]) : status;
}

static dx_status create(struct dx_channel **c, uint32_t places, const char *url)
{
    bool fresh[DX_GUESTS_MAX];
    dx_status found[DX_GUESTS_MAX];
    dx_status status = open_places(c, places, url, fresh);
    if (status == DX_OK)
        find_guests(c, places, fresh, found);
    for (uint32_t place = places; status == DX_OK && place-- > 0;) {
        if (fresh[place])
            status = dx_session_begin_host(c[place], true);
        else
            status = begin_on_stale(c[place], found[place]);
        if (status == DX_OK)
            status = dx_channel_start(c[place]);
    }
    if (status != DX_OK)
        return status;
    DX_FAULT(HOST_UNNAMED);
    status = dx_region_publish(&c[0]->region);
    for (uint32_t place = 0; status == DX_OK && place < places; place++)
        dx_region_remember_name(&c[place]->region);
    return status;
}

static void destroy(struct dx_channel **c, uint32_t places)
{
    for (uint32_t place = places; place-- > 0; c[place] = NULL) {
        if (c[place] == NULL)
            continue;
        /* What we did not make ours is not ours to remove. */
        c[place]->region.created = false;
        dx_channel_destroy(c[place]);
    }
}

static dx_status make_and_create(const char *url, const struct dx_config *config, uint32_t guests,
                                 struct dx_channel **channels)
{
    static const struct dx_config defaults = DX_CONFIG_INIT;
    const struct dx_config *f = config != NULL ? config : &defaults;
    if (guests == 0 || guests > DX_GUESTS_MAX)
        return dx_fail(DX_ERR_INVALID, "%u guests: 1 to %u are possible", guests, DX_GUESTS_MAX);
    for (uint32_t place = 0; place < guests; place++)
        channels[place] = NULL;
    struct dx_geometry geometry = {0};
    uint32_t slots = f->slots != 0 || f->guest_slots != 0 ? f->slots : 1;
    dx_status status = dx_reserved_check("struct dx_config", f->reserved, sizeof f->reserved);
    if (status == DX_OK)
        status = dx_geometry_make(slots, f->guest_slots, f->request_capacity, f->response_capacity,
                                  &geometry);
    geometry.places = guests;
    for (uint32_t place = 0; status == DX_OK && place < guests; place++) {
        status = dx_channel_make(DX_HOST, f->wait, &channels[place]);
        geometry.place = place;
        if (status == DX_OK) {
            channels[place]->geometry = geometry;
            status = dx_channel_measure(channels[place]);
        }
    }
    if (status == DX_OK)
        status = create(channels, guests, url);
    if (status != DX_OK)
        destroy(channels, guests);
    return status;
}

dx_status dx_create_places(const char *url, const struct dx_config *config, uint32_t guests,
                           struct dx_channel **channels)
{
    uint64_t mark = dx_error_mark();
    return dx_error_settle(mark, make_and_create(url, config, guests, channels));
}

dx_status dx_create(const char *url, const struct dx_config *config, struct dx_channel **out)
{
    return dx_create_places(url, config, 1, out);
}
