/* SPDX-License-Identifier: Apache-2.0 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
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

/*
 * What stands at closed low numbers while the library makes a descriptor, which would otherwise
 * have such a number for a moment, in which another thread could print into it. A filler can
 * neither be read nor be written: a program that prints there gets EBADF as before. All threads
 * share the fillers: the last one that makes a descriptor takes them away.
 */
static struct {
    pthread_mutex_t lock;
    bool registered; /* for forks */
    unsigned users;
    bool filled[LOW];
} fillers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* One that cannot be had is done without: dx_fd_above mends the rest. */
static void fill(void)
{
    for (int i = 0; i < LOW; i++) {
        if (fcntl(i, F_GETFD) >= 0)
            continue;
        int fd = open("/", O_PATH | O_CLOEXEC);
        if (fd >= LOW)
            (void)close(fd); /* another thread has put something there meanwhile */
        else if (fd >= 0)
            fillers.filled[fd] = true;
    }
}

/* Leaves alone what the program has put in their place since. */
static void empty(void)
{
    for (int i = 0; i < LOW; i++)
        if (fillers.filled[i] && (fcntl(i, F_GETFL) & O_PATH) != 0)
            (void)close(i);
    memset(fillers.filled, 0, sizeof fillers.filled);
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&fillers.lock);
}

static void in_parent(void)
{
    (void)pthread_mutex_unlock(&fillers.lock);
}

/* The threads that used them are not here. */
static void in_child(void)
{
    empty();
    fillers.users = 0;
    (void)pthread_mutex_unlock(&fillers.lock);
}

/* Here and below a thread that is cancelled goes on until the lock is free again. */
static void enter(void)
{
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    (void)pthread_mutex_lock(&fillers.lock);
    if (!fillers.registered)
        fillers.registered = pthread_atfork(before_fork, in_parent, in_child) == 0;
    fillers.users++;
    fill();
    (void)pthread_mutex_unlock(&fillers.lock);
    (void)pthread_setcancelstate(before, NULL);
}

/* errno stays. */
static void leave(void)
{
    int before;
    int saved = errno;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    (void)pthread_mutex_lock(&fillers.lock);
    if (--fillers.users == 0)
        empty();
    (void)pthread_mutex_unlock(&fillers.lock);
    (void)pthread_setcancelstate(before, NULL);
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

static int settle(int fd)
{
    leave();
    return dx_fd_above(fd);
}

int dx_fd_open(const char *path, int flags)
{
    enter();
    return settle(open(path, flags | O_CLOEXEC, 0600));
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
    enter();
    return settle(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int dx_fd_accept(int listener)
{
    enter();
    return settle(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

void dx_fd_close(int *fd)
{
    int closes = *fd;
    *fd = -1;
    if (closes >= 0)
        (void)close(closes);
}

int dx_fd_eventfd(void)
{
    enter();
    return settle(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int dx_fd_timer(void)
{
    enter();
    return settle(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int dx_fd_epoll(void)
{
    enter();
    return settle(epoll_create1(EPOLL_CLOEXEC));
}

int dx_fd_memfd(void)
{
    enter();
    return settle(memfd_create("dx", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

int dx_fd_ioctl(int fd, unsigned long request, const void *argument)
{
    enter();
    return settle(ioctl(fd, request, argument));
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
    enter();
    ssize_t got = recvmsg(socket, message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    leave();
    if (got >= 0)
        settle_message(message);
    return got;
}

void dx_fd_fill_low(void)
{
    enter(); /* and never leaves */
}
