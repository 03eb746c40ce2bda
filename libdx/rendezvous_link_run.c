/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of a link: it hears who came and who left, and passes doorbells on. Its descriptors
 * may be closed under it, and there may be none left for what it is sent: it never runs without
 * sleep, and it ends when the link closes, in any case.
 */
#include <unistd.h>

#include "atomic.h"
#include "clock.h"
#include "doorbell.h"
#include "fd.h"
#include "fd_wait.h"
#include "rendezvous.h"
#include "rendezvous_link_private.h"
#include "wait_brake.h"

/* Messages that are heard before the thread looks again whether the link closes. */
#define MESSAGES_A_TURN 64

/* A server that floods is heard at this rate, after so many messages at once; far more than an
 * honest one has to say. */
#define MESSAGE_NS 200000ll
#define MESSAGES_AT_ONCE 4096
#define FLOOD_PAUSE_NS 10000000ll

/* After this time news for which there was no descriptor are tried again. */
#define AGAIN_NS 100000000ll

/* A closed control descriptor does not end a wait: after this time the thread looks by itself. */
#define LOOK_NS 1000000000ll

/* The other side may be the one that left: its waits make no sense any more. */
void dx_link_peer_left(struct dx_link *link, int64_t id)
{
    dx_doorbells_leave(&link->peers, id);
    dx_link_users_left(&link->users, id);
}

enum dx_link_heard dx_link_hear_news(struct dx_link *link)
{
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        struct dx_ivshmem_message m;
        switch (dx_ivshmem_receive(link->socket, &link->reader, &m)) {
        case DX_IVSHMEM_MESSAGE:
            dx_count(&link->messages, 1u);
            break;
        case DX_IVSHMEM_NOTHING_YET:
            return DX_LINK_HEARD;
        case DX_IVSHMEM_END:
            return DX_LINK_END;
        case DX_IVSHMEM_NO_ROOM:
            return DX_LINK_NO_ROOM;
        case DX_IVSHMEM_NO_SOCKET:
            return DX_LINK_NO_SOCKET;
        }
        if (m.fd < 0)
            dx_link_peer_left(link, m.value);
        else if (m.value == link->id)
            (void)close(m.fd); /* more vectors of our own */
        else
            (void)dx_doorbells_join(&link->peers, m.value, m.fd);
    }
    return DX_LINK_HEARD;
}

/* What the thread waits for; -1: not any more. */
struct listener {
    struct dx_link *link;
    int control;
    int news;
    int bell;
    int64_t news_from_ns; /* news are not looked at before */
    int64_t paid_ns;      /* the time up to which messages have used up their rate */
    struct dx_brake brake;
};

/* Puts the next look at news off if there have been too many. */
static void pace(struct listener *l, uint64_t messages)
{
    int64_t now = dx_clock_ns();
    if (l->paid_ns < now - MESSAGES_AT_ONCE * MESSAGE_NS)
        l->paid_ns = now - MESSAGES_AT_ONCE * MESSAGE_NS;
    l->paid_ns += (int64_t)messages * MESSAGE_NS;
    if (l->paid_ns > now)
        l->news_from_ns = l->paid_ns > now + FLOOD_PAUSE_NS ? l->paid_ns : now + FLOOD_PAUSE_NS;
}

static void hear_news(struct listener *l)
{
    struct dx_link *link = l->link;
    uint64_t before = link->messages;
    if (link->server != NULL) {
        dx_rendezvous_step(link->server);
        return;
    }
    switch (dx_link_hear_news(link)) {
    case DX_LINK_HEARD:
        pace(l, link->messages - before);
        break;
    case DX_LINK_NO_ROOM:
        l->news_from_ns = dx_clock_ns() + AGAIN_NS;
        break;
    case DX_LINK_NO_SOCKET: /* closed by the program around us: nobody has left */
        l->news = -1;
        break;
    case DX_LINK_END:
        /* Whoever serves is gone. If that is the other side, it is dead: it is peer 0. */
        l->news = -1;
        dx_fd_close(&link->socket);
        dx_link_peer_left(link, 0);
        break;
    }
}

static void pass_on(struct listener *l)
{
    struct dx_link_users *users = &l->link->users;
    dx_doorbell_take(l->link->bell);
    dx_link_users_rung(users);
    int64_t pause_ns = dx_brake_pause_ns(&l->brake, dx_link_users_found(users));
    if (pause_ns != 0)
        dx_fd_nap(pause_ns);
}

/* It only wakes the thread. What is not our eventfd any more, because its number was closed and
 * given to another file, would wake it for ever. */
static void hear_control(struct listener *l)
{
    if (dx_doorbell_is_one(l->control))
        dx_doorbell_take(l->control);
    else
        l->control = -1;
}

static void listen_once(struct listener *l)
{
    struct dx_link *link = l->link;
    /* Relaxed: the control eventfd is written after the store. */
    bool ours = !link->sole && dx_load_relaxed(&link->taken) == 0;
    int64_t left_ns = l->news_from_ns != 0 ? l->news_from_ns - dx_clock_ns() : 0;
    if (left_ns <= 0)
        l->news_from_ns = 0;
    int64_t limit_ns = l->control < 0 ? AGAIN_NS : LOOK_NS;
    if (left_ns > 0 && left_ns < limit_ns)
        limit_ns = left_ns;
    struct pollfd waits[3] = {{.fd = l->control, .events = POLLIN},
                              {.fd = left_ns > 0 ? -1 : l->news, .events = POLLIN},
                              {.fd = ours ? l->bell : -1, .events = POLLIN}};
    int *const fds[] = {&l->control, &l->news, &l->bell};
    if (dx_fd_wait(waits, 3, limit_ns) <= 0)
        return;
    for (int i = 0; i < 3; i++)
        if ((waits[i].revents & POLLNVAL) != 0)
            *fds[i] = -1;
    if (waits[0].revents != 0 && l->control >= 0)
        hear_control(l);
    if (waits[1].revents != 0 && l->news >= 0)
        hear_news(l);
    if (waits[2].revents != 0 && l->bell >= 0)
        pass_on(l);
}

void *dx_link_run(void *user)
{
    struct dx_link *link = user;
    struct listener l = {
        .link = link,
        .control = link->control,
        .news = link->server != NULL ? dx_rendezvous_fd(link->server) : link->socket,
        .bell = link->bell,
        .brake = DX_BRAKE_INIT,
    };
    /* Relaxed: as above. */
    while (dx_load_relaxed(&link->closing) == 0)
        listen_once(&l);
    return NULL;
}
