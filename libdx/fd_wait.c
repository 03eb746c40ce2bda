/* SPDX-License-Identifier: Apache-2.0 */
#include "fd_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#include "clock.h"

#define NAP_NS 5000000ll

/* A set of descriptors for pselect. fd_set ends at 1024; the kernel takes any number of words. */
#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)
#define SET_WORDS 128u
#define SET_BITS ((int)(SET_WORDS * WORD_BITS))

void dx_fd_nap(int64_t ns)
{
    struct timespec pause = dx_clock_timespec(ns > 0 ? ns : 0);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void nap_for(int64_t timeout_ns)
{
    dx_fd_nap(timeout_ns >= 0 && timeout_ns < NAP_NS ? timeout_ns : NAP_NS);
}

/* Marks those that are closed. */
static int find_closed(struct pollfd *waits, nfds_t count)
{
    int found = 0;
    for (nfds_t i = 0; i < count; i++) {
        if (waits[i].fd < 0 || fcntl(waits[i].fd, F_GETFD) >= 0)
            continue;
        waits[i].revents = POLLNVAL;
        found++;
    }
    return found;
}

static int take_set(struct pollfd *waits, nfds_t count, const unsigned long *set)
{
    int found = 0;
    for (nfds_t i = 0; i < count; i++) {
        int fd = waits[i].fd;
        if (fd < 0 || (set[(size_t)fd / WORD_BITS] >> (size_t)fd % WORD_BITS & 1) == 0)
            continue;
        waits[i].revents = POLLIN;
        found++;
    }
    return found;
}

/* pselect has no look at RLIMIT_NOFILE. */
static int wait_by_select(struct pollfd *waits, nfds_t count, const struct timespec *timeout,
                          int64_t timeout_ns)
{
    unsigned long set[SET_WORDS];
    int end = 0;
    int refused = EINVAL;
    memset(set, 0, sizeof set);
    for (nfds_t i = 0; i < count && end <= SET_BITS; i++) {
        int fd = waits[i].fd;
        waits[i].revents = 0;
        if (fd >= 0 && fd < SET_BITS)
            set[(size_t)fd / WORD_BITS] |= 1ul << (size_t)fd % WORD_BITS;
        if (fd >= end)
            end = fd + 1;
    }
    if (end <= SET_BITS) {
        int ready = pselect(end, (fd_set *)(void *)set, NULL, NULL, timeout, NULL);
        if (ready >= 0)
            return take_set(waits, count, set);
        refused = errno;
    }
    int closed = refused == EBADF ? find_closed(waits, count) : 0;
    if (closed == 0 && refused != EINTR)
        nap_for(timeout_ns);
    return closed;
}

int dx_fd_wait(struct pollfd *waits, nfds_t count, int64_t timeout_ns)
{
    struct timespec limit = dx_clock_timespec(timeout_ns > 0 ? timeout_ns : 0);
    const struct timespec *timeout = timeout_ns >= 0 ? &limit : NULL;
    int ready = ppoll(waits, count, timeout, NULL);
    if (ready >= 0)
        return ready;
    for (nfds_t i = 0; i < count; i++)
        waits[i].revents = 0;
    return errno == EINTR ? 0 : wait_by_select(waits, count, timeout, timeout_ns);
}

bool dx_fd_readable(int fd, int64_t timeout_ns)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (dx_fd_wait(&wait, 1, timeout_ns > 0 ? timeout_ns : 0) <= 0)
        return false;
    if ((wait.revents & POLLNVAL) == 0)
        return true;
    nap_for(timeout_ns);
    return false;
}
