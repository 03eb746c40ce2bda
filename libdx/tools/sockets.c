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
    ssize_t sent;
    do
        sent = sendmsg(netlink, &message, 0);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof request;
}

/* There is room for 1, 2, 4, 8, ... of them. */
static bool add(struct bound_sockets *sockets, const struct bound_socket *socket)
{
    size_t count = sockets->count;
    if ((count & (count - 1)) == 0) {
        size_t room = count != 0 ? 2 * count : 1;
        struct bound_socket *more = realloc(sockets->items, room * sizeof *more);
        if (more == NULL)
            return false;
        sockets->items = more;
    }
    sockets->items[sockets->count++] = *socket;
    return true;
}

/* One socket; those without a file are left out. */
static bool read_socket(struct bound_sockets *sockets, const struct nlmsghdr *header)
{
    const struct unix_diag_msg *body = NLMSG_DATA(header);
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof *body)) {
        errno = EPROTO;
        return false;
    }
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

/* The kernel's answer that it lists none, or what is no answer. */
static int refused(const struct nlmsghdr *header)
{
    const struct nlmsgerr *body = NLMSG_DATA(header);
    bool is_error =
        header->nlmsg_type == NLMSG_ERROR && header->nlmsg_len >= NLMSG_LENGTH(sizeof *body);
    errno = is_error && body->error < 0 ? -body->error : EPROTO;
    return -1;
}

/* What came at once: 1 if there is more to come, 0 at the end, -1 and errno if something is wrong.
 */
static int read_some(struct bound_sockets *sockets, const char *buffer, size_t bytes)
{
    for (size_t at = 0; bytes - at >= sizeof(struct nlmsghdr);) {
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)(buffer + at);
        if (header->nlmsg_type == NLMSG_DONE)
            return 0;
        if (header->nlmsg_len < sizeof *header || header->nlmsg_len > bytes - at) {
            errno = EPROTO;
            return -1;
        }
        if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
            return refused(header);
        if (!read_socket(sockets, header))
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
    if (bytes == 0)
        errno = EPROTO;
    return bytes > 0 ? read_some(sockets, buffer, (size_t)bytes) : -1;
}

int sockets_list(struct bound_sockets *sockets)
{
    *sockets = (struct bound_sockets){.known = false};
    char *buffer = malloc(BUFFER_BYTES);
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int more = buffer != NULL && netlink >= 0 && ask(netlink) ? 1 : -1;
    while (more > 0)
        more = receive(sockets, netlink, buffer);
    int error = more == 0 ? 0 : errno;
    if (netlink >= 0)
        (void)close(netlink);
    free(buffer);
    sockets->known = more == 0;
    if (!sockets->known)
        sockets_free(sockets);
    return error;
}

bool sockets_are_hidden(int error)
{
    static const int hidden[] = {ENOENT,     EPROTONOSUPPORT, EAFNOSUPPORT, ESOCKTNOSUPPORT,
                                 EOPNOTSUPP, ENOSYS,          EACCES,       EPERM};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (error == hidden[i])
            return true;
    return false;
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
