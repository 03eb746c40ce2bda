/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"

struct order {
    char what;
    char url[2 * PEER_URL_BYTES]; /* or words */
};

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

/* One packet, with a descriptor or without. False: the other end is gone. */
static bool send_packet(int socket, void *bytes, size_t count, int fd)
{
    union control control;
    struct iovec part = {bytes, count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)count;
}

static bool receive_packet(int socket, void *bytes, size_t count, int *fd)
{
    union control control;
    struct iovec part = {bytes, count};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    *fd = -1;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != (ssize_t)count)
        return false;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return true;
}

/* The process's channel, and the thread that serves it. */
struct desk {
    struct dx_channel *channel;
    pthread_t server;
};

static void *serve(void *user)
{
    struct desk *d = user;
    const struct dx_serve_options options = {.stream = peer_stream_handler,
                                             .flags = DX_SERVE_THROUGH_RESTART};
    dx_status status = dx_serve(d->channel, peer_handler, d->channel, &options);
    if (status != DX_ERR_STOPPED)
        (void)fprintf(stderr, "peer: serving ended: %d (%s)\n", (int)status, dx_last_error());
    return NULL;
}

static dx_status begin(struct desk *d, dx_status status)
{
    if (status == DX_OK && pthread_create(&d->server, NULL, serve, d) != 0)
        abort();
    return status;
}

static dx_status end(struct desk *d)
{
    if (d->channel == NULL)
        return DX_OK;
    dx_stop(d->channel);
    (void)pthread_join(d->server, NULL);
    dx_status status = dx_close(d->channel);
    d->channel = NULL;
    return status;
}

static dx_status halt_other(struct dx_channel *channel)
{
    struct dx_caller *caller;
    dx_status status = dx_caller_open(channel, PEER_PATIENCE_NS, &caller);
    if (status != DX_OK)
        return status;
    status = dx_call(caller, PEER_TYPE_STOP, NULL, 0, NULL, NULL, NULL, PEER_PATIENCE_NS);
    dx_caller_close(caller);
    /* The other side may be gone before it has answered. */
    return status == DX_ERR_TIMEOUT || status == DX_ERR_NO_PEER ? status : DX_OK;
}

static dx_status await_end(const struct dx_channel *channel)
{
    enum dx_peer other;
    while ((other = dx_channel_peer(channel)) == DX_PEER_ALIVE)
        (void)sched_yield();
    return other == DX_PEER_CLOSED ? DX_OK : DX_ERR_PEER_DEAD;
}

static dx_status attach(struct desk *d, const char *url, int fd)
{
    char inherited[32];
    if (fd >= 0) {
        (void)snprintf(inherited, sizeof inherited, "memfd:%d", fd);
        url = inherited;
    }
    dx_status status = begin(d, dx_attach(url, NULL, PEER_PATIENCE_NS, &d->channel));
    if (fd >= 0)
        (void)close(fd);
    return status;
}

static dx_status run_tool(const char *text)
{
    char words[2 * PEER_URL_BYTES];
    char *rest;
    char *argv[PEER_WORDS + 1] = {words};
    int argc = 0;
    (void)snprintf(words, sizeof words, "%s", text);
    for (char *word = strtok_r(words, " ", &rest); word != NULL && argc < PEER_WORDS;
         word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    argv[argc] = NULL;
    world_skip_waits();
    if (freopen("/dev/null", "we", stdout) == NULL)
        return DX_ERR_SYSTEM;
    return tool_main(argc, argv) == 0 ? DX_OK : DX_ERR_SYSTEM;
}

static dx_status obey(struct desk *d, const struct order *order, int fd)
{
    const struct dx_config config = peer_config(NULL);
    switch (order->what) {
    case PEER_CREATE:
        return begin(d, dx_create(order->url, &config, &d->channel));
    case PEER_ATTACH:
        return attach(d, order->url, fd);
    case PEER_CALL:
        return peer_calls(d->channel, PEER_PATIENCE_NS);
    case PEER_STREAM:
        return peer_streams(d->channel, PEER_PATIENCE_NS);
    case PEER_HALT:
        return halt_other(d->channel);
    case PEER_AWAIT_END:
        return await_end(d->channel);
    case PEER_CLOSE:
        return end(d);
    case PEER_TOOL:
        return run_tool(order->url);
    default:
        _exit(0);
    }
}

static _Noreturn void run(int socket)
{
    struct desk desk = {0};
    struct order order = {0};
    int fd;
    sigset_t term;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, NULL);
    while (receive_packet(socket, &order, sizeof order, &fd)) {
        dx_status status = obey(&desk, &order, fd);
        if (status != DX_OK)
            (void)fprintf(stderr, "peer: order %c %s: %d (%s)\n", order.what, order.url,
                          (int)status, dx_last_error());
        bool unnamed = order.what == PEER_CREATE && strcmp(order.url, "memfd:") == 0;
        int give = status == DX_OK && unnamed ? dx_channel_fd(desk.channel) : -1;
        if (!send_packet(socket, &status, sizeof status, give))
            break;
    }
    (void)end(&desk);
    _exit(0);
}

bool peer_start(struct peer *p)
{
    int ends[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    p->pid = fork();
    if (p->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ends[0]);
        if (getppid() == parent)
            run(ends[1]);
        _exit(0);
    }
    (void)close(ends[1]);
    p->socket = ends[0];
    return p->pid > 0;
}

void peer_send(struct peer *p, enum peer_order order, const char *url, int fd)
{
    struct order packet = {.what = (char)order};
    if (url != NULL)
        (void)snprintf(packet.url, sizeof packet.url, "%s", url);
    (void)send_packet(p->socket, &packet, sizeof packet, fd);
}

dx_status peer_answer(struct peer *p, int *fd)
{
    dx_status status = DX_OK;
    int given;
    if (!receive_packet(p->socket, &status, sizeof status, &given))
        return DX_ERR_PEER_DEAD;
    if (fd != NULL)
        *fd = given;
    else if (given >= 0)
        (void)close(given);
    return status;
}

dx_status peer_do(struct peer *p, enum peer_order order, const char *url, int fd)
{
    peer_send(p, order, url, fd);
    return peer_answer(p, NULL);
}

void peer_end(struct peer *p)
{
    if (p->pid <= 0)
        return;
    (void)close(p->socket);
    (void)kill(p->pid, SIGKILL);
    (void)waitpid(p->pid, NULL, 0);
    p->pid = 0;
}
