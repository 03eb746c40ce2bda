/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for descriptors where descriptors may be limited or closed by the program around us. */
#ifndef DX_FD_WAIT_H
#define DX_FD_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* Waits until one of them can be read (POLLIN, the only event that is understood), for timeout_ns
 * at most; negative: for ever. Returns how many have revents; a closed descriptor has POLLNVAL.
 * Returns 0 if the time is up, if a signal came, or if the kernel refuses to wait. In the last case
 * it sleeps for up to 5 ms, so that a loop around this call never runs without a sleep. It also
 * works with RLIMIT_NOFILE 0, where poll(2) refuses to wait. */
int dx_fd_wait(struct pollfd *waits, nfds_t count, int64_t timeout_ns);

/* The same for one descriptor. True: it can be read, or its other end is gone. False: the time is
 * up, or the descriptor is closed. If it is closed, this sleeps for up to 5 ms. */
bool dx_fd_readable(int fd, int64_t timeout_ns);

/* Sleeps for this time. */
void dx_fd_nap(int64_t ns);

#endif
