/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <string.h>

#include "atomic.h"
#include "error.h"
#include "fault.h"

#define DX_PAGE 4096u
/* Before it, each place began where the one before it ended. */
#define ALIGNED_SINCE_MINOR 3u
#define HISTOGRAMS_SINCE_MINOR 4u

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

static dx_status check_sizes(uint32_t host_slots, uint32_t guest_slots, size_t request_capacity,
                             size_t response_capacity)
{
    uint64_t slots = (uint64_t)host_slots + guest_slots;
    if (slots == 0 || slots > DX_SLOTS_MAX)
        return dx_fail(DX_ERR_INVALID, "%llu slots: a region has 1 to %u (host and guest slots)",
                       (unsigned long long)slots, DX_SLOTS_MAX);
    if (request_capacity > DX_CAPACITY_MAX)
        return dx_fail(DX_ERR_INVALID, "request capacity %zu bytes: at most %zu", request_capacity,
                       DX_CAPACITY_MAX);
    if (response_capacity > DX_CAPACITY_MAX)
        return dx_fail(DX_ERR_INVALID, "response capacity %zu bytes: at most %zu",
                       response_capacity, DX_CAPACITY_MAX);
    return DX_OK;
}

dx_status dx_geometry_make(uint32_t host_slots, uint32_t guest_slots, size_t request_capacity,
                           size_t response_capacity, struct dx_geometry *out)
{
    dx_status status = check_sizes(host_slots, guest_slots, request_capacity, response_capacity);
    if (status != DX_OK)
        return status;
    struct dx_geometry g = {
        .host_slots = host_slots,
        .guest_slots = guest_slots,
        .slots = host_slots + guest_slots,
        .request_capacity = request_capacity,
        .response_capacity = response_capacity,
        .places = 1,
    };
    g.cells = g.slots + 2u * (DX_SERVE_THREADS_MAX + 1u);
    g.callers_offset = DX_HEADER_BYTES;
    g.servers_offset = g.callers_offset + (uint64_t)g.slots * sizeof(struct dx_caller_line);
    g.counters_offset = g.servers_offset + (uint64_t)g.slots * sizeof(struct dx_server_line);
    g.workers_offset = g.counters_offset + (uint64_t)g.slots * sizeof(struct dx_counters);
    g.cells_offset = g.workers_offset + 2ull * DX_SERVE_THREADS_MAX * sizeof(struct dx_worker);
    g.payload_offset = g.cells_offset + (uint64_t)g.cells * sizeof(struct dx_cell);
    g.response_offset = round_up(request_capacity, DX_LINE);
    g.payload_stride = g.response_offset + round_up(response_capacity, DX_LINE);
    /* An odd number of lines a slot spreads the slots over all sets of a cache; with a power of
     * two their first lines would all compete for the same few sets. */
    if (g.payload_stride != 0 && (g.payload_stride / DX_LINE) % 2 == 0)
        g.payload_stride += DX_LINE;
    g.region_bytes = round_up(g.payload_offset + g.slots * g.payload_stride, DX_PAGE);
    g.place_bytes = round_up(g.region_bytes, DX_PLACE_ALIGNMENT);
    *out = g;
    return DX_OK;
}

void dx_header_write(struct dx_header *header, const struct dx_geometry *g)
{
    header->version = DX_PROTOCOL_VERSION;
    header->header_bytes = DX_HEADER_BYTES;
    header->region_bytes = g->region_bytes;
    header->guests = 1;
    header->host_slots = g->host_slots;
    header->guest_slots = g->guest_slots;
    header->request_capacity = (uint32_t)g->request_capacity;
    header->response_capacity = (uint32_t)g->response_capacity;
    header->workers = DX_SERVE_THREADS_MAX;
    header->sem_bytes = (uint32_t)sizeof(sem_t);
    header->places = g->places;
    header->place = g->place;
    header->histograms = (uint32_t)g->histograms;
    DX_FAULT(HEADER_HALF);
    header->callers_offset = g->callers_offset;
    header->servers_offset = g->servers_offset;
    header->counters_offset = g->counters_offset;
    header->workers_offset = g->workers_offset;
    header->cells_offset = g->cells_offset;
    header->payload_offset = g->payload_offset;
    header->payload_stride = g->payload_stride;
    header->response_offset = g->response_offset;
}

