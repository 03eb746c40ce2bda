/* SPDX-License-Identifier: Apache-2.0 */
/* dx forward -listen: accepts connections at a socket, and opens a stream for each. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../dx_stream_loop.h"
#include "../error.h"
#include "forward.h"

/* How often the other side is looked for, and how often an opening stream is tried, in ms. */
#define LOOK_FOR_PEER 50
#define LOOK_AT_PEER 500
#define TRY_TO_OPEN 1

static struct {
    struct forward_watch watch; /* of the listener */
    struct forward *forward;
    int listener;
    bool waiting; /* somebody may wait to be accepted */
    struct dx_channel *channel;
    struct dx_caller *spare; /* for the next connection */
} dial = {.listener = -1};

static void listener_ready(struct forward_watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    dial.waiting = true;
    forward_soon(dial.forward, 0);
}

static dx_status open_dial(struct forward *f)
{
    struct forward_options *o = f->options;
    const struct dx_config config = {.wait = &o->wait,
                                     .slots = o->conns,
                                     .request_capacity = o->buffer,
                                     .response_capacity = o->buffer};
    dial.forward = f;
    dial.watch.ready = listener_ready;
    dial.listener = forward_listen(&o->address);
    if (dial.listener < 0 || !forward_watch(f, dial.listener, EPOLLIN, &dial.watch))
        return DX_ERR_SYSTEM;
    return o->creates ? dx_create(o->url, &config, &dial.channel) : DX_OK;
}

/* The caller of a link that is gone serves the next one. */
static void give_back(struct forward_link *l)
{
    dx_caller_close(l->caller);
    l->caller = NULL;
}

static dx_status attach(struct forward *f)
{
    dx_status status = dx_attach(f->options->url, &f->options->wait, 0, &dial.channel);
    if (status == DX_OK) {
        forward_say(f, "attached");
        return DX_OK;
    }
    forward_soon(f, LOOK_FOR_PEER);
    return forward_peer_ended(status) ? DX_OK : status;
}

/* A guest's channel ends with its host. */
static void leave(struct forward *f)
{
    while (f->links != NULL)
        forward_link_cut(f->links);
    dx_caller_close(dial.spare);
    dial.spare = NULL;
    (void)dx_close(dial.channel);
    dial.channel = NULL;
}

/* Is the other side there? */
static bool is_met(struct forward *f, dx_status *status)
{
    *status = DX_OK;
    bool alive = dial.channel != NULL && dx_channel_peer(dial.channel) == DX_PEER_ALIVE;
    if (dial.channel != NULL && !f->options->creates && !alive) {
        forward_say(f, "the other side has ended");
        leave(f);
    }
    if (dial.channel == NULL) {
        *status = attach(f);
        alive = dial.channel != NULL && dx_channel_peer(dial.channel) == DX_PEER_ALIVE;
    }
    if (dial.channel == NULL)
        return false;
    forward_soon(f, alive ? LOOK_AT_PEER : LOOK_FOR_PEER);
    return alive;
}

/* Opens the stream of a link, as soon as the server has let go of the slot. */
static void open_stream(struct forward *f, struct forward_link *l)
{
    dx_status status = dx_stream_open(l->caller, FORWARD_TYPE, NULL, 0, &l->stream);
    if (status == DX_ERR_TIMEOUT || status == DX_ERR_NO_PEER) {
        forward_soon(f, TRY_TO_OPEN);
        return;
    }
    int fd = status == DX_OK ? dx_stream_fd(l->stream) : -1;
    if (fd < 0 || !forward_watch(f, fd, EPOLLIN, &l->news)) {
        forward_say(f, "no stream: %s", dx_status_string(status));
        forward_link_cut(l);
        return;
    }
    forward_say(f, "a connection on slot %u", dx_stream_slot(l->stream));
    forward_link_move(l);
}

/* One connection; false if there is none, or no slot for one. */
static bool accept_one(struct forward *f)
{
    if (dial.spare == NULL && dx_caller_open(dial.channel, 0, &dial.spare) != DX_OK)
        return false; /* the next one waits in the socket's queue until a connection has ended */
    int fd = accept4(dial.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        dial.waiting = errno != EAGAIN;
        if (dial.waiting) /* whatever is wrong may go on for long */
            forward_soon(f, LOOK_FOR_PEER);
        return false;
    }
    struct forward_link *l = forward_link_new(f, fd, FORWARD_GREETING);
    if (l == NULL) {
        (void)close(fd);
        forward_soon(f, LOOK_FOR_PEER);
        return false;
    }
    l->caller = dial.spare;
    l->freed = give_back;
    dial.spare = NULL;
    open_stream(f, l);
    return true;
}

static dx_status round_of_dial(struct forward *f)
{
    dx_status status;
    if (!is_met(f, &status))
        return status;
    for (struct forward_link *l = f->links, *next; l != NULL; l = next) {
        next = l->next;
        if (l->stream == NULL)
            open_stream(f, l);
    }
    while (dial.waiting && accept_one(f)) {
    }
    return DX_OK;
}

static void close_dial(struct forward *f)
{
    if (dial.listener >= 0)
        forward_unlisten(&f->options->address, dial.listener);
    dial.listener = -1;
    if (dial.channel != NULL)
        leave(f);
}

const struct forward_side forward_dial = {
    .open = open_dial, .round = round_of_dial, .close = close_dial};
