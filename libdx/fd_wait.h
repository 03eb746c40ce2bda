/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for descriptors where descriptors may be limited or closed by the program around us. */
#ifndef DX_FD_WAIT_H
#define DX_FD_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* Waits until one of them can be read (POLLIN, the only event that is understood), timeout_ns at
 * most; negative: for ever. Returns how many have revents; a descriptor that is closed has
 * POLLNVAL. 0: the time is up, a signal came, or waiting is refused by the kernel: then up to 5 ms
 * have been slept, so that a loop around this call never runs without sleep. It works with
 * RLIMIT_NOFILE 0, too, where poll(2) refuses to wait. */
int dx_fd_wait(struct pollfd *waits, nfds_t count, int64_t timeout_ns);

/* The same for one. True: it can be read, or its other end is gone. False: the time is up, or the
 * descriptor is closed: then as above. */
bool dx_fd_readable(int fd, int64_t timeout_ns);

/* Sleeps for this time. */
void dx_fd_nap(int64_t ns);

#endif
