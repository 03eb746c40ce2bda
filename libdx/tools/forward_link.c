/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of dx forward. Bytes are received into the stream's ring and sent out of it, so
 * that nothing is copied or kept here: who does not read holds up who writes, all the way.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../clock.h"
#include "../dx_stream_loop.h"
#include "../stream.h"
#include "forward.h"

/* What one connection moves before the others have their turn, in steps. */
#define TURN 16

/* For how long a link looks for more to move before it waits to be told, at most. It grows in 16
 * steps, when more has come as soon as that twice in a row: an answer alone, after which nothing
 * comes for long, does not count. It is halved when more came later. */
#define LOOKS_NS 200000

enum moved { MOVED_NOTHING, MOVED_SOME, MOVED_FAILED };

static void socket_ready(struct forward_watch *watch, uint32_t events);
static void stream_ready(struct forward_watch *watch, uint32_t events);

struct forward_link *forward_link_new(struct forward *f, int fd, enum forward_state state)
{
    struct forward_link *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    *l = (struct forward_link){
        .socket = {socket_ready}, .news = {stream_ready}, .forward = f, .fd = fd, .state = state};
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* not of a Unix socket */
    if (!forward_watch(f, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, &l->socket)) {
        free(l);
        return NULL;
    }
    l->next = f->links;
    l->at = &f->links;
    if (l->next != NULL)
        l->next->at = &l->next;
    f->links = l;
    f->link_count++;
    return l;
}

