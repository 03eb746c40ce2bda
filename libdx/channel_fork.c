/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy of a channel that a fork leaves to the child is inert: the child has neither the threads
 * nor the memory of its parent, and must not hold what tells others that the parent lives. The
 * descriptors of the link are closed, `stopping` says that this is a copy, and where the memory was
 * lie zero bytes.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "atomic.h"
#include "caller.h"
#include "channel.h"
#include "rendezvous_link.h"

/* Since Linux 4.17; older kernels take it for a hint. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* So that whoever was in the middle of something when it forked, in a handler for example, finds
 * bytes to look at. They are the child's own. */
static void put_zeros(struct dx_region *region)
{
    if (region->base == NULL || region->bytes == 0)
        return;
    int protection = region->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    uint64_t bytes;
    void *pages = dx_region_pages(region, &bytes);
    void *zeros = mmap(pages, bytes, protection,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (zeros == pages)
        return;
    if (zeros != MAP_FAILED)
        (void)munmap(zeros, bytes);
    region->base = NULL; /* nothing there is ours to unmap */
}

static void end_streams(struct dx_channel *c)
{
    uint32_t count = c->slots != NULL ? dx_slot_count(&c->geometry, c->side) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (c->slots[i].caller != NULL)
            c->slots[i].caller->stream.failure = DX_ERR_FORKED;
    count = c->streams != NULL ? dx_slot_count(&c->geometry, dx_other(c->side)) : 0;
    for (uint32_t i = 0; i < count; i++)
        c->streams[i].failure = DX_ERR_FORKED;
}

/* The threads of the parent are not here, and whatever they had locked stays locked. */
static void make_inert(void *user)
{
    struct dx_channel *c = user;
    /* Relaxed: this process has one thread. */
    dx_store_relaxed(&c->stopping, (uint32_t)DX_FORKED);
    (void)pthread_mutex_init(&c->lock, NULL);
    c->heartbeat.started = false;
    c->region.created = false;
    /* A description that carries locks belongs to the parent; 0 to 2 are never ours. */
    if (!c->region.shared_nothing && c->region.fd > 2) {
        (void)close(c->region.fd);
        c->region.fd = -1;
    }
    if (c->region.link != NULL)
        dx_link_forked(c->region.link);
    put_zeros(&c->region);
    end_streams(c);
}

dx_status dx_channel_watch_forks(struct dx_channel *c)
{
    c->forks = (struct dx_fork_watch){.forked = make_inert, .user = c};
    return dx_fork_watch(&c->forks);
}

void dx_channel_forget_forks(struct dx_channel *c)
{
    /* In a child the list has ended. */
    if (!dx_channel_forked(c))
        dx_fork_forget(&c->forks);
}
