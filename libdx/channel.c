/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "histogram.h"
#include "liveness_kernel.h"
#include "rendezvous_link.h"
#include "serving.h"
#include "wait_cpus.h"

void dx_channel_point(struct dx_channel *c)
{
    unsigned char *base = c->region.base;
    const struct dx_geometry *g = &c->geometry;
    c->header = (struct dx_header *)(void *)base;
    c->peers = (struct dx_peer_lines *)(void *)(base + sizeof(struct dx_header));
    c->switches = (struct dx_switches *)(void *)(c->peers + DX_PEERS);
    c->caller_lines = (struct dx_caller_line *)(void *)(base + g->callers_offset);
    c->server_lines = (struct dx_server_line *)(void *)(base + g->servers_offset);
    c->counters = (struct dx_counters *)(void *)(base + g->counters_offset);
    c->workers = (struct dx_worker *)(void *)(base + g->workers_offset);
    c->cells = (struct dx_cell *)(void *)(base + g->cells_offset);
    c->payload = base + g->payload_offset;
}

void dx_channel_destroy(struct dx_channel *c)
{
    dx_channel_forget_forks(c);
    dx_heartbeat_end(&c->heartbeat);
    dx_link_stop(c->region.link, c);
    dx_histogram_unmap(c);
    dx_region_close(&c->region);
    (void)pthread_mutex_destroy(&c->lock);
    free(c->slots);
    free(c->sleepers);
    free(c->wakes);
    free(c);
}

/* A channel with its strategy and nothing mapped yet. */
dx_status dx_channel_make(enum dx_side side, const struct dx_wait *wait, struct dx_channel **out)
{
    struct dx_wait chosen;
    dx_status status = DX_OK;
    if (wait != NULL)
        chosen = *wait;
    else
        status = dx_wait_default(&chosen);
    if (status == DX_OK)
        status = dx_wait_check(&chosen);
    if (status != DX_OK)
        return status;
    struct dx_channel *c = calloc(1, sizeof *c);
    if (c == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for a channel");
    c->side = side;
    c->region.fd = -1;
    dx_ticks_begin();
    c->wait = chosen;
    c->liveness_ns = DX_LIVENESS_NS;
    c->brake = (struct dx_brake)DX_BRAKE_INIT;
    c->peer_timeout_ns = chosen.peer_timeout_ns != 0 ? chosen.peer_timeout_ns : DX_PEER_TIMEOUT_NS;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)dx_kernel_find(); /* what failed once may not fail now */
    status = dx_channel_watch_forks(c);
    if (status != DX_OK) {
        dx_channel_destroy(c);
        return status;
    }
    *out = c;
    return DX_OK;
}

dx_status dx_channel_measure(struct dx_channel *c)
{
    const struct dx_wait *w = &c->wait;
    c->cost.cpus = w->adapt == DX_ADAPT_LOAD ? dx_cpus() : UINT32_MAX;
    if (w->adapt == DX_ADAPT_COST || w->adapt == DX_ADAPT_LOAD)
        return dx_wait_measure(w, &c->cost.park_ns, &c->cost.look_ps);
    c->cost.look_ps = dx_wait_look_ps(w->relax);
    return DX_OK;
}

dx_status dx_channel_make_books(struct dx_channel *c)
{
    uint32_t count = dx_slot_count(&c->geometry, c->side);
    c->slots = calloc(count != 0 ? count : 1, sizeof *c->slots);
    c->sleepers = calloc(c->geometry.cells, sizeof *c->sleepers);
    c->wakes = calloc(c->geometry.cells, sizeof *c->wakes);
    return c->slots != NULL && c->sleepers != NULL && c->wakes != NULL
               ? DX_OK
               : dx_fail(DX_ERR_SYSTEM, "no memory for %u slots", count);
}

dx_status dx_channel_start(struct dx_channel *c)
{
    if (c->region.link == NULL && c->wait.park == DX_PARK_DOORBELL && !c->region.url.doorbell)
        return dx_fail(DX_ERR_INVALID,
                       "%s: park doorbell needs a rendezvous (unix:PATH) or ivshmem:doorbell; take "
                       "futex",
                       c->region.url.path);
    dx_status status = dx_region_seal(&c->region);
    /* A host has its name when that is published. Until then a dead host's socket may stand there.
     */
    if (c->side == DX_GUEST)
        dx_region_remember_name(&c->region);
    if (status == DX_OK)
        status = dx_channel_watch(c);
    return status == DX_OK ? dx_channel_watch_link(c) : status;
}

size_t dx_channel_request_capacity(const struct dx_channel *c)
{
    return c->geometry.request_capacity;
}

size_t dx_channel_response_capacity(const struct dx_channel *c)
{
    return c->geometry.response_capacity;
}

uint32_t dx_channel_slots(const struct dx_channel *c)
{
    return dx_slot_count(&c->geometry, c->side);
}

uint64_t dx_channel_region_bytes(const struct dx_channel *c)
{
    return c->geometry.region_bytes;
}

int dx_channel_fd(const struct dx_channel *c)
{
    return c->region.fd;
}
