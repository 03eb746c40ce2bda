/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of QEMU's ivshmem server protocol, version 0 (QEMU's docs/specs/ivshmem-spec.rst): from
 * the server to each client, over a Unix stream socket, 8 bytes little-endian each, with a
 * descriptor as ancillary data where one belongs to it.
 *
 *   version                       0
 *   id                            the client's own
 *   -1, descriptor                the memory
 *   id, descriptor                another peer has joined: one message per interrupt vector
 *   own id, descriptor            the client's own vectors, likewise
 *   id, no descriptor             that peer has left
 */
#ifndef DX_RENDEZVOUS_WIRE_H
#define DX_RENDEZVOUS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DX_IVSHMEM_VERSION 0
#define DX_IVSHMEM_MEMORY (-1)
#define DX_IVSHMEM_IDS 65536u /* ids have 16 bits in the device */

struct dx_ivshmem_message {
    int64_t value;
    int fd; /* -1: none. Close-on-exec; the receiver owns it */
};

enum dx_ivshmem_sent {
    DX_IVSHMEM_SENT,
    DX_IVSHMEM_FULL,  /* the client has not read what came before */
    DX_IVSHMEM_LATER, /* the kernel has no room now, which is not this client's fault: no memory, or
                         too many descriptors of this user are on their way (ETOOMANYREFS) */
    DX_IVSHMEM_GONE,  /* the other end is gone, or the descriptor is no socket */
};

/* Never blocks. fd may be -1. */
enum dx_ivshmem_sent dx_ivshmem_send(int socket, int64_t value, int fd);

/* The bytes that have come of the next message: a stream hands them over in any pieces. */
struct dx_ivshmem_reader {
    unsigned char bytes[8];
    size_t have;
    int fd;
};
#define DX_IVSHMEM_READER_INIT                                                                     \
    {                                                                                              \
        {0}, 0, -1                                                                                 \
    }

enum dx_ivshmem_read {
    DX_IVSHMEM_MESSAGE,
    DX_IVSHMEM_NOTHING_YET,
    DX_IVSHMEM_END,       /* the other end is gone */
    DX_IVSHMEM_NO_ROOM,   /* the next message is there, and stays there: this process has no free
                             descriptor for the one that comes with it, or no memory */
    DX_IVSHMEM_NO_SOCKET, /* our own descriptor is closed: nothing is known of the other end */
};

/* Never blocks. One thread at a time. It closes each further descriptor of a message. */
enum dx_ivshmem_read dx_ivshmem_receive(int socket, struct dx_ivshmem_reader *reader,
                                        struct dx_ivshmem_message *out);

/* Closes what a reader holds of a message that never came to its end. */
void dx_ivshmem_reader_close(struct dx_ivshmem_reader *reader);

#endif
