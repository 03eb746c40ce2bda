/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"
#include "ivshmem_wire.h"
#include "region.h"
#include "socket_name.h"

#define EVENTS 16
/* epoll's word for the listener; members have their ids. */
#define LISTENER UINT64_MAX

struct member {
    uint32_t id;
    int socket;
    int bells[DX_RENDEZVOUS_VECTORS_MAX];
};

struct dx_rendezvous {
    struct dx_rendezvous_config config;
    char path[DX_PATH_MAX];
    char temporary[DX_PATH_MAX];
    bool published;
    bool forked; /* the child of a fork has it: the name is its parent's */
    dev_t device;
    ino_t inode;
    int listener;
    int events;
    int spare; /* given up for a moment to turn a client away when descriptors run out */
    uint32_t next_id;
    uint32_t count;
    struct member members[DX_RENDEZVOUS_MEMBERS_MAX];
};

static struct member *find(struct dx_rendezvous *r, uint64_t id)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->members[i].id == id)
            return &r->members[i];
    return NULL;
}

static uint32_t free_id(struct dx_rendezvous *r)
{
    do
        r->next_id = r->next_id % (DX_IVSHMEM_IDS - 1) + 1; /* 0 is the server's */
    while (find(r, r->next_id) != NULL);
    return r->next_id;
}

static void close_member(const struct dx_rendezvous *r, const struct member *m)
{
    (void)close(m->socket);
    for (uint32_t v = 0; v < r->config.vectors; v++)
        if (m->bells[v] >= 0)
            (void)close(m->bells[v]);
}

/* Drops a member and tells the others, of whom some may not listen and are dropped likewise. */
static void drop(struct dx_rendezvous *r, uint32_t id)
{
    uint32_t gone[DX_RENDEZVOUS_MEMBERS_MAX];
    uint32_t known = 0;
    gone[known++] = id;
    for (uint32_t done = 0; done < known; done++) {
        struct member *m = find(r, gone[done]);
        if (m == NULL)
            continue;
        close_member(r, m);
        *m = r->members[--r->count];
        if (r->config.left != NULL)
            r->config.left(r->config.user, gone[done]);
        for (uint32_t i = 0; i < r->count && known < DX_RENDEZVOUS_MEMBERS_MAX; i++)
            if (!dx_ivshmem_send(r->members[i].socket, gone[done], -1))
                gone[known++] = r->members[i].id;
    }
}

static bool send_bells(const struct dx_rendezvous *r, int socket, const struct member *of)
{
    for (uint32_t v = 0; v < r->config.vectors; v++)
        if (!dx_ivshmem_send(socket, of->id, of->bells[v]))
            return false;
    return true;
}

/* What a new member is told, in the protocol's order. */
static bool greet(const struct dx_rendezvous *r, const struct member *m)
{
    if (!dx_ivshmem_send(m->socket, DX_IVSHMEM_VERSION, -1) ||
        !dx_ivshmem_send(m->socket, m->id, -1) ||
        !dx_ivshmem_send(m->socket, DX_IVSHMEM_MEMORY, r->config.memory))
        return false;
    for (uint32_t v = 0; r->config.self >= 0 && v < r->config.vectors; v++)
        if (!dx_ivshmem_send(m->socket, 0, r->config.self))
            return false;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->members[i].id != m->id && !send_bells(r, m->socket, &r->members[i]))
            return false;
    return send_bells(r, m->socket, m);
}

/* Tells the others of a new member. */
static void announce(struct dx_rendezvous *r, uint32_t id)
{
    uint32_t deaf[DX_RENDEZVOUS_MEMBERS_MAX];
    uint32_t deaf_count = 0;
    const struct member *m = find(r, id);
    for (uint32_t i = 0; i < r->count; i++)
        if (r->members[i].id != id && !send_bells(r, r->members[i].socket, m))
            deaf[deaf_count++] = r->members[i].id;
    for (uint32_t i = 0; i < deaf_count; i++)
        drop(r, deaf[i]);
}

static bool open_bells(const struct dx_rendezvous *r, struct member *m)
{
    bool complete = true;
    for (uint32_t v = 0; v < r->config.vectors; v++) {
        m->bells[v] = dx_fd_eventfd();
        complete = complete && m->bells[v] >= 0;
    }
    return complete;
}

