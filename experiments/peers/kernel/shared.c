/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payload in shared memory, and a wake-up by eventfd or futex for each message. Memory and eventfds
 * of a caller are made by the server and handed over at a Unix socket, so that nothing has a name.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

#define LINE 64
#define DESCRIPTORS 3

/* Of the memory; the payloads lie behind it. */
struct slot {
    _Alignas(LINE) _Atomic uint32_t request;
    _Alignas(LINE) _Atomic uint32_t response;
};

enum { MEMORY, REQUEST_BELL, RESPONSE_BELL };

struct shared {
    struct slot *slot;
    char *request;
    char *response;
    size_t bytes;
    uint32_t number;
    int fd[DESCRIPTORS];
};

struct listener {
    int fd;
    size_t bytes;
    void *(*answer)(void *);
};

static size_t lines(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

static void map(struct shared *s)
{
    size_t size = sizeof *s->slot + 2 * lines(s->bytes);
    s->slot = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->fd[MEMORY], 0);
    if (s->slot == MAP_FAILED)
        peer_fail("shared memory: %m");
    s->request = (char *)(s->slot + 1);
    s->response = s->request + lines(s->bytes);
}

static struct shared *make(size_t bytes)
{
    struct shared *s = peer_new(sizeof *s);
    s->bytes = bytes;
    s->fd[MEMORY] = memfd_create("peers", MFD_CLOEXEC);
    s->fd[REQUEST_BELL] = eventfd(0, EFD_CLOEXEC);
    s->fd[RESPONSE_BELL] = eventfd(0, EFD_CLOEXEC);
    if (s->fd[MEMORY] < 0 || s->fd[REQUEST_BELL] < 0 || s->fd[RESPONSE_BELL] < 0 ||
        ftruncate(s->fd[MEMORY], (off_t)(sizeof *s->slot + 2 * lines(bytes))) != 0)
        peer_fail("shared memory: %m");
    map(s);
    return s;
}

/* A message of one byte that carries the descriptors. */
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
};

static void hand_over(int connection, const int *fd)
{
    char byte = 0;
    union control control = {.room = {0}};
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(DESCRIPTORS * sizeof(int));
    memcpy(CMSG_DATA(&control.head), fd, DESCRIPTORS * sizeof(int));
    if (sendmsg(connection, &message, MSG_NOSIGNAL) != 1)
        peer_fail("cannot hand over shared memory: %m");
}

static void take(int connection, int *fd)
{
    char byte;
    union control control;
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) != 1 ||
        message.msg_controllen < CMSG_LEN(DESCRIPTORS * sizeof(int)))
        peer_fail("no shared memory came");
    memcpy(fd, CMSG_DATA(&control.head), DESCRIPTORS * sizeof(int));
}

static void *accept_callers(void *argument)
{
    const struct listener *l = argument;
    for (;;) {
        int connection = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
            peer_fail("accept: %m");
        struct shared *s = make(l->bytes);
        hand_over(connection, s->fd);
        (void)close(connection);
        peer_thread(l->answer, s);
    }
}

static void serve_by(const struct peer_options *options, void *(*answer)(void *))
{
    struct listener *l = peer_new(sizeof *l);
    l->fd = kernel_listen(options, SOCK_STREAM);
    l->bytes = options->payload_bytes;
    l->answer = answer;
    peer_thread(accept_callers, l);
}

static void *open_shared(const struct peer_options *options, unsigned caller)
{
    (void)caller;
    struct shared *s = peer_new(sizeof *s);
    int connection = kernel_connect(options, SOCK_STREAM);
    s->bytes = options->payload_bytes;
    take(connection, s->fd);
    (void)close(connection);
    map(s);
    return s;
}

static int ring(int bell)
{
    uint64_t one = 1;
    return write(bell, &one, sizeof one) == (ssize_t)sizeof one ? 0 : -1;
}

/* Waits for a ring. */
static int hear(int bell)
{
    uint64_t rings;
    ssize_t n;
    do
        n = read(bell, &rings, sizeof rings);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof rings ? 0 : -1;
}

/* The eventfd orders what lies before a ring before what follows it on the other side. */
static void *answer_eventfd(void *argument)
{
    const struct shared *s = argument;
    while (hear(s->fd[REQUEST_BELL]) == 0) {
        memcpy(s->response, s->request, s->bytes);
        if (ring(s->fd[RESPONSE_BELL]) != 0)
            break;
    }
    return NULL;
}

static int call_eventfd(void *caller, const void *request, void *response)
{
    const struct shared *s = caller;
    memcpy(s->request, request, s->bytes);
    if (ring(s->fd[REQUEST_BELL]) != 0 || hear(s->fd[RESPONSE_BELL]) != 0)
        return -1;
    memcpy(response, s->response, s->bytes);
    return 0;
}

static void wake(_Atomic uint32_t *word, uint32_t number)
{
    atomic_store(word, number);
    (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Waits while the word has this number, and returns the next one. */
static uint32_t await_change(_Atomic uint32_t *word, uint32_t number)
{
    uint32_t now;
    while ((now = atomic_load(word)) == number)
        (void)syscall(SYS_futex, word, FUTEX_WAIT, number, NULL, NULL, 0);
    return now;
}

static void *answer_futex(void *argument)
{
    struct shared *s = argument;
    for (;;) {
        s->number = await_change(&s->slot->request, s->number);
        memcpy(s->response, s->request, s->bytes);
        wake(&s->slot->response, s->number);
    }
    return NULL;
}

static int call_futex(void *caller, const void *request, void *response)
{
    struct shared *s = caller;
    memcpy(s->request, request, s->bytes);
    wake(&s->slot->request, s->number + 1);
    s->number = await_change(&s->slot->response, s->number);
    memcpy(response, s->response, s->bytes);
    return 0;
}

static void serve_eventfd(const struct peer_options *options)
{
    serve_by(options, answer_eventfd);
}

static void serve_futex(const struct peer_options *options)
{
    serve_by(options, answer_futex);
}

const struct way way_eventfd = {"eventfd", serve_eventfd, open_shared, call_eventfd,
                                kernel_remove_socket};
const struct way way_futex = {"futex", serve_futex, open_shared, call_futex, kernel_remove_socket};
