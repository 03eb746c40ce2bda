/* SPDX-License-Identifier: Apache-2.0 */
/* How a client joins a rendezvous: what it is greeted with is input. */
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "link_private.h"
#include "socket_name.h"

#define HANDSHAKE_NS 1000000000ll

/* One message of the greeting, or why it did not come. */
static dx_status next_message(struct dx_link *link, const char *path, int64_t deadline,
                              struct dx_ivshmem_message *m)
{
    for (;;) {
        switch (dx_ivshmem_receive(link->socket, &link->reader, m)) {
        case DX_IVSHMEM_MESSAGE:
            return DX_OK;
        case DX_IVSHMEM_END:
            return dx_fail(DX_ERR_NO_PEER, "%s: closed by whoever serves it", path);
        case DX_IVSHMEM_NOTHING_YET:
            break;
        }
        int64_t left_ns = deadline - dx_clock_ns();
        if (left_ns <= 0)
            return dx_fail(DX_ERR_TIMEOUT, "%s: whoever serves it says nothing", path);
        (void)dx_link_readable(link->socket, left_ns);
    }
}

static dx_status expect(struct dx_link *link, const char *path, int64_t deadline, int64_t value,
                        bool with_fd, struct dx_ivshmem_message *m)
{
    dx_status status = next_message(link, path, deadline, m);
    if (status != DX_OK)
        return status;
    if (m->value == value && (m->fd >= 0) == with_fd)
        return DX_OK;
    if (m->fd >= 0)
        (void)close(m->fd);
    return dx_fail(DX_ERR_CORRUPT, "%s: says %lld, expected %lld: no ivshmem server of version %d",
                   path, (long long)m->value, (long long)value, DX_IVSHMEM_VERSION);
}

/* The greeting, up to our own eventfd. */
static dx_status be_greeted(struct dx_link *link, const char *path, int *memory)
{
    struct dx_ivshmem_message m;
    int64_t deadline = dx_clock_ns() + HANDSHAKE_NS;
    dx_status status = expect(link, path, deadline, DX_IVSHMEM_VERSION, false, &m);
    if (status == DX_OK)
        status = next_message(link, path, deadline, &m);
    if (status != DX_OK)
        return status;
    if (m.value < 0 || m.value >= (int64_t)DX_IVSHMEM_IDS || m.fd >= 0) {
        if (m.fd >= 0)
            (void)close(m.fd);
        return dx_fail(DX_ERR_CORRUPT, "%s: gives us the id %lld", path, (long long)m.value);
    }
    link->id = (uint32_t)m.value;
    status = expect(link, path, deadline, DX_IVSHMEM_MEMORY, true, &m);
    if (status != DX_OK)
        return status;
    *memory = m.fd;
    while (status == DX_OK && link->bell < 0) {
        status = next_message(link, path, deadline, &m);
        if (status != DX_OK)
            break;
        if (m.fd < 0)
            dx_doorbells_leave(&link->peers, m.value);
        else if (m.value == link->id)
            link->bell = m.fd;
        else
            (void)dx_doorbells_join(&link->peers, m.value, m.fd);
    }
    return status;
}

dx_status dx_link_join(const char *path, struct dx_link **out, int *memory)
{
    *memory = -1;
    struct dx_link *link = dx_link_new();
    if (link == NULL)
        return dx_fail_errno("%s: cannot be joined", path);
    dx_status status = dx_socket_connect(path, &link->socket);
    if (status == DX_OK)
        status = be_greeted(link, path, memory);
    if (status == DX_OK) {
        *out = link;
        return DX_OK;
    }
    if (*memory >= 0)
        (void)close(*memory);
    *memory = -1;
    dx_link_close(link);
    return status;
}
