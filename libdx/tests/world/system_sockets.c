/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for system calls on sockets, eventfds and sets of descriptors. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "fail.h"

#define BRIEF_MS 4

int world_socket(int domain, int type, int protocol)
{
    if (WORLD_FAILS("socket", EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES))
        return -1;
    return socket(domain, type, protocol);
}

int world_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    return WORLD_FAILS("bind", ENOMEM, EACCES, ENOSPC) ? -1 : bind(fd, address, bytes);
}

int world_listen(int fd, int backlog)
{
    return WORLD_FAILS("listen", ENOBUFS) ? -1 : listen(fd, backlog);
}

int world_connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    return WORLD_FAILS("connect", ENOMEM, EACCES, EINTR, EAGAIN) ? -1 : connect(fd, address, bytes);
}

/* Whoever waits to be let in goes on waiting. */
int world_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
    if (WORLD_FAILS("accept4", EMFILE, ENFILE, ENOMEM, ENOBUFS, ECONNABORTED, EINTR, EPERM))
        return -1;
    return accept4(fd, address, bytes, flags);
}

ssize_t world_send(int fd, const void *data, size_t bytes, int flags)
{
    if (WORLD_FAILS("send", EINTR, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET, EPIPE))
        return -1;
    return send(fd, data, bytes, flags);
}

ssize_t world_recv(int fd, void *data, size_t bytes, int flags)
{
    if (WORLD_FAILS("recv", EINTR, EAGAIN, ENOMEM, ECONNRESET))
        return -1;
    return recv(fd, data, bytes, flags);
}

int world_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
    if (WORLD_FAILS("setsockopt", ENOMEM))
        return -1;
    return setsockopt(fd, level, name, value, bytes);
}

ssize_t world_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (WORLD_FAILS("sendmsg", EINTR, EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS))
        return -1;
    return sendmsg(fd, message, flags);
}

ssize_t world_recvmsg(int fd, struct msghdr *message, int flags)
{
    int error = WORLD_ERROR("recvmsg", EINTR, ENOMEM, WORLD_SHORT);
    if (world_sets_errno(error))
        return -1;
    if (error != WORLD_SHORT || message->msg_iovlen != 1 || message->msg_iov->iov_len < 2)
        return recvmsg(fd, message, flags);
    struct iovec less = {message->msg_iov->iov_base, message->msg_iov->iov_len / 2};
    struct iovec *whole = message->msg_iov;
    message->msg_iov = &less;
    ssize_t got = recvmsg(fd, message, flags);
    message->msg_iov = whole;
    return got;
}

int world_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
    if (WORLD_FAILS("getsockopt", ENOMEM, EACCES))
        return -1;
    return getsockopt(fd, level, name, value, bytes);
}

int world_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return WORLD_FAILS("poll", EINTR, ENOMEM) ? -1 : poll(fds, count, timeout_ms);
}

static bool skips_waits;

void world_skip_waits(void)
{
    skips_waits = true;
}

int world_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask)
{
    const struct timespec none = {0};
    if (WORLD_FAILS("ppoll", EINTR, ENOMEM))
        return -1;
    bool skips = skips_waits && timeout != NULL;
    int ready = ppoll(fds, count, skips ? &none : timeout, mask);
    if (skips && ready == 0)
        world_skip_time((int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec);
    return ready;
}

int world_pselect(int count, fd_set *reads, fd_set *writes, fd_set *others,
                  const struct timespec *timeout, const sigset_t *mask)
{
    if (WORLD_FAILS("pselect", EINTR, ENOMEM))
        return -1;
    return pselect(count, reads, writes, others, timeout, mask);
}

int world_timerfd_create(int clock, int flags)
{
    if (WORLD_FAILS("timerfd_create", EMFILE, ENFILE, ENOMEM))
        return -1;
    return timerfd_create(clock, flags);
}

int world_epoll_create1(int flags)
{
    return WORLD_FAILS("epoll_create1", EMFILE, ENFILE, ENOMEM) ? -1 : epoll_create1(flags);
}

int world_epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    return WORLD_FAILS("epoll_ctl", ENOMEM, ENOSPC) ? -1 : epoll_ctl(set, operation, fd, event);
}

int world_epoll_wait(int set, struct epoll_event *events, int count, int timeout_ms)
{
    if (WORLD_FAILS("epoll_wait", EINTR))
        return -1;
    return epoll_wait(set, events, count,
                      skips_waits && timeout_ms > BRIEF_MS ? BRIEF_MS : timeout_ms);
}

int world_eventfd(unsigned value, int flags)
{
    return WORLD_FAILS("eventfd", EMFILE, ENFILE, ENOMEM) ? -1 : eventfd(value, flags);
}
