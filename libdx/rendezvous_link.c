/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "atomic.h"
#include "doorbell.h"
#include "doorbell_guard.h"
#include "error.h"
#include "fd.h"
#include "fd_wait.h"
#include "rendezvous.h"
#include "rendezvous_link_private.h"
#include "thread.h"

struct dx_link *dx_link_new(void)
{
    struct dx_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->socket = link->bell = link->memory = -1;
    link->reader = (struct dx_ivshmem_reader)DX_IVSHMEM_READER_INIT;
    dx_doorbells_init(&link->peers);
    dx_link_users_init(&link->users);
    link->control = dx_fd_eventfd();
    if (link->control < 0) {
        dx_link_close(link);
        return NULL;
    }
    return link;
}

dx_status dx_link_of_device(const struct dx_ivshmem_bells *bells, struct dx_link **out)
{
    struct dx_link *link = dx_link_new();
    if (link == NULL) {
        dx_status status = dx_fail_errno("no memory for the device's doorbell");
        struct dx_ivshmem_bells owned = *bells;
        dx_ivshmem_bells_close(&owned);
        return status;
    }
    link->device = *bells;
    link->has_device = true;
    link->id = bells->id;
    link->bell = bells->bell;
    link->device.bell = -1; /* it is the link's now */
    *out = link;
    return DX_OK;
}

bool dx_link_hears(const struct dx_link *link)
{
    return link->bell >= 0;
}

bool dx_link_has_news(const struct dx_link *link)
{
    return !link->has_device;
}

static bool joined(void *user, uint32_t id, int bell)
{
    return dx_doorbells_join(&((struct dx_link *)user)->peers, id, bell);
}

static void left(void *user, uint32_t id)
{
    dx_link_peer_left(user, id);
}

dx_status dx_link_serve(const char *path, int memory, struct dx_link **out)
{
    struct dx_link *link = dx_link_new();
    if (link == NULL) {
        dx_status status = dx_fail_errno("%s: cannot be served", path);
        (void)close(memory);
        return status;
    }
    link->memory = memory;
    link->bell = dx_fd_eventfd();
    const struct dx_rendezvous_config config = {.memory = memory,
                                                .vectors = 1,
                                                .self = link->bell,
                                                .joined = joined,
                                                .left = left,
                                                .user = link};
    dx_status status = link->bell >= 0 ? dx_rendezvous_open(path, &config, &link->server)
                                       : dx_fail_errno("%s: no eventfd", path);
    if (status != DX_OK)
        dx_link_close(link);
    else
        *out = link;
    return status;
}

dx_status dx_link_publish(struct dx_link *link)
{
    return link->server != NULL ? dx_rendezvous_publish(link->server) : DX_OK;
}

bool dx_link_await_news(struct dx_link *link, int64_t timeout_ns)
{
    if (!dx_fd_readable(link->socket, timeout_ns))
        return true;
    enum dx_link_heard heard = dx_link_hear_news(link);
    if (heard == DX_LINK_NO_ROOM)
        dx_fd_nap(timeout_ns); /* what is there stays there */
    return heard == DX_LINK_HEARD || heard == DX_LINK_NO_ROOM;
}

bool dx_link_is_sole(const struct dx_link *link)
{
    return link->sole;
}

void dx_link_forget_rings(struct dx_link *link)
{
    dx_doorbell_take(link->bell);
}

bool dx_link_hear(struct dx_link *link, int64_t timeout_ns)
{
    return dx_fd_readable(link->bell, timeout_ns);
}

dx_status dx_link_start(struct dx_link *link, const struct dx_link_user *user)
{
    dx_link_users_add(&link->users, user);
    if (link->started)
        return DX_OK;
    link->sole = dx_link_users_sole(&link->users);
    dx_doorbells_own(&link->peers, link->id, link->bell);
    if (link->has_device)
        return DX_OK; /* nobody tells it anything, and its eventfd is nobody else's */
    dx_status status = dx_doorbells_guard(&link->peers);
    if (status != DX_OK)
        return status;
    int failed = dx_thread_start(&link->thread, dx_link_run, link);
    link->started = failed == 0;
    return failed == 0 ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM,
                                 "cannot start a thread for the rendezvous "
                                 "(error %d)",
                                 failed);
}

uint32_t dx_link_doorbell_id(const struct dx_link *link)
{
    return link->id + 1;
}

bool dx_link_left(struct dx_link *link, uint32_t doorbell_id)
{
    return doorbell_id != 0 && dx_doorbells_left(&link->peers, doorbell_id - 1);
}

void dx_link_ring(struct dx_link *link, uint32_t doorbell_id)
{
    /* A write can end the thread (pthread_cancel), here with a lock in its hands. */
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    if (doorbell_id != 0 && link->has_device && doorbell_id != dx_link_doorbell_id(link))
        dx_ivshmem_bells_ring(&link->device, doorbell_id - 1);
    else if (doorbell_id != 0)
        (void)dx_doorbells_ring(&link->peers, doorbell_id - 1);
    (void)pthread_setcancelstate(before, NULL);
}

/* Nobody else has this eventfd. */
static void wake_thread(struct dx_link *link)
{
    dx_doorbell_write(link->control);
}

int dx_link_take_bell(struct dx_link *link)
{
    int fd = link->bell >= 0 ? dx_fd_duplicate(link->bell) : -1;
    if (fd >= 0) {
        /* Relaxed: the thread that still sees 0 passes one ring on, which is as good. */
        dx_store_relaxed(&link->taken, 1u);
        wake_thread(link);
    }
    return fd;
}

struct dx_link *dx_link_share(struct dx_link *link)
{
    dx_link_users_share(&link->users);
    return link;
}

void dx_link_stop(struct dx_link *link, const struct dx_channel *channel)
{
    if (link != NULL)
        dx_link_users_remove(&link->users, channel);
}

/* Not the registers' mapping, which tells nobody that we live. */
static void close_device(struct dx_ivshmem_bells *b)
{
    int *const fds[] = {&b->device, &b->group, &b->container, &b->bell};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        dx_fd_close(fds[i]);
}

void dx_link_forked(struct dx_link *link)
{
    link->started = false;
    dx_link_users_forked(&link->users);
    dx_doorbells_forked(&link->peers);
    dx_rendezvous_forked(link->server);
    dx_ivshmem_reader_close(&link->reader);
    if (link->has_device)
        close_device(&link->device);
    int *const fds[] = {&link->socket, &link->bell, &link->memory, &link->control};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        dx_fd_close(fds[i]);
}

void dx_link_close(struct dx_link *link)
{
    if (link == NULL || !dx_link_users_release(&link->users))
        return;
    if (link->started) {
        /* Relaxed: the eventfd carries the news. */
        dx_store_relaxed(&link->closing, 1u);
        wake_thread(link);
        (void)pthread_join(link->thread, NULL);
    }
    dx_rendezvous_close(link->server);
    if (link->has_device)
        dx_ivshmem_bells_close(&link->device);
    dx_ivshmem_reader_close(&link->reader);
    const int fds[] = {link->socket, link->bell, link->memory, link->control};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    dx_doorbells_unguard(&link->peers);
    dx_doorbells_close(&link->peers);
    dx_link_users_destroy(&link->users);
    free(link);
}
