/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BUFFER_BYTES 32768
/* How the kernel packs a device's number within itself. */
#define KERNEL_MINOR_BITS 20

struct request {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

static bool ask(int netlink)
{
    struct request request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = UINT32_MAX,
                 .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS},
    };
    struct iovec part = {&request, sizeof request};
    const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return sendmsg(netlink, &message, 0) == (ssize_t)sizeof request;
}

static bool add(struct bound_sockets *sockets, const struct bound_socket *socket)
{
    struct bound_socket *more =
        realloc(sockets->items, (sockets->count + 1) * sizeof *sockets->items);
    if (more == NULL)
        return false;
    sockets->items = more;
    more[sockets->count++] = *socket;
    return true;
}

/* One socket; those without a file are left out. */
static bool read_socket(struct bound_sockets *sockets, const struct nlmsghdr *header)
{
    const struct unix_diag_msg *body = NLMSG_DATA(header);
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof *body))
        return false;
    struct bound_socket socket = {.number = body->udiag_ino};
    const struct rtattr *attribute = (const struct rtattr *)(const void *)(body + 1);
    int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *body));
    bool has_file = false;
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        size_t bytes = RTA_PAYLOAD(attribute);
        if (attribute->rta_type == UNIX_DIAG_VFS && bytes >= sizeof(struct unix_diag_vfs)) {
            struct unix_diag_vfs file;
            memcpy(&file, RTA_DATA(attribute), sizeof file);
            socket.inode = file.udiag_vfs_ino;
            socket.device = makedev(file.udiag_vfs_dev >> KERNEL_MINOR_BITS,
                                    file.udiag_vfs_dev & ((1u << KERNEL_MINOR_BITS) - 1));
            has_file = true;
        } else if (attribute->rta_type == UNIX_DIAG_NAME) {
            bytes = bytes < sizeof socket.name ? bytes : sizeof socket.name - 1;
            memcpy(socket.name, RTA_DATA(attribute), bytes);
        }
    }
    return !has_file || add(sockets, &socket);
}

/* What came at once: 1 if there is more to come, 0 at the end, -1 if something is wrong. */
static int read_some(struct bound_sockets *sockets, const char *buffer, size_t bytes)
{
    for (size_t at = 0; bytes - at >= sizeof(struct nlmsghdr);) {
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)(buffer + at);
        if (header->nlmsg_type == NLMSG_DONE)
            return 0;
        if (header->nlmsg_len < sizeof *header || header->nlmsg_len > bytes - at ||
            header->nlmsg_type != SOCK_DIAG_BY_FAMILY || !read_socket(sockets, header))
            return -1;
        size_t next = at + NLMSG_ALIGN(header->nlmsg_len);
        at = next < bytes ? next : bytes;
    }
    return 1;
}

static int receive(struct bound_sockets *sockets, int netlink, char *buffer)
{
    struct iovec part = {buffer, BUFFER_BYTES};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t bytes = recvmsg(netlink, &message, 0);
    if (bytes < 0 && errno == EINTR)
        return 1;
    return bytes > 0 ? read_some(sockets, buffer, (size_t)bytes) : -1;
}

void sockets_list(struct bound_sockets *sockets)
{
    *sockets = (struct bound_sockets){.known = false};
    char *buffer = malloc(BUFFER_BYTES);
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int more = buffer != NULL && netlink >= 0 && ask(netlink) ? 1 : -1;
    while (more > 0)
        more = receive(sockets, netlink, buffer);
    if (netlink >= 0)
        (void)close(netlink);
    free(buffer);
    sockets->known = more == 0;
    if (!sockets->known)
        sockets_free(sockets);
}

void sockets_free(struct bound_sockets *sockets)
{
    free(sockets->items);
    *sockets = (struct bound_sockets){.known = false};
}

const struct bound_socket *sockets_numbered(const struct bound_sockets *sockets, uint32_t number)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->items[i].number == number)
            return &sockets->items[i];
    return NULL;
}

const struct bound_socket *sockets_of_file(const struct bound_sockets *sockets, dev_t device,
                                           ino_t inode)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->items[i].inode == (uint32_t)inode && sockets->items[i].device == device)
            return &sockets->items[i];
    return NULL;
}
