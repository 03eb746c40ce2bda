/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that the kernel keeps apart: Unix sockets of the kind seqpacket, and POSIX message
 * queues. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"

struct packets {
    int fd;
    size_t bytes;
    char *buffer; /* of the server */
};

static int listening;

/* The kernel takes a message whole, so that its buffer must have room for one. */
static struct packets *new_packets(int fd, const struct peer_options *options)
{
    struct packets *p = peer_new(sizeof *p);
    int room = 0;
    int wanted = (int)options->payload_bytes + 4096;
    socklen_t size = sizeof room;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
    (void)getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &size);
    if (room < wanted)
        peer_cannot("a message of %zu bytes is longer than net.core.wmem_max allows",
                    options->payload_bytes);
    p->fd = fd;
    p->bytes = options->payload_bytes;
    p->buffer = peer_new(p->bytes);
    return p;
}

static void *answer_packets(void *argument)
{
    struct packets *p = argument;
    while (recv(p->fd, p->buffer, p->bytes, 0) == (ssize_t)p->bytes &&
           send(p->fd, p->buffer, p->bytes, 0) == (ssize_t)p->bytes) {
    }
    (void)close(p->fd);
    free(p->buffer);
    free(p);
    return NULL;
}

static void *accept_packets(void *argument)
{
    const struct peer_options *options = argument;
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            peer_fail("accept: %m");
        peer_thread(answer_packets, new_packets(fd, options));
    }
}

static void serve_packets(const struct peer_options *options)
{
    listening = kernel_listen(options, SOCK_SEQPACKET);
    peer_thread(accept_packets, (void *)options);
}

static void *open_packets(const struct peer_options *options, unsigned caller)
{
    (void)caller;
    return new_packets(kernel_connect(options, SOCK_SEQPACKET), options);
}

static int call_packets(void *caller, const void *request, void *response)
{
    const struct packets *p = caller;
    if (send(p->fd, request, p->bytes, 0) != (ssize_t)p->bytes)
        return -1;
    return recv(p->fd, response, p->bytes, 0) == (ssize_t)p->bytes ? 0 : -1;
}

const struct way way_unix_seqpacket = {"unix-seqpacket", serve_packets, open_packets, call_packets,
                                       kernel_remove_socket};

/* Two queues a caller. Their names are the folder's with its slashes replaced. */
struct queues {
    mqd_t request;
    mqd_t response;
    size_t bytes;
    char *buffer; /* of the server */
};

static char *name_of(const struct peer_options *options, const char *direction, unsigned caller)
{
    char *name;
    if (asprintf(&name, "/%s-%s-%u", options->at, direction, caller) < 0)
        peer_fail("no memory for a name");
    for (char *c = name + 1; *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
    return name;
}

static mqd_t open_queue(const struct peer_options *options, const char *direction, unsigned caller,
                        int flags)
{
    char *name = name_of(options, direction, caller);
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = (long)options->payload_bytes};
    mqd_t queue = mq_open(name, flags | O_CLOEXEC, 0600, &attributes);
    if (queue == (mqd_t)-1 && errno == EINVAL)
        peer_cannot("a message of %zu bytes is longer than /proc/sys/fs/mqueue/msgsize_max allows",
                    options->payload_bytes);
    if (queue == (mqd_t)-1)
        peer_fail("message queue %s: %m", name);
    free(name);
    return queue;
}

static void *answer_queue(void *argument)
{
    struct queues *q = argument;
    while (mq_receive(q->request, q->buffer, q->bytes, NULL) == (ssize_t)q->bytes &&
           mq_send(q->response, q->buffer, q->bytes, 0) == 0) {
    }
    return NULL;
}

static struct queues *new_queues(const struct peer_options *options, unsigned caller, int request,
                                 int response)
{
    struct queues *q = peer_new(sizeof *q);
    q->request = open_queue(options, "request", caller, request);
    q->response = open_queue(options, "response", caller, response);
    q->bytes = options->payload_bytes;
    q->buffer = peer_new(q->bytes);
    return q;
}

static void serve_queues(const struct peer_options *options)
{
    for (unsigned i = 0; i < options->callers; i++)
        peer_thread(answer_queue, new_queues(options, i, O_CREAT | O_EXCL | O_RDONLY,
                                             O_CREAT | O_EXCL | O_WRONLY));
}

static void remove_queue(const struct peer_options *options, unsigned caller)
{
    static const char *const directions[] = {"request", "response"};
    for (unsigned i = 0; i < 2; i++) {
        char *name = name_of(options, directions[i], caller);
        (void)mq_unlink(name);
        free(name);
    }
}

/* When both sides have them open, the queues need no names any more. */
static void *open_queues(const struct peer_options *options, unsigned caller)
{
    struct queues *q = new_queues(options, caller, O_WRONLY, O_RDONLY);
    remove_queue(options, caller);
    return q;
}

static int call_queue(void *caller, const void *request, void *response)
{
    const struct queues *q = caller;
    if (mq_send(q->request, request, q->bytes, 0) != 0)
        return -1;
    return mq_receive(q->response, response, q->bytes, NULL) == (ssize_t)q->bytes ? 0 : -1;
}

static void remove_queues(const struct peer_options *options)
{
    for (unsigned i = 0; i < options->callers; i++)
        remove_queue(options, i);
}

const struct way way_mq = {"mq", serve_queues, open_queues, call_queue, remove_queues};
