/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that turns the rings of a cell into an eventfd. A Go runtime, for example, gives the
 * processor of a thread that blocks in C to others only after up to 10 ms; for a descriptor its
 * poller waits without any thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomic.h"
#include "channel.h"
#include "clock.h"
#include "dx_native.h"
#include "error.h"
#include "fd.h"
#include "rendezvous_link.h"
#include "thread.h"
#include "wait_cell.h"

#define RELEASE_AGAIN_NS 1000000

struct dx_native_bell {
    struct dx_cell *cell;
    enum dx_park kind;
    uint32_t seen;
    int fd;
    _Atomic uint32_t closing;
    pthread_t thread;
};

static void *run(void *user)
{
    struct dx_native_bell *bell = user;
    for (;;) {
        uint32_t before = bell->seen;
        dx_cell_await_ring(bell->cell, bell->kind, &bell->seen, &bell->closing);
        /* Relaxed: dx_cell_release comes after the store. */
        if (dx_load_relaxed(&bell->closing) != 0)
            return NULL;
        /* As many as there were; of a semaphore each is heard by itself. */
        uint64_t rings = (bell->seen - before) / DX_CELL_STEP;
        rings = rings != 0 ? rings : 1;
        if (write(bell->fd, &rings, sizeof rings) < 0)
            continue; /* full of rings that nobody has read: as good as one more */
    }
}

static dx_status start(struct dx_native_bell *bell)
{
    int failed = dx_thread_start(&bell->thread, run, bell);
    return failed == 0 ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM, "cannot start a thread to wait (error %d)", failed);
}

dx_status dx_native_bell_open(struct dx_channel *c, uint32_t cell, struct dx_native_bell **out,
                              int *fd)
{
    *out = NULL;
    if (c->wait.park != DX_PARK_FUTEX && c->wait.park != DX_PARK_SEM)
        return dx_fail(DX_ERR_INVALID, "park kind %u is never rung", c->wait.park);
    struct dx_native_bell *bell = calloc(1, sizeof *bell);
    if (bell == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory to wait");
    bell->cell = &c->cells[cell];
    bell->kind = (enum dx_park)c->wait.park;
    /* Relaxed: nobody has announced a sleep here yet. */
    bell->seen = dx_load_relaxed(&bell->cell->rings);
    bell->fd = dx_fd_eventfd();
    dx_status status = bell->fd >= 0 ? start(bell) : dx_fail_errno("no eventfd to wait");
    if (status != DX_OK) {
        if (bell->fd >= 0)
            (void)close(bell->fd);
        free(bell);
        return status;
    }
    *out = bell;
    *fd = bell->fd;
    return DX_OK;
}

void dx_native_bell_close(struct dx_native_bell *bell)
{
    if (bell == NULL)
        return;
    /* Relaxed: dx_cell_release publishes it. */
    dx_store_relaxed(&bell->closing, 1u);
    struct timespec soon;
    do {
        dx_cell_release(bell->cell, bell->kind);
        (void)clock_gettime(CLOCK_REALTIME, &soon);
        soon = dx_clock_timespec(dx_clock_from_timespec(soon) + RELEASE_AGAIN_NS);
    } while (pthread_timedjoin_np(bell->thread, NULL, &soon) != 0);
    (void)close(bell->fd);
    free(bell);
}

int dx_native_take_doorbell(struct dx_channel *c)
{
    if (c->region.link == NULL || c->wait.park == DX_PARK_POLL || c->wait.park == DX_PARK_NEVER)
        return -1;
    int fd = dx_link_take_bell(c->region.link);
    c->doorbell_taken = fd >= 0;
    return fd;
}
