/* SPDX-License-Identifier: Apache-2.0 */
/* How a client joins a rendezvous: what it is greeted with is input. */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "doorbell.h"
#include "error.h"
#include "fd_wait.h"
#include "rendezvous_link_private.h"
#include "rendezvous_name.h"

/* A server that says nothing for so long is given up. */
#define ANSWER_NS 1000000000ll

/* A greeting, under way. */
struct greeting {
    struct dx_link *link;
    const char *path;
    int64_t by_ns; /* when all of it must have been said */
    int64_t began_ns;
    int64_t heard_ns; /* when the last message came */
};

static dx_status no_room(const char *path)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return dx_fail(DX_ERR_SYSTEM,
                   "%s: there is no free descriptor for what whoever serves it sends, or no memory "
                   "(RLIMIT_NOFILE is %llu)",
                   path, (unsigned long long)limit.rlim_cur);
}

/* One message of the greeting, or why it did not come. */
static dx_status next_message(struct greeting *g, struct dx_ivshmem_message *m)
{
    struct dx_link *link = g->link;
    for (;;) {
        int64_t now = dx_clock_ns();
        int64_t until = g->heard_ns + ANSWER_NS < g->by_ns ? g->heard_ns + ANSWER_NS : g->by_ns;
        /* Looked at before each message: there may be one at any time, without end. */
        if (now >= g->by_ns && g->heard_ns > g->began_ns)
            return dx_fail(DX_ERR_TIMEOUT, "%s: whoever serves it has not greeted us in time",
                           g->path);
        switch (dx_ivshmem_receive(link->socket, &link->reader, m)) {
        case DX_IVSHMEM_MESSAGE:
            g->heard_ns = now;
            return DX_OK;
        case DX_IVSHMEM_END:
            return dx_fail(DX_ERR_NO_PEER,
                           "%s: closed by whoever serves it: it ends, or has no room or no "
                           "descriptors for one more",
                           g->path);
        case DX_IVSHMEM_NO_ROOM:
            return no_room(g->path);
        case DX_IVSHMEM_NO_SOCKET:
            return dx_fail(DX_ERR_SYSTEM, "%s: our descriptor was closed meanwhile", g->path);
        case DX_IVSHMEM_NOTHING_YET:
            break;
        }
        if (now >= until)
            return dx_fail(DX_ERR_TIMEOUT, "%s: whoever serves it says nothing", g->path);
        (void)dx_fd_readable(link->socket, until - now);
    }
}

static dx_status expect(struct greeting *g, int64_t value, bool with_fd,
                        struct dx_ivshmem_message *m)
{
    dx_status status = next_message(g, m);
    if (status != DX_OK)
        return status;
    if (m->value == value && (m->fd >= 0) == with_fd)
        return DX_OK;
    if (m->fd >= 0)
        (void)close(m->fd);
    return dx_fail(DX_ERR_CORRUPT, "%s: says %lld, expected %lld: no ivshmem server of version %d",
                   g->path, (long long)m->value, (long long)value, DX_IVSHMEM_VERSION);
}

/* Others who are there, up to our own eventfd. */
static dx_status hear_of_peers(struct greeting *g)
{
    struct dx_link *link = g->link;
    struct dx_ivshmem_message m;
    while (link->bell < 0) {
        dx_status status = next_message(g, &m);
        if (status != DX_OK)
            return status;
        if (m.fd < 0)
            dx_doorbells_leave(&link->peers, m.value);
        else if (m.value == link->id)
            link->bell = m.fd;
        else
            (void)dx_doorbells_join(&link->peers, m.value, m.fd);
    }
    errno = 0;
    bool is_one = dx_doorbell_is_one(link->bell);
    if (!is_one && errno != 0)
        return dx_fail_errno("%s: its doorbell cannot be examined", g->path);
    if (!is_one)
        return dx_fail(DX_ERR_CORRUPT, "%s: gives us a doorbell that is no eventfd", g->path);
    return DX_OK;
}

static dx_status hear_greeting(struct greeting *g, int *memory)
{
    struct dx_link *link = g->link;
    struct dx_ivshmem_message m;
    dx_status status = expect(g, DX_IVSHMEM_VERSION, false, &m);
    if (status == DX_OK)
        status = next_message(g, &m);
    if (status != DX_OK)
        return status;
    if (m.value < 0 || m.value >= (int64_t)DX_IVSHMEM_IDS || m.fd >= 0) {
        if (m.fd >= 0)
            (void)close(m.fd);
        return dx_fail(DX_ERR_CORRUPT, "%s: gives us the id %lld", g->path, (long long)m.value);
    }
    link->id = (uint32_t)m.value;
    status = expect(g, DX_IVSHMEM_MEMORY, true, &m);
    if (status != DX_OK)
        return status;
    *memory = m.fd;
    return hear_of_peers(g);
}

dx_status dx_link_be_greeted(struct dx_link *link, const char *path, int64_t by_ns, int *memory)
{
    int64_t now = dx_clock_ns();
    struct greeting g = {.link = link, .path = path, .began_ns = now, .heard_ns = now};
    g.by_ns = by_ns != 0 ? by_ns : now + DX_LINK_GREETING_NS;
    *memory = -1;
    dx_status status = hear_greeting(&g, memory);
    if (status != DX_OK && *memory >= 0) {
        (void)close(*memory);
        *memory = -1;
    }
    return status;
}

dx_status dx_link_join(const char *path, int64_t by_ns, struct dx_link **out, int *memory)
{
    *memory = -1;
    struct dx_link *link = dx_link_new();
    if (link == NULL)
        return dx_fail_errno("%s: cannot be joined", path);
    dx_status status = dx_socket_connect(path, &link->socket);
    if (status == DX_OK)
        status = dx_link_be_greeted(link, path, by_ns, memory);
    if (status == DX_OK)
        *out = link;
    else
        dx_link_close(link);
    return status;
}