/* The copy is what is checked and used, so that a header that changes meanwhile does no harm. */
static dx_status check_identity(const struct dx_header *h, uint64_t magic, uint64_t bytes)
{
    if (magic != DX_MAGIC)
        return dx_fail(DX_ERR_NOT_DX, "magic is 0x%016llx, a dx region has 0x%016llx",
                       (unsigned long long)magic, DX_MAGIC);
    if (h->version >> 16 != DX_PROTOCOL_MAJOR)
        return dx_fail(DX_ERR_VERSION,
                       "region has version %u.%u, this library speaks %u.x: use the same libdx on "
                       "both sides",
                       h->version >> 16, h->version & 0xffffu, DX_PROTOCOL_MAJOR);
    if (h->region_bytes > bytes)
        return dx_fail(DX_ERR_SHORT, "%llu bytes are there, the header says %llu",
                       (unsigned long long)bytes, (unsigned long long)h->region_bytes);
    if (h->guests != 1 || h->workers != DX_SERVE_THREADS_MAX)
        return dx_fail(DX_ERR_GEOMETRY, "%u guests and %u workers, this library knows 1 and %u",
                       h->guests, h->workers, DX_SERVE_THREADS_MAX);
    if (h->places > DX_GUESTS_MAX || (h->place != 0 && h->place >= h->places))
        return dx_fail(DX_ERR_GEOMETRY, "place %u of %u: a host makes up to %u", h->place,
                       h->places, DX_GUESTS_MAX);
    return DX_OK;
}

dx_status dx_header_check(const struct dx_header *header, uint64_t bytes, struct dx_geometry *out)
{
    if (bytes < DX_HEADER_BYTES)
        return dx_fail(DX_ERR_SHORT, "%llu bytes, a dx region has at least %u",
                       (unsigned long long)bytes, DX_HEADER_BYTES);
    /* A1 <- R1 (channel_session.c): every other byte of a new region was written before its magic.
     */
    uint64_t magic = dx_load_acquire(&header->magic);
    struct dx_header copy;
    memcpy((void *)&copy, (const void *)header, sizeof copy);
    dx_status status = check_identity(&copy, magic, bytes);
    if (status != DX_OK)
        return status;
    struct dx_geometry g;
    if (dx_geometry_make(copy.host_slots, copy.guest_slots, copy.request_capacity,
                         copy.response_capacity, &g) != DX_OK)
        return dx_fail(DX_ERR_GEOMETRY,
                       "the header's sizes are out of range: %u + %u slots of %u "
                       "and %u bytes",
                       copy.host_slots, copy.guest_slots, copy.request_capacity,
                       copy.response_capacity);
    g.places = copy.places != 0 ? copy.places : 1; /* version 1.1 says nothing */
    g.place = copy.place;
    if ((copy.version & 0xffffu) < ALIGNED_SINCE_MINOR)
        g.place_bytes = g.region_bytes;
    if ((copy.version & 0xffffu) >= HISTOGRAMS_SINCE_MINOR)
        g.histograms = copy.histograms;
    struct dx_header expected;
    memset((void *)&expected, 0, sizeof expected);
    dx_header_write(&expected, &g);
    /* Everything after the version is derived, so that one comparison covers all offsets. A minor
     * version and another C library's sem_t are allowed to differ, and reserved bytes are not ours
     * to read. */
    copy.sem_bytes = expected.sem_bytes;
    copy.places = g.places;
    copy.histograms = (uint32_t)g.histograms;
    size_t from = offsetof(struct dx_header, header_bytes);
    if (memcmp((const char *)&copy + from, (const char *)&expected + from,
               sizeof expected - from) != 0)
        return dx_fail(DX_ERR_GEOMETRY,
                       "the header's offsets do not follow from its sizes (%u + "
                       "%u slots of %u and %u bytes): it is damaged",
                       copy.host_slots, copy.guest_slots, copy.request_capacity,
                       copy.response_capacity);
    *out = g;
    return DX_OK;
}

bool dx_geometry_equal(const struct dx_geometry *a, const struct dx_geometry *b)
{
    return a->host_slots == b->host_slots && a->guest_slots == b->guest_slots &&
           a->request_capacity == b->request_capacity &&
           a->response_capacity == b->response_capacity && a->places == b->places &&
           (a->places == 1 || a->place_bytes == b->place_bytes);
}
