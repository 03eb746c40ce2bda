/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where descriptors are born and received. A program may run with standard input, output or error
 * closed. The kernel would then give us that number, and what the program prints would be written
 * into a region or a socket. So every descriptor of the library comes from here, and none is ever
 * 0, 1 or 2. A test makes sure that no other file calls open, socket and the like.
 *
 * exec closes all of them. On failure each function returns -1 (or NULL) with errno. Any thread may
 * call them.
 */
#ifndef DX_FD_H
#define DX_FD_H

#include <stdio.h>
#include <sys/types.h>

struct msghdr;

/* Takes a descriptor and returns the same file at a number above 2; on failure fd is closed, too.
 * -1 is passed through with its errno. */
int dx_fd_above(int fd);

/* open; a file that it makes has mode 0600. */
int dx_fd_open(const char *path, int flags);

/* fopen for reading text. */
FILE *dx_fd_read_text(const char *path);

/* Makes a stream socket of AF_UNIX; accepts a client that waits at one. Neither descriptor blocks.
 */
int dx_fd_socket(void);
int dx_fd_accept(int listener);

/* Make an eventfd and a timer of the monotonic clock, which do not block; an epoll; a memfd that
 * can be sealed. */
int dx_fd_eventfd(void);
int dx_fd_timer(void);
int dx_fd_epoll(void);
int dx_fd_memfd(void);

/* Another number for the same file. */
int dx_fd_duplicate(int fd);

/* Closes *fd, which is -1 before that happens: a fork of another thread finds no number that stands
 * for something else by now. -1 is allowed. */
void dx_fd_close(int *fd);

/* An ioctl whose result is a descriptor. */
int dx_fd_ioctl(int fd, unsigned long request, const void *argument);

/* recvmsg that does not wait. flags is 0 or MSG_PEEK. A descriptor that came but cannot be kept is
 * -1 in the message. The message then has the flag MSG_CTRUNC, as if the descriptor had not fitted.
 */
ssize_t dx_fd_receive(int socket, struct msghdr *message, int flags);

/* For our own programs: fills 0, 1 and 2 where they are closed. They stay unusable for reading and
 * writing, and no other file gets their numbers. */
void dx_fd_fill_low(void);

#endif