void forward_link_free(struct forward_link *l, bool reset)
{
    struct forward *f = l->forward;
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (reset) /* a Unix socket just ends */
        (void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    forward_unwatch(f, l->fd);
    (void)close(l->fd);
    if (l->works) {
        struct forward_link **at = &f->work;
        while (*at != NULL && *at != l)
            at = &(*at)->next_work;
        if (*at != NULL)
            *at = l->next_work;
    }
    *l->at = l->next;
    if (l->next != NULL)
        l->next->at = l->at;
    f->link_count--;
    if (l->freed != NULL)
        l->freed(l);
    /* The round that goes on may still have news for it. */
    l->dead = true;
    l->next = f->dead;
    f->dead = l;
}

void forward_bury(struct forward *f)
{
    while (f->dead != NULL) {
        struct forward_link *l = f->dead;
        f->dead = l->next;
        free(l);
    }
}

void forward_link_later(struct forward_link *l)
{
    if (l->works)
        return;
    l->works = true;
    l->next_work = l->forward->work;
    l->forward->work = l;
}

/* The connection is over. Of one that was dialed, the caller is closed by `freed`. */
static void end_link(struct forward_link *l, int32_t error)
{
    if (l->caller == NULL) { /* the handler returns, and ends the stream */
        l->state = FORWARD_DONE;
        l->status = error;
        dx_stream_set_events(l->stream, DX_STREAM_NOW);
        forward_soon(l->forward, 0);
        return;
    }
    if (l->stream != NULL) {
        if (error != 0)
            dx_stream_cancel(l->stream);
        else
            (void)dx_stream_end(l->stream, NULL, 0);
    }
    l->stream = NULL;
    forward_link_free(l, error != 0);
}

/* The stream has failed: by the other side's end, or because it has given the connection up. Who
 * has all of it was told the end. */
void forward_link_fail(struct forward_link *l)
{
    end_link(l, dx_stream_at_end(l->stream) ? 0 : ECONNRESET);
}

void forward_link_cut(struct forward_link *l)
{
    end_link(l, ECONNRESET);
}

static enum moved receive(struct forward_link *l, uint32_t *events)
{
    void *room;
    size_t bytes;
    if (!l->readable || l->read_ended)
        return MOVED_NOTHING;
    dx_status status = dx_stream_reserve(l->stream, 1, &room, &bytes, 0);
    if (status == DX_ERR_TIMEOUT) {
        *events |= DX_STREAM_WRITABLE;
        return MOVED_NOTHING;
    }
    if (status == DX_ERR_ENDED) { /* the other side reads no more */
        l->read_ended = true;
        (void)shutdown(l->fd, SHUT_RD);
        return MOVED_SOME;
    }
    if (status != DX_OK)
        return MOVED_FAILED;
    ssize_t got = recv(l->fd, room, bytes, 0);
    if (got > 0) {
        dx_stream_commit(l->stream, (size_t)got);
        return MOVED_SOME;
    }
    if (got == 0) {
        l->read_ended = true;
        dx_stream_close_write(l->stream);
        return MOVED_SOME;
    }
    if (errno == EAGAIN || errno == EINTR) {
        l->readable = errno == EINTR;
        return l->readable ? MOVED_SOME : MOVED_NOTHING;
    }
    l->status = errno;
    return MOVED_FAILED;
}

/* The other side has ended what it writes. One that ended with an error resets the socket. */
static enum moved end_output(struct forward_link *l)
{
    if (l->stream->answered && l->stream->status != 0) {
        l->status = ECONNRESET;
        return MOVED_FAILED;
    }
    l->write_ended = true;
    (void)shutdown(l->fd, SHUT_WR);
    return MOVED_SOME;
}

static enum moved send_out(struct forward_link *l, uint32_t *events)
{
    const void *data;
    size_t bytes;
    if (!l->writable || l->write_ended)
        return MOVED_NOTHING;
    dx_status status = dx_stream_peek(l->stream, 1, &data, &bytes, 0);
    if (status == DX_ERR_TIMEOUT) {
        *events |= DX_STREAM_READABLE;
        return MOVED_NOTHING;
    }
    if (status != DX_OK)
        return MOVED_FAILED;
    if (bytes == 0)
        return end_output(l);
    ssize_t sent = send(l->fd, data, bytes, MSG_NOSIGNAL);
    if (sent >= 0) {
        dx_stream_consume(l->stream, (size_t)sent);
        return MOVED_SOME;
    }
    if (errno == EAGAIN || errno == EINTR) {
        l->writable = errno == EINTR;
        return l->writable ? MOVED_SOME : MOVED_NOTHING;
    }
    l->status = errno;
    return MOVED_FAILED;
}

/* Waits for what the side that serves says first. True: it has. */
static bool is_greeted(struct forward_link *l, uint32_t *events, bool *over)
{
    const void *data;
    size_t bytes;
    dx_status status = dx_stream_peek(l->stream, 1, &data, &bytes, 0);
    if (status == DX_ERR_TIMEOUT)
        *events |= DX_STREAM_READABLE;
    else if (status != DX_OK || bytes == 0 || *(const unsigned char *)data != FORWARD_HELLO)
        *over = true;
    else {
        dx_stream_consume(l->stream, 1);
        l->state = FORWARD_OPEN;
        return true;
    }
    return false;
}

/* Has the socket connected? Then the other side is told. */
static bool is_connected(struct forward_link *l)
{
    const unsigned char hello = FORWARD_HELLO;
    int error = 0;
    socklen_t bytes = sizeof error;
    if (!l->writable)
        return false;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    if (error == 0 && dx_stream_write(l->stream, &hello, 1, NULL, 0) != DX_OK)
        error = ECONNRESET;
    if (error != 0) {
        forward_say(l->forward, "%s: %s", l->forward->options->address.text, strerror(error));
        end_link(l, error);
        return false;
    }
    l->greeted = true;
    l->state = FORWARD_OPEN;
    return true;
}

/* Both directions have ended. To end the stream before the other side has delivered all of it would
 * be to give it up. */
static void await_end(struct forward_link *l)
{
    l->state = FORWARD_ENDING;
    dx_status status = dx_stream_wait(l->stream, 0, 0);
    if (status != DX_ERR_TIMEOUT)
        end_link(l, status == DX_OK && l->stream->status == 0 ? 0 : ECONNRESET);
}

/* One turn; true if it goes on and nothing more can be moved now. */
static bool pump(struct forward_link *l, uint32_t *events)
{
    for (int steps = 0; steps < TURN; steps++) {
        *events = 0;
        enum moved in = receive(l, events);
        enum moved out = in != MOVED_FAILED ? send_out(l, events) : MOVED_FAILED;
        if (out == MOVED_FAILED) {
            if (l->status != 0)
                end_link(l, l->status);
            else
                forward_link_fail(l);
            return false;
        }
        if (l->read_ended && l->write_ended) {
            if (l->caller != NULL)
                await_end(l);
            else
                end_link(l, 0);
            return false;
        }
        if (in == MOVED_NOTHING && out == MOVED_NOTHING)
            return true;
        l->moved = true;
        l->forward->moved = true;
    }
    forward_link_later(l);
    return false;
}

/* Something may have moved. Is more looked for? */
static bool goes_on_looking(struct forward_link *l)
{
    bool spins = l->forward->options->wait.spin_max != 0;
    int64_t now = dx_clock_ns();
    if (!l->moved)
        return spins && now - l->moved_ns < l->looks_ns;
    bool soon = now - l->moved_ns <= LOOKS_NS;
    if (!soon)
        l->looks_ns /= 2;
    else if (l->came_soon && l->looks_ns < LOOKS_NS)
        l->looks_ns += LOOKS_NS / 16;
    l->moved = false;
    l->came_soon = soon;
    l->moved_ns = now;
    return spins && l->looks_ns != 0;
}

/* Says what the stream is waited for; true if it is there already, or is looked for. */
static bool wait_for(struct forward_link *l, uint32_t events)
{
    if (goes_on_looking(l)) {
        if (l->caller == NULL)
            dx_stream_set_events(l->stream, 0);
        return true;
    }
    if (l->caller != NULL) {
        dx_status status = dx_stream_wait(l->stream, events, 0);
        if (status == DX_ERR_TIMEOUT)
            return false;
        bool over = status != DX_OK || (l->stream->answered && l->stream->status != 0);
        if (over && events == 0) /* only the socket is waited for, which may never be ready */
            forward_link_fail(l);
        return events != 0;
    }
    dx_stream_set_events(l->stream, events);
    forward_soon(l->forward, 0); /* the server is polled before the next wait */
    return false;
}

void forward_link_move(struct forward_link *l)
{
    uint32_t events = 0;
    bool over = false;
    if (l->dead || l->state == FORWARD_DONE || l->stream == NULL)
        return;
    if (l->state == FORWARD_CONNECTING && !is_connected(l))
        return;
    if (l->state == FORWARD_ENDING) {
        await_end(l);
        return;
    }
    if (l->state == FORWARD_GREETING && !is_greeted(l, &events, &over)) {
        if (over)
            end_link(l, ECONNREFUSED);
        else if (wait_for(l, events))
            forward_link_later(l);
        return;
    }
    if (pump(l, &events) && wait_for(l, events))
        forward_link_later(l);
}

static void socket_ready(struct forward_watch *watch, uint32_t events)
{
    struct forward_link *l = (struct forward_link *)(void *)watch; /* its first field */
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        l->readable = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
        l->writable = true;
    forward_link_move(l);
}

static void stream_ready(struct forward_watch *watch, uint32_t events)
{
    (void)events;
    forward_link_move(
        (struct forward_link *)(void *)((char *)watch - offsetof(struct forward_link, news)));
}