static void let_in(struct dx_rendezvous *r, int socket)
{
    pid_t pid;
    if (r->count == DX_RENDEZVOUS_MEMBERS_MAX ||
        dx_socket_check_peer(socket, r->path, &pid) != DX_OK) {
        (void)close(socket);
        return;
    }
    struct member m = {.id = free_id(r), .socket = socket};
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = m.id};
    int bell = -1;
    if (!open_bells(r, &m) || (bell = dx_fd_duplicate(m.bells[0])) < 0 ||
        epoll_ctl(r->events, EPOLL_CTL_ADD, socket, &event) != 0) {
        if (bell >= 0)
            (void)close(bell);
        close_member(r, &m);
        return;
    }
    r->members[r->count++] = m;
    if (r->config.joined != NULL)
        r->config.joined(r->config.user, m.id, bell);
    else
        (void)close(bell);
    if (greet(r, &m))
        announce(r, m.id);
    else
        drop(r, m.id);
}

/* Without a descriptor to spare the listener would stay readable for ever. */
static void turn_away(struct dx_rendezvous *r)
{
    if (r->spare < 0)
        return;
    (void)close(r->spare);
    int socket = dx_fd_accept(r->listener);
    if (socket >= 0)
        (void)close(socket);
    r->spare = dx_fd_open("/dev/null", O_RDONLY);
}

static void accept_one(struct dx_rendezvous *r)
{
    int socket = dx_fd_accept(r->listener);
    if (socket >= 0)
        let_in(r, socket);
    else if (errno == EMFILE || errno == ENFILE)
        turn_away(r);
}

void dx_rendezvous_step(struct dx_rendezvous *r)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(r->events, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == LISTENER)
            accept_one(r);
        else /* clients have nothing to say: one that is readable is gone, or talks nonsense */
            drop(r, (uint32_t)events[i].data.u64);
    }
}

int dx_rendezvous_fd(const struct dx_rendezvous *r)
{
    return r->events;
}

static dx_status open_events(struct dx_rendezvous *r)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LISTENER};
    r->events = dx_fd_epoll();
    r->spare = dx_fd_open("/dev/null", O_RDONLY);
    struct stat s;
    if (r->events < 0 || epoll_ctl(r->events, EPOLL_CTL_ADD, r->listener, &event) != 0 ||
        lstat(r->temporary, &s) != 0)
        return dx_fail_errno("%s: cannot be served", r->path);
    r->device = s.st_dev;
    r->inode = s.st_ino;
    return DX_OK;
}

dx_status dx_rendezvous_open(const char *path, const struct dx_rendezvous_config *config,
                             struct dx_rendezvous **out)
{
    if (config->vectors == 0 || config->vectors > DX_RENDEZVOUS_VECTORS_MAX)
        return dx_fail(DX_ERR_INVALID, "%u vectors: 1 to %u are possible", config->vectors,
                       DX_RENDEZVOUS_VECTORS_MAX);
    struct dx_rendezvous *r = calloc(1, sizeof *r);
    if (r == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for a rendezvous");
    r->config = *config;
    r->events = r->spare = -1;
    size_t length = strnlen(path, sizeof r->path - 1);
    memcpy(r->path, path, length);
    dx_status status = dx_socket_listen(path, r->temporary, &r->listener);
    if (status != DX_OK) {
        free(r);
        return status;
    }
    status = open_events(r);
    if (status != DX_OK)
        dx_rendezvous_close(r);
    else
        *out = r;
    return status;
}

dx_status dx_rendezvous_publish(struct dx_rendezvous *r)
{
    dx_status status = dx_socket_claim(r->path, r->temporary);
    r->published = status == DX_OK;
    return status;
}

static void close_all(struct dx_rendezvous *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        close_member(r, &r->members[i]);
    r->count = 0;
    int *const fds[] = {&r->listener, &r->events, &r->spare};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
        *fds[i] = -1;
    }
}

void dx_rendezvous_forked(struct dx_rendezvous *r)
{
    if (r == NULL)
        return;
    r->forked = true;
    close_all(r);
}

void dx_rendezvous_close(struct dx_rendezvous *r)
{
    if (r == NULL)
        return;
    if (!r->forked)
        dx_socket_release(r->published ? r->path : r->temporary, r->device, r->inode);
    close_all(r);
    free(r);
}
