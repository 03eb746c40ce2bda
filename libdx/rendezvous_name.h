/* SPDX-License-Identifier: Apache-2.0 */
/* Names of Unix sockets: who owns them, who listens, and how to take one without a gap in which
 * somebody else could take it. */
#ifndef DX_RENDEZVOUS_NAME_H
#define DX_RENDEZVOUS_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dx_status.h"

/* A listening socket, mode 0600, under a name of its own in the folder of path; that name is
 * written to temporary (DX_PATH_MAX bytes). */
dx_status dx_socket_listen(const char *path, char *temporary, int *out);

/* Gives path to the socket that has the temporary name, and takes that one away. */
dx_status dx_socket_claim(const char *path, const char *temporary);

/* Removes path if it stands for this file of a socket. False, and errno: it may still be there. */
bool dx_socket_release(const char *path, dev_t device, ino_t inode);

/* Connects. DX_ERR_NO_PEER: nothing there, or nobody listens any more. DX_ERR_PERMISSION: a link,
 * no socket, another user's, or another user listens. */
dx_status dx_socket_connect(const char *path, int *out);

/* Is the process at the other end of our user? Its id is written to *pid. */
dx_status dx_socket_check_peer(int fd, const char *path, pid_t *pid);

#endif
