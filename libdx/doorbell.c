/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Of Linux, which a C library may not know. */
#define NOWAIT 8

/* What the kernel calls it; without /proc nobody can say. */
static bool has_other_name(int fd)
{
    static const char expected[] = "anon_inode:[eventfd]";
    char path[64];
    char name[sizeof expected];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, name, sizeof name);
    return length >= 0 &&
           (length != sizeof expected - 1 || memcmp(name, expected, sizeof expected - 1) != 0);
}

bool dx_doorbell_is_one(int fd)
{
    struct stat s;
    errno = 0;
    if (fstat(fd, &s) != 0)
        return false;
    /* A descriptor whose mode has no file type belongs to no file: an eventfd, or one of its kin.
     */
    bool is_one = (s.st_mode & S_IFMT) == 0 && !has_other_name(fd);
    errno = 0;
    return is_one;
}

bool dx_doorbell_is_unblocked(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

void dx_doorbell_unblock(int fd)
{
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

void dx_doorbell_write(int fd)
{
    uint64_t one = 1;
    if (write(fd, &one, sizeof one) != (ssize_t)sizeof one)
        return; /* full: rung enough */
}

bool dx_doorbell_is_full(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    const struct timespec now = {0};
    return ppoll(&look, 1, &now, NULL) == 0;
}

void dx_doorbell_take(int fd)
{
    uint64_t count;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof count};
    /* -1 is the place in the file: where it is. */
    if (syscall(SYS_preadv2, fd, &part, 1, -1l, -1l, NOWAIT) >= 0 ||
        (errno != EOPNOTSUPP && errno != ENOSYS))
        return;
    /* Linux before 5.8 cannot be asked not to wait for this one read. */
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && read(fd, &count, sizeof count) < 0)
        return; /* none were there */
}
