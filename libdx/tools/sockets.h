/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix sockets that some process has bound, as the kernel lists them (sock_diag), with the file
 * of each. A socket that has another name by now still has its file: /proc/net/unix tells only the
 * name that it was bound to.
 */
#ifndef DX_TOOL_SOCKETS_H
#define DX_TOOL_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bound_socket {
    uint32_t number; /* of the socket, as in the link /proc/PID/fd/N -> socket:[number] */
    uint32_t inode;  /* of its file, the lower half */
    dev_t device;
    char name[108]; /* to which it was bound, perhaps a temporary one */
};

struct bound_sockets {
    bool known; /* false: they could not be listed */
    struct bound_socket *items;
    size_t count;
};

/* Lists them. 0, or an error number, and none are known. To be freed by sockets_free. */
int sockets_list(struct bound_sockets *sockets);
/* Is this an error of a kernel that lists them to nobody, or not to us? */
bool sockets_are_hidden(int error);
void sockets_free(struct bound_sockets *sockets);

/* The one that has this number, or this file; NULL: none. */
const struct bound_socket *sockets_numbered(const struct bound_sockets *sockets, uint32_t number);
const struct bound_socket *sockets_of_file(const struct bound_sockets *sockets, dev_t device,
                                           ino_t inode);

#endif
