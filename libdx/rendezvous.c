/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "fd.h"
#include "fd_wait.h"
#include "region.h"
#include "rendezvous_member.h"
#include "rendezvous_name.h"

#define EVENTS 16
/* epoll's words for the listener and the timer; members have their ids. */
#define LISTENER UINT64_MAX
#define TIMER (UINT64_MAX - 1)

/* After this time what the kernel had no room for is tried again. */
#define AGAIN_NS 100000000ll

struct dx_rendezvous {
    struct dx_rendezvous_config config;
    char path[DX_PATH_MAX];
    char temporary[DX_PATH_MAX];
    bool published;
    bool forked; /* the child of a fork has it: the name is its parent's */
    dev_t device;
    ino_t inode;
    int listener;
    int events;
    int timer;
    int spare;      /* given up for a moment to turn a client away when descriptors run out */
    bool deaf;      /* the listener is not listened to until the timer ends */
    bool again;     /* something is to be tried again */
    int64_t due_ns; /* when the timer ends; INT64_MAX: it does not run */
    uint32_t next_id;
    uint32_t count;
    struct dx_member *members[DX_RENDEZVOUS_MEMBERS_MAX];
    struct dx_member_budget budget;
};

static struct dx_member *find(const struct dx_rendezvous *r, uint64_t id)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->members[i]->id == id)
            return r->members[i];
    return NULL;
}

/* An id that somebody is still to be told of is not given to another. */
static bool is_in_use(const struct dx_rendezvous *r, uint32_t id)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (r->members[i]->id == id || dx_member_has_news_of(r->members[i], id))
            return true;
    return false;
}

static uint32_t free_id(struct dx_rendezvous *r)
{
    do
        r->next_id = r->next_id % (DX_IVSHMEM_IDS - 1) + 1; /* 0 is the server's */
    while (is_in_use(r, r->next_id));
    return r->next_id;
}

/* Ends a client's connection; the others are to be told, if they were to be told of it. */
static void drop(struct dx_rendezvous *r, struct dx_member *m)
{
    uint32_t id = m->id;
    bool joined = m->joined;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->members[i] == m)
            r->members[i] = r->members[--r->count];
    dx_member_free(m, &r->budget);
    if (!joined)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        dx_member_remove(r->members[i], id);
    if (r->config.left != NULL)
        r->config.left(r->config.user, id);
}

/* Makes room for another client at the cost of one that does not read: of those that have not even
 * read their id the one that has been silent for longest, else of those that have been silent for a
 * long time. False: there is none. */
static bool make_room(struct dx_rendezvous *r, const struct dx_member *but)
{
    struct dx_member *silent = NULL;
    int64_t now = dx_clock_ns();
    for (uint32_t i = 0; i < r->count; i++) {
        struct dx_member *m = r->members[i];
        if (m == but || !dx_member_is_behind(m, &r->budget) ||
            (m->joined && now - m->silent_ns < DX_RENDEZVOUS_READ_TIMEOUT_NS))
            continue;
        if (silent == NULL || m->joined < silent->joined ||
            (m->joined == silent->joined && m->silent_ns < silent->silent_ns))
            silent = m;
    }
    if (silent != NULL)
        drop(r, silent);
    return silent != NULL;
}

/* A client that has read its id becomes a member. False: there are no descriptors for it. */
static bool join(struct dx_rendezvous *r, struct dx_member *m)
{
    int bell = -1;
    bool complete;
    do
        complete = dx_member_open_bells(m, r->config.vectors) &&
                   (bell = dx_fd_duplicate(m->bells[0])) >= 0;
    while (!complete && make_room(r, m));
    if (!complete)
        return false;
    if (r->config.joined == NULL)
        (void)close(bell);
    else if (!r->config.joined(r->config.user, m->id, bell))
        return false;
    m->joined = true;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->members[i] == m || !r->members[i]->joined)
            continue;
        dx_member_add(m, r->members[i]);
        dx_member_add(r->members[i], m);
    }
    dx_member_add(m, m);
    return true;
}

