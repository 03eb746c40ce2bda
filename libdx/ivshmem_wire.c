/* SPDX-License-Identifier: Apache-2.0 */
#include "ivshmem_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

#define DESCRIPTORS_MAX 4

/* Ancillary data, aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
};

bool dx_ivshmem_send(int socket, int64_t value, int fd)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((uint64_t)value >> 8 * i);
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(sizeof fd);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    /* A piece of a message would break the stream, so that it counts as none. */
    return sent == (ssize_t)sizeof bytes;
}

/* Not the macro in the loop itself: that of musl mixes signs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
static struct cmsghdr *next_header(struct msghdr *message, struct cmsghdr *header)
{
    return CMSG_NXTHDR(message, header);
}
#pragma GCC diagnostic pop

/* Keeps the first descriptor of a message and closes all others. */
static void take_descriptors(struct msghdr *message, struct dx_ivshmem_reader *reader)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = next_header(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (fd >= 0 && reader->fd < 0)
                reader->fd = fd;
            else if (fd >= 0)
                (void)close(fd);
        }
    }
}

static int64_t decode(const unsigned char bytes[8])
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return (int64_t)value;
}

enum dx_ivshmem_read dx_ivshmem_receive(int socket, struct dx_ivshmem_reader *reader,
                                        struct dx_ivshmem_message *out)
{
    while (reader->have < sizeof reader->bytes) {
        union control control;
        struct iovec part = {.iov_base = reader->bytes + reader->have,
                             .iov_len = sizeof reader->bytes - reader->have};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.room,
                                 .msg_controllen = sizeof control.room};
        ssize_t got = dx_fd_receive(socket, &message);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return DX_IVSHMEM_NOTHING_YET;
        if (got <= 0)
            return DX_IVSHMEM_END;
        take_descriptors(&message, reader);
        reader->have += (size_t)got;
    }
    *out = (struct dx_ivshmem_message){.value = decode(reader->bytes), .fd = reader->fd};
    reader->have = 0;
    reader->fd = -1;
    return DX_IVSHMEM_MESSAGE;
}

void dx_ivshmem_reader_close(struct dx_ivshmem_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
    reader->have = 0;
}
