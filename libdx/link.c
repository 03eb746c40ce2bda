/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fd.h"
#include "link_private.h"
#include "rendezvous.h"

#define STORM_PAUSE_NS 100000ll
#define STORM_PAUSE_MAX_NS 1000000ll

struct dx_link *dx_link_new(void)
{
    struct dx_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->socket = link->bell = link->memory = -1;
    link->reader = (struct dx_ivshmem_reader)DX_IVSHMEM_READER_INIT;
    dx_doorbells_init(&link->peers);
    dx_link_channels_init(&link->channels);
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

/* The other side may be the one that left: its waits make no sense any more. */
static void peer_left(struct dx_link *link, int64_t id)
{
    dx_doorbells_leave(&link->peers, id);
    dx_link_channels_left(&link->channels, id);
}

static void joined(void *user, uint32_t id, int bell)
{
    (void)dx_doorbells_join(&((struct dx_link *)user)->peers, id, bell);
}

static void left(void *user, uint32_t id)
{
    peer_left(user, id);
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

/* The messages of a link that is complete. False at their end. */
static bool hear(struct dx_link *link)
{
    struct dx_ivshmem_message m;
    enum dx_ivshmem_read read;
    while ((read = dx_ivshmem_receive(link->socket, &link->reader, &m)) == DX_IVSHMEM_MESSAGE) {
        if (m.fd < 0)
            peer_left(link, m.value);
        else if (m.value == link->id)
            (void)close(m.fd); /* more vectors of our own */
        else
            (void)dx_doorbells_join(&link->peers, m.value, m.fd);
    }
    return read != DX_IVSHMEM_END;
}

bool dx_link_readable(int fd, int64_t timeout_ns)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    struct timespec timeout = dx_clock_timespec(timeout_ns > 0 ? timeout_ns : 0);
    return ppoll(&wait, 1, &timeout, NULL) > 0;
}

bool dx_link_await_news(struct dx_link *link, int64_t timeout_ns)
{
    return !dx_link_readable(link->socket, timeout_ns) || hear(link);
}

/* Whoever serves is gone. If that is the other side, it is dead: it is peer 0. */
static void server_gone(struct dx_link *link)
{
    (void)close(link->socket);
    link->socket = -1;
    peer_left(link, 0);
}

/* One read takes all rings of an eventfd. */
static void drain(int fd)
{
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
}

/* Rings that wake nobody cost more each time: a peer that does nothing but ring gets a slow
 * listener and not a busy CPU. */
static void pass_on(struct dx_link *link, int64_t *pause_ns)
{
    drain(link->bell);
    if (dx_link_channels_dispatch(&link->channels)) {
        *pause_ns = 0;
        return;
    }
    /* The first ring for nobody was for one who has seen the news before he slept. */
    struct timespec pause = dx_clock_timespec(*pause_ns);
    if (*pause_ns != 0)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    *pause_ns = *pause_ns == 0                       ? STORM_PAUSE_NS
                : *pause_ns * 2 < STORM_PAUSE_MAX_NS ? *pause_ns * 2
                                                     : STORM_PAUSE_MAX_NS;
}

static void *run(void *user)
{
    struct dx_link *link = user;
    int64_t pause_ns = 0;
    /* Relaxed, both: the control eventfd is written behind the store. */
    while (dx_load_relaxed(&link->closing) == 0) {
        bool ours = !link->sole && dx_load_relaxed(&link->taken) == 0;
        int news = link->server != NULL ? dx_rendezvous_fd(link->server) : link->socket;
        struct pollfd waits[3] = {{.fd = link->control, .events = POLLIN},
                                  {.fd = news, .events = POLLIN},
                                  {.fd = ours ? link->bell : -1, .events = POLLIN}};
        if (poll(waits, 3, -1) < 0)
            continue;
        if (waits[0].revents != 0)
            drain(link->control);
        if (waits[1].revents != 0 && link->server != NULL)
            dx_rendezvous_step(link->server);
        else if (waits[1].revents != 0 && !hear(link))
            server_gone(link);
        if (waits[2].revents != 0)
            pass_on(link, &pause_ns);
    }
    return NULL;
}

bool dx_link_is_sole(const struct dx_link *link)
{
    return link->sole;
}

void dx_link_forget_rings(struct dx_link *link)
{
    /* Non-blocking it is, but a peer that shares the eventfd can change that. */
    if (link->has_device || dx_link_readable(link->bell, 0))
        drain(link->bell);
}

bool dx_link_hear(struct dx_link *link, int64_t timeout_ns)
{
    return dx_link_readable(link->bell, timeout_ns);
}

dx_status dx_link_start(struct dx_link *link, struct dx_channel *channel)
{
    dx_link_channels_add(&link->channels, channel);
    if (link->started)
        return DX_OK;
    link->sole = dx_link_channels_sole(&link->channels);
    if (link->has_device)
        return DX_OK; /* nobody tells it anything */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&link->thread, NULL, run, link);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    link->started = failed == 0;
    return failed == 0 ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM,
                                 "cannot start a thread for the rendezvous "
                                 "(error %d)",
                                 failed);
}

uint32_t dx_link_door(const struct dx_link *link)
{
    return link->id + 1;
}

bool dx_link_left(struct dx_link *link, uint32_t door)
{
    return door != 0 && dx_doorbells_left(&link->peers, door - 1);
}

void dx_link_ring(struct dx_link *link, uint32_t door)
{
    if (door == dx_link_door(link))
        dx_doorbell_write(link->bell);
    else if (door != 0 && link->has_device)
        dx_ivshmem_bells_ring(&link->device, door - 1);
    else if (door != 0)
        (void)dx_doorbells_ring(&link->peers, door - 1);
}

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
    dx_link_channels_share(&link->channels);
    return link;
}

void dx_link_stop(struct dx_link *link, const struct dx_channel *channel)
{
    if (link != NULL)
        dx_link_channels_remove(&link->channels, channel);
}

/* Not the registers' mapping, which tells nobody that we live. */
static void close_device(struct dx_ivshmem_bells *b)
{
    int *const fds[] = {&b->device, &b->group, &b->container, &b->bell};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
}

void dx_link_forked(struct dx_link *link)
{
    link->started = false;
    dx_link_channels_forked(&link->channels);
    dx_doorbells_forked(&link->peers);
    dx_rendezvous_forked(link->server);
    dx_ivshmem_reader_close(&link->reader);
    if (link->has_device)
        close_device(&link->device);
    int *const fds[] = {&link->socket, &link->bell, &link->memory, &link->control};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
}

void dx_link_close(struct dx_link *link)
{
    if (link == NULL || !dx_link_channels_release(&link->channels))
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
    dx_doorbells_close(&link->peers);
    dx_link_channels_destroy(&link->channels);
    free(link);
}