static void let_in(struct dx_rendezvous *r, int socket)
{
    pid_t pid;
    struct dx_member *m = NULL;
    if (dx_socket_check_peer(socket, r->path, &pid) == DX_OK &&
        (r->count < DX_RENDEZVOUS_MEMBERS_MAX || make_room(r, NULL)))
        m = dx_member_new(free_id(r), socket);
    if (m == NULL) {
        (void)close(socket);
        return;
    }
    r->members[r->count++] = m;
    m->silent_ns = dx_clock_ns();
    /* An event for each time that it reads; for what else there is, one is enough. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET,
                                .data.u64 = m->id};
    if (epoll_ctl(r->events, EPOLL_CTL_ADD, socket, &event) != 0)
        drop(r, m);
}

static bool listen_to(struct dx_rendezvous *r, bool on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u64 = LISTENER};
    r->deaf = !on;
    return epoll_ctl(r->events, EPOLL_CTL_MOD, r->listener, &event) == 0;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Descriptors have run out. A client that waits would keep the listener readable, so that it is
 * turned away with the spare one, or not listened to for a while. */
static void turn_away(struct dx_rendezvous *r)
{
    int socket = -1;
    if (r->spare >= 0) {
        dx_fd_close(&r->spare);
        socket = dx_fd_accept(r->listener);
        if (socket >= 0)
            (void)close(socket);
        r->spare = dx_fd_open("/dev/null", O_RDONLY);
    }
    if (socket < 0)
        (void)listen_to(r, false);
}

static void accept_one(struct dx_rendezvous *r)
{
    int socket;
    do
        socket = dx_fd_accept(r->listener);
    while (socket < 0 && is_shortage(errno) && make_room(r, NULL));
    if (socket >= 0)
        let_in(r, socket);
    else if (is_shortage(errno))
        turn_away(r);
}

static void try_again(struct dx_rendezvous *r)
{
    if (r->deaf)
        (void)listen_to(r, true);
    for (uint32_t i = 0; i < r->count; i++)
        r->members[i]->paused = false;
}

static void take_event(struct dx_rendezvous *r, const struct epoll_event *event)
{
    if (event->data.u64 == LISTENER) {
        accept_one(r);
        return;
    }
    if (event->data.u64 == TIMER) {
        uint64_t ends;
        r->due_ns = INT64_MAX;
        if (read(r->timer, &ends, sizeof ends) > 0)
            try_again(r);
        return;
    }
    struct dx_member *m = find(r, event->data.u64);
    if (m == NULL)
        return;
    /* Clients have nothing to say: one that is readable is gone, or talks nonsense. */
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0)
        drop(r, m);
    else
        m->silent_ns = dx_clock_ns();
}

/* Lets in who has read its id, and drops who has not for too long. */
static void look_at_newcomers(struct dx_rendezvous *r, int64_t now)
{
    uint32_t i = 0;
    while (i < r->count) {
        uint32_t before = r->count;
        struct dx_member *m = r->members[i];
        bool may_stay = m->joined || (dx_member_is_behind(m, &r->budget)
                                          ? now - m->silent_ns < DX_RENDEZVOUS_READ_TIMEOUT_NS
                                          : !dx_member_may_join(m) || join(r, m));
        if (!may_stay)
            drop(r, m);
        /* Whoever is dropped, also to make room, changes the order of the others. */
        i = r->count < before ? 0 : i + 1;
    }
}

static void set_timer(struct dx_rendezvous *r, int64_t now)
{
    bool again = r->again || r->deaf || r->spare < 0;
    int64_t due = again ? now + AGAIN_NS : INT64_MAX;
    for (uint32_t i = 0; i < r->count; i++) {
        int64_t end = r->members[i]->silent_ns + DX_RENDEZVOUS_READ_TIMEOUT_NS;
        if (!r->members[i]->joined && end < due)
            due = end;
    }
    /* One that ends too early does no harm. */
    if (due >= r->due_ns)
        return;
    struct itimerspec spec = {.it_value = dx_clock_timespec(due)};
    if (timerfd_settime(r->timer, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
        r->due_ns = due;
}

static uint32_t in_flight_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
        return UINT32_MAX / 8;
    return (uint32_t)limit.rlim_cur / 8;
}

static void tell_all(struct dx_rendezvous *r, int64_t now)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (!dx_member_tell(r->members[i], &r->config, &r->budget, now))
            r->again = true;
}

