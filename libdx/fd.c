/* SPDX-License-Identifier: Apache-2.0 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifndef __GLIBC__
/* The ioctl of musl takes an int, and its CMSG_NXTHDR mixes signs. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#define LOW 3 /* descriptors 0, 1 and 2 */

/* What stands at a low number meanwhile: it can neither be read nor be written, so that a program
 * that prints there gets EBADF as before. */
struct fillers {
    int fds[LOW];
};

static int filler(void)
{
    return open("/", O_PATH | O_CLOEXEC);
}

/* Without it a new descriptor would have a low number for a moment, in which another thread could
 * print into it. A filler that cannot be had is done without: dx_fd_above mends the rest. */
static struct fillers fill(void)
{
    struct fillers f = {{-1, -1, -1}};
    for (int i = 0; i < LOW; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            continue;
        int fd = filler();
        if (fd >= LOW)
            (void)close(fd); /* another thread filled it meanwhile */
        else
            f.fds[i] = fd;
    }
    return f;
}

/* Takes the fillers away, but nothing that the program has put in their place since. */
static void empty(const struct fillers *f)
{
    int saved = errno;
    for (int i = 0; i < LOW; i++)
        if (f->fds[i] >= 0 && (fcntl(f->fds[i], F_GETFL) & O_PATH) != 0)
            (void)close(f->fds[i]);
    errno = saved;
}

int dx_fd_duplicate(int fd)
{
    int above = fcntl(fd, F_DUPFD_CLOEXEC, LOW);
    if (above < 0 && errno == EINVAL)
        errno = EMFILE; /* RLIMIT_NOFILE allows none above 2 */
    return above;
}

int dx_fd_above(int fd)
{
    if (fd < 0 || fd >= LOW)
        return fd;
    int above = dx_fd_duplicate(fd);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return above;
}

static int settle(const struct fillers *f, int fd)
{
    empty(f);
    return dx_fd_above(fd);
}

int dx_fd_open(const char *path, int flags)
{
    struct fillers f = fill();
    return settle(&f, open(path, flags | O_CLOEXEC, 0600));
}

FILE *dx_fd_read_text(const char *path)
{
    int fd = dx_fd_open(path, O_RDONLY);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file == NULL && fd >= 0)
        (void)close(fd);
    return file;
}

int dx_fd_socket(void)
{
    struct fillers f = fill();
    return settle(&f, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int dx_fd_accept(int listener)
{
    struct fillers f = fill();
    return settle(&f, accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int dx_fd_eventfd(void)
{
    struct fillers f = fill();
    return settle(&f, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int dx_fd_timer(void)
{
    struct fillers f = fill();
    return settle(&f, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int dx_fd_epoll(void)
{
    struct fillers f = fill();
    return settle(&f, epoll_create1(EPOLL_CLOEXEC));
}

int dx_fd_memfd(void)
{
    struct fillers f = fill();
    return settle(&f, memfd_create("dx", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

int dx_fd_ioctl(int fd, unsigned long request, const void *argument)
{
    struct fillers f = fill();
    return settle(&f, ioctl(fd, request, argument));
}

/* Moves what came up, in place. */
static void settle_message(struct msghdr *message)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            fd = dx_fd_above(fd);
            if (fd < 0)
                message->msg_flags |= MSG_CTRUNC;
            memcpy(CMSG_DATA(h) + i * sizeof fd, &fd, sizeof fd);
        }
    }
}

ssize_t dx_fd_receive(int socket, struct msghdr *message, int flags)
{
    struct fillers f = fill();
    ssize_t got = recvmsg(socket, message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    empty(&f);
    if (got >= 0)
        settle_message(message);
    return got;
}

void dx_fd_fill_low(void)
{
    (void)fill();
}
