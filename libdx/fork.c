/* SPDX-License-Identifier: Apache-2.0 */
#include "fork.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomic.h"
#include "caller.h"
#include "channel.h"
#include "error.h"
#include "link.h"

/* Since Linux 4.17; older kernels take it for a hint. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Guards the list, and holds up forks while a mapping is made. Nothing else is locked under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dx_channel *channels;
static bool registered;

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
static void make_inert(struct dx_channel *c)
{
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

static void before(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (struct dx_channel *c = channels; c != NULL; c = c->next)
        make_inert(c);
    channels = NULL;
    (void)pthread_mutex_unlock(&lock);
}

dx_status dx_fork_watch(struct dx_channel *c)
{
    (void)pthread_mutex_lock(&lock);
    if (!registered && pthread_atfork(before, in_parent, in_child) != 0) {
        (void)pthread_mutex_unlock(&lock);
        return dx_fail(DX_ERR_SYSTEM, "no memory to be told of forks");
    }
    registered = true;
    c->next = channels;
    c->before = NULL;
    if (channels != NULL)
        channels->before = c;
    channels = c;
    (void)pthread_mutex_unlock(&lock);
    return DX_OK;
}

void dx_fork_forget(struct dx_channel *c)
{
    /* Relaxed: set by the only thread of a child. There the list has ended. */
    if (dx_load_relaxed(&c->stopping) == DX_FORKED)
        return;
    (void)pthread_mutex_lock(&lock);
    if (c->before != NULL)
        c->before->next = c->next;
    else if (channels == c)
        channels = c->next;
    if (c->next != NULL)
        c->next->before = c->before;
    (void)pthread_mutex_unlock(&lock);
}

void *dx_fork_map(size_t bytes, int protection, int fd, uint64_t offset)
{
    (void)pthread_mutex_lock(&lock);
    void *base = mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)offset);
    if (base != MAP_FAILED)
        (void)madvise(base, bytes, MADV_DONTFORK);
    (void)pthread_mutex_unlock(&lock);
    return base;
}

void dx_fork_replace(struct dx_region *region, int fd)
{
    (void)pthread_mutex_lock(&lock);
    int before_fd = region->fd;
    region->fd = fd;
    region->shared_nothing = true;
    (void)close(before_fd);
    (void)pthread_mutex_unlock(&lock);
}