void dx_rendezvous_step(struct dx_rendezvous *r)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(r->events, events, EVENTS, 0);
    if (count < 0) /* closed by the program around us: whoever calls in a loop is to sleep */
        dx_fd_nap(AGAIN_NS);
    for (int i = 0; i < count; i++)
        take_event(r, &events[i]);
    int64_t now = dx_clock_ns();
    r->budget.in_flight_max = in_flight_max();
    r->again = false;
    if (r->spare < 0)
        r->spare = dx_fd_open("/dev/null", O_RDONLY);
    look_at_newcomers(r, now);
    tell_all(r, now);
    set_timer(r, now);
}

int dx_rendezvous_fd(const struct dx_rendezvous *r)
{
    return r->events;
}

static dx_status open_events(struct dx_rendezvous *r)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LISTENER};
    struct epoll_event timer = {.events = EPOLLIN, .data.u64 = TIMER};
    r->events = dx_fd_epoll();
    r->timer = dx_fd_timer();
    r->spare = dx_fd_open("/dev/null", O_RDONLY);
    struct stat s;
    if (r->events < 0 || r->timer < 0 || r->spare < 0 ||
        epoll_ctl(r->events, EPOLL_CTL_ADD, r->listener, &event) != 0 ||
        epoll_ctl(r->events, EPOLL_CTL_ADD, r->timer, &timer) != 0 || lstat(r->temporary, &s) != 0)
        return dx_fail_errno("%s: cannot be served", r->path);
    r->device = s.st_dev;
    r->inode = s.st_ino;
    return DX_OK;
}

dx_status dx_rendezvous_open(const char *path, const struct dx_rendezvous_config *config,
                             struct dx_rendezvous **out)
{
    if (config->vectors == 0 || config->vectors > DX_RENDEZVOUS_VECTORS_MAX)
        return dx_fail(DX_ERR_INVALID, "%u vectors: 1 to %u are possible", config->vectors,
                       DX_RENDEZVOUS_VECTORS_MAX);
    struct dx_rendezvous *r = calloc(1, sizeof *r);
    if (r == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for a rendezvous");
    r->config = *config;
    r->events = r->timer = r->spare = -1;
    r->due_ns = INT64_MAX;
    size_t length = strnlen(path, sizeof r->path - 1);
    memcpy(r->path, path, length);
    dx_status status = dx_socket_listen(path, r->temporary, &r->listener);
    if (status != DX_OK) {
        free(r);
        return status;
    }
    status = open_events(r);
    if (status != DX_OK)
        dx_rendezvous_close(r);
    else
        *out = r;
    return status;
}

dx_status dx_rendezvous_publish(struct dx_rendezvous *r)
{
    dx_status status = dx_socket_claim(r->path, r->temporary);
    r->published = status == DX_OK;
    return status;
}

static void close_all(struct dx_rendezvous *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        dx_member_close(r->members[i]);
    int *const fds[] = {&r->listener, &r->events, &r->timer, &r->spare};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        dx_fd_close(fds[i]);
}

void dx_rendezvous_forked(struct dx_rendezvous *r)
{
    if (r == NULL)
        return;
    r->forked = true;
    close_all(r);
}

void dx_rendezvous_close(struct dx_rendezvous *r)
{
    if (r == NULL)
        return;
    if (!r->forked && r->published)
        (void)dx_socket_release(r->path, r->device, r->inode);
    else if (!r->forked)
        (void)unlink(r->temporary); /* a name that nobody else has */
    close_all(r);
    for (uint32_t i = 0; i < r->count; i++)
        dx_member_free(r->members[i], &r->budget);
    free(r);
}
