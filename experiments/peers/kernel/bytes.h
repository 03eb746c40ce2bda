/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KERNEL_BYTES_H
#define KERNEL_BYTES_H

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* Writes or reads all of it. Returns 0; -1 at an error or the end. */
static inline int write_all(int fd, const char *from, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, from, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        from += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static inline int read_all(int fd, char *to, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = read(fd, to, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        to += n;
        bytes -= (size_t)n;
    }
    return 0;
}

#endif
