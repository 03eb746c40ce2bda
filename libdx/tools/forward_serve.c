/* SPDX-License-Identifier: Apache-2.0 */
/* dx forward -connect: takes up streams, and connects to a socket for each. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../dx_stream_loop.h"
#include "../stream.h"
#include "forward.h"

/* How often the other side is looked for, in ms. */
#define LOOK_FOR_PEER 50
/* Polls of a server in one round. */
#define POLLS 16

/* One guest's part of the channel. A guest has one. */
static struct place {
    struct forward_watch watch; /* of the server's descriptor; it needs no more than to wake us */
    struct dx_channel *channel;
    struct dx_server *server;
    int fd;
} places[DX_GUESTS_MAX];
static uint32_t place_count;

static void server_ready(struct forward_watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
}

static int32_t refuse_call(void *user, const struct dx_request *request,
                           struct dx_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return EPROTOTYPE;
}

static int32_t finish(struct forward_link *l, struct dx_stream *s)
{
    int32_t status = l->status;
    /* What was cut short is not to look complete until the status comes. */
    if (status != 0 && l->greeted && s->failure == DX_OK)
        s->failure = DX_ERR_LOST;
    forward_link_free(l, status != 0);
    return status;
}

static int32_t begin(struct forward *f, struct dx_stream *s)
{
    if (dx_stream_type(s) != FORWARD_TYPE)
        return EPROTOTYPE;
    int fd = forward_connect(&f->options->address);
    if (fd < 0) {
        int error = errno;
        forward_say(f, "%s: cannot connect: %s", f->options->address.text, strerror(error));
        return error;
    }
    struct forward_link *l = forward_link_new(f, fd, FORWARD_CONNECTING);
    if (l == NULL) {
        (void)close(fd);
        return ENOMEM;
    }
    forward_say(f, "a connection on slot %u", dx_stream_slot(s));
    l->stream = s;
    dx_stream_set_user(s, l);
    return DX_STREAM_AGAIN(0); /* until the socket has connected */
}

static int32_t handle(void *user, struct dx_stream *s)
{
    struct forward_link *l = dx_stream_user(s);
    if (l == NULL)
        return begin(user, s);
    if (l->state != FORWARD_DONE && s->failure != DX_OK)
        forward_link_fail(l);
    forward_link_move(l);
    return l->state == FORWARD_DONE ? finish(l, s) : DX_STREAM_AGAIN(s->events);
}

static dx_status open_serve(struct forward *f)
{
    const struct forward_options *o = f->options;
    struct dx_channel *channels[DX_GUESTS_MAX];
    const struct dx_config config = {.wait = &o->wait,
                                     .guest_slots = o->conns,
                                     .request_capacity = o->buffer,
                                     .response_capacity = o->buffer};
    place_count = o->creates ? o->guests : 1;
    if (!o->creates)
        return DX_OK;
    dx_status status = dx_create_places(o->url, &config, o->guests, channels);
    for (uint32_t i = 0; status == DX_OK && i < place_count; i++)
        places[i].channel = channels[i];
    return status;
}

/* Begins to serve when the other side is there. */
static dx_status begin_place(struct forward *f, struct place *p)
{
    const struct dx_serve_options options = {.stream = handle};
    dx_status status = DX_OK;
    if (p->channel == NULL)
        status = dx_attach(f->options->url, &f->options->wait, 0, &p->channel);
    if (status != DX_OK || dx_channel_peer(p->channel) != DX_PEER_ALIVE) {
        forward_soon(f, LOOK_FOR_PEER);
        return status == DX_OK || forward_peer_ended(status) ? DX_OK : status;
    }
    status = dx_server_open(p->channel, refuse_call, f, &options, &p->server);
    if (status != DX_OK)
        return status;
    p->watch.ready = server_ready;
    p->fd = dx_server_fd(p->server);
    if (p->fd < 0 || !forward_watch(f, p->fd, EPOLLIN, &p->watch))
        return DX_ERR_SYSTEM;
    forward_say(f, "the other side is there");
    return DX_OK;
}

static void end_place(struct forward *f, struct place *p)
{
    if (p->server != NULL) {
        if (p->fd >= 0)
            forward_unwatch(f, p->fd);
        (void)dx_server_close(p->server); /* which enters the handlers a last time */
    }
    p->server = NULL;
    if (!f->options->creates && p->channel != NULL) {
        (void)dx_close(p->channel);
        p->channel = NULL;
    }
}

static dx_status serve_place(struct forward *f, struct place *p)
{
    dx_status status = DX_OK;
    if (p->server == NULL)
        status = begin_place(f, p);
    if (p->server == NULL || status != DX_OK)
        return status;
    for (int polls = 0; polls < POLLS && status == DX_OK; polls++)
        status = dx_server_poll(p->server, 0);
    if (status == DX_OK)
        forward_soon(f, 0);
    if (status == DX_OK || status == DX_ERR_TIMEOUT)
        return DX_OK;
    if (!forward_peer_ended(status))
        return status;
    forward_say(f, "the other side has ended");
    end_place(f, p);
    forward_soon(f, LOOK_FOR_PEER);
    return DX_OK;
}

static dx_status round_of_serve(struct forward *f)
{
    dx_status status = DX_OK;
    for (uint32_t i = 0; i < place_count && status == DX_OK; i++)
        status = serve_place(f, &places[i]);
    return status;
}

static void close_serve(struct forward *f)
{
    for (uint32_t i = place_count; i-- > 0;) {
        end_place(f, &places[i]);
        if (places[i].channel != NULL)
            (void)dx_close(places[i].channel);
        places[i].channel = NULL;
    }
}

const struct forward_side forward_serve = {
    .open = open_serve, .round = round_of_serve, .close = close_serve};
