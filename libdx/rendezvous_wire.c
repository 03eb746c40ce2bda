/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous_wire.h"

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

static bool is_shortage(int error)
{
    return error == ENOMEM || error == ENOBUFS || error == EMFILE || error == ENFILE;
}

enum dx_ivshmem_sent dx_ivshmem_send(int socket, int64_t value, int fd)
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
    if (sent == (ssize_t)sizeof bytes)
        return DX_IVSHMEM_SENT;
    if (sent >= 0) /* a piece of a message, which has broken the stream */
        return DX_IVSHMEM_GONE;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return DX_IVSHMEM_FULL;
    return errno == ETOOMANYREFS || is_shortage(errno) ? DX_IVSHMEM_LATER : DX_IVSHMEM_GONE;
}

/* Not the macro in the loop itself: that of musl mixes signs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
static struct cmsghdr *next_header(struct msghdr *message, struct cmsghdr *header)
{
    return CMSG_NXTHDR(message, header);
}
#pragma GCC diagnostic pop

/* Returns the first descriptor of a message, or -1, and closes all others. */
static int take_descriptors(struct msghdr *message)
{
    int first = -1;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = next_header(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else if (fd >= 0)
                (void)close(fd);
        }
    }
    return first;
}

static int64_t decode(const unsigned char bytes[8])
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return (int64_t)value;
}

static enum dx_ivshmem_read why_nothing(ssize_t got)
{
    if (got == 0)
        return DX_IVSHMEM_END;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return DX_IVSHMEM_NOTHING_YET;
    if (errno == EBADF || errno == ENOTSOCK)
        return DX_IVSHMEM_NO_SOCKET;
    return is_shortage(errno) ? DX_IVSHMEM_NO_ROOM : DX_IVSHMEM_END;
}

struct piece {
    size_t bytes;
    int fd;         /* -1: none */
    bool truncated; /* there was a descriptor, for which there is no number free */
};

static enum dx_ivshmem_read receive_piece(int socket, unsigned char *bytes, size_t most, int flags,
                                          struct piece *out)
{
    union control control;
    struct iovec part = {.iov_base = bytes, .iov_len = most};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ssize_t got;
    do
        got = dx_fd_receive(socket, &message, flags);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return why_nothing(got);
    out->bytes = (size_t)got;
    out->fd = take_descriptors(&message);
    out->truncated = out->fd < 0 && (message.msg_flags & MSG_CTRUNC) != 0;
    return DX_IVSHMEM_MESSAGE;
}

/*
 * More bytes of the next message, and its descriptor. The kernel drops a descriptor for which there
 * is no number free. So it is looked at first, by which we get a copy of it, and the message stays
 * in the socket until that succeeds. A look may also find the descriptor of the message that comes
 * next: the copy counts only if the message itself has lost its own.
 */
static enum dx_ivshmem_read receive_more(int socket, struct dx_ivshmem_reader *reader)
{
    unsigned char *at = reader->bytes + reader->have;
    struct piece look = {.fd = -1};
    struct piece piece = {.fd = -1};
    enum dx_ivshmem_read read =
        receive_piece(socket, at, sizeof reader->bytes - reader->have, MSG_PEEK, &look);
    if (read != DX_IVSHMEM_MESSAGE)
        return read;
    if (look.truncated)
        return DX_IVSHMEM_NO_ROOM;
    read = receive_piece(socket, at, look.bytes, 0, &piece);
    if (piece.truncated) {
        piece.fd = look.fd;
        look.fd = -1;
    }
    if (look.fd >= 0)
        (void)close(look.fd);
    if (read != DX_IVSHMEM_MESSAGE)
        return read;
    if (reader->fd < 0)
        reader->fd = piece.fd;
    else if (piece.fd >= 0)
        (void)close(piece.fd);
    reader->have += piece.bytes;
    return DX_IVSHMEM_MESSAGE;
}

enum dx_ivshmem_read dx_ivshmem_receive(int socket, struct dx_ivshmem_reader *reader,
                                        struct dx_ivshmem_message *out)
{
    while (reader->have < sizeof reader->bytes) {
        enum dx_ivshmem_read read = receive_more(socket, reader);
        if (read != DX_IVSHMEM_MESSAGE)
            return read;
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
