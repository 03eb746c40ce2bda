/* SPDX-License-Identifier: Apache-2.0 */
/* dx forward: TCP and Unix sockets carried over a channel, also into a virtual machine. */
#include "forward.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../clock.h"
#include "../error.h"
#include "signals.h"
#include "tool.h"

#define EVENTS 64
/* How long a side that is not due is left out, at most, while links move bytes or look for more. */
#define LEFT_OUT_NS 1000000

/* clang-format off */
static const char usage[] =
    "dx forward -listen SOCKET [FLAG...] URL\n"
    "dx forward -connect SOCKET [FLAG...] URL\n"
    "\n"
    "Carries connections of TCP or Unix sockets over a channel of dx: from one process to\n"
    "another, or into a virtual machine that has no network, or out of it. One side listens\n"
    "at a socket, and the other side connects to one for each connection that comes:\n"
    "\n"
    "  in a VM:      dx forward -connect tcp:127.0.0.1:22 ivshmem:plain\n"
    "  on its host:  dx forward -listen tcp:127.0.0.1:2222 -create file:/dev/shm/vm\n"
    "  and then:     ssh -p 2222 127.0.0.1\n"
    "\n"
    "SOCKET is tcp:ADDRESS:PORT, with ADDRESS in numbers ([::1] for IPv6) or localhost, or\n"
    "unix:PATH. Only the loopback address is allowed unless -any-address is given. A Unix\n"
    "socket that is listened at belongs to this user alone.\n"
    "\n"
    "Both sides may start in any order, and be restarted: connections of the side that ended\n"
    "are reset, and the other side waits for the next one. It prints \"ready\" when its socket\n"
    "or its channel is there. SIGINT or SIGTERM ends it. Programs in Go that use the package\n"
    "dxnet can be either side.\n"
    "\n"
    "  -create       make the channel: this side is its host\n"
    "  -attach       attach to the channel: this side is its guest. Without either of the two,\n"
    "                -connect creates and -listen attaches, except at ivshmem: and memfd:N,\n"
    "                where both attach\n"
    "  -conns N      connections at once, of each guest (default 64). The next ones wait.\n"
    "                The side that creates the channel says so\n"
    "  -buffer N     bytes under way in each direction of a connection, with suffix K or M\n"
    "                (default 32K). The side that creates the channel says so\n"
    "  -guests N     guests at once of a host with -connect, 1 to 30 (default 1)\n"
    "  -peer-timeout N  across kernels (a VM): a side that gives no sign of life for so many\n"
    "                seconds is dead, 1 to 1000 (default 1). Give it on both sides, and 10 where\n"
    "                the VM runs under TCG or the machine is busy\n"
    "  -any-address  allow addresses beyond this machine\n"
    "  -v            say what happens, also why a connection was reset\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 it cannot go on and the text says why, 2 wrong usage.\n";
/* clang-format on */

void forward_say(const struct forward *f, const char *format, ...)
{
    if (!f->options->verbose)
        return;
    va_list values;
    va_start(values, format);
    (void)fputs("dx forward: ", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
    va_end(values);
}

bool forward_peer_ended(dx_status status)
{
    static const dx_status ended[] = {DX_ERR_PEER_CLOSED,  DX_ERR_PEER_DEAD, DX_ERR_NO_PEER,
                                      DX_ERR_STALE,        DX_ERR_TIMEOUT,   DX_ERR_GUEST_EXISTS,
                                      DX_ERR_NAME_REMOVED, DX_ERR_LOST};
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        if (status == ended[i])
            return true;
    return false;
}

void forward_soon(struct forward *f, int ms)
{
    if (f->pause_ms < 0 || ms < f->pause_ms)
        f->pause_ms = ms;
    f->due = f->due || ms == 0;
}

bool forward_watch(struct forward *f, int fd, uint32_t events, struct forward_watch *watch)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = watch};
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return true;
    (void)dx_fail_errno("a descriptor cannot be watched");
    return false;
}

void forward_unwatch(struct forward *f, int fd)
{
    (void)epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, "dx forward: %s %s; \"dx forward -h\" explains\n", what, value);
    return TOOL_USAGE;
}

/* A number from 1 to `most`, with K or M behind it if `scaled`; 0 if it is none. */
static size_t parse_number(const char *text, size_t most, bool scaled)
{
    char *end;
    if (*text < '0' || *text > '9' || strlen(text) > 12)
        return 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (scaled && (*end == 'K' || *end == 'M'))
        number <<= *end++ == 'K' ? 10 : 20;
    return *end == '\0' && number <= most ? (size_t)number : 0;
}

struct words {
    const char *listen;
    const char *connect;
    bool create;
    bool attach;
};

static int parse_flag(int option, struct forward_options *o, struct words *w)
{
    switch (option) {
    case 'l':
        w->listen = optarg;
        return -1;
    case 'c':
        w->connect = optarg;
        return -1;
    case 'C':
        w->create = true;
        return -1;
    case 'A':
        w->attach = true;
        return -1;
    case 'n':
        o->conns = (uint32_t)parse_number(optarg, DX_SLOTS_MAX, false);
        return o->conns != 0 ? -1 : wrong("-conns takes 1 to 4096, not", optarg);
    case 'b':
        o->buffer = parse_number(optarg, DX_CAPACITY_MAX, true);
        return o->buffer != 0 ? -1 : wrong("-buffer takes 1 to 1024M bytes, not", optarg);
    case 'g':
        o->guests = (uint32_t)parse_number(optarg, DX_GUESTS_MAX, false);
        return o->guests != 0 ? -1 : wrong("-guests takes 1 to 30, not", optarg);
    case 't':
        o->wait.peer_timeout_ns = (int64_t)parse_number(optarg, 1000, false) * 1000000000;
        return o->wait.peer_timeout_ns != 0 ? -1
                                            : wrong("-peer-timeout takes 1 to 1000, not", optarg);
    case 'a':
        o->any_address = true;
        return -1;
    case 'v':
        o->verbose = true;
        return -1;
    case 'h':
        (void)fputs(usage, stdout);
        return tool_end_output("forward");
    default:
        return TOOL_USAGE;
    }
}

/* What the words say together. */
static int decide(struct forward_options *o, const struct words *w)
{
    if ((w->listen == NULL) == (w->connect == NULL))
        return wrong("needs one of -listen and -connect,",
                     w->listen == NULL ? "none is given" : "both are given");
    if (w->create && w->attach)
        return wrong("takes -create or -attach,", "both are given");
    bool for_guests = strncmp(o->url, "ivshmem:", 8) == 0 || strncmp(o->url, "memfd:", 6) == 0;
    o->listens = w->listen != NULL;
    o->creates = w->create || (!w->attach && !o->listens && !for_guests);
    bool parsed = o->listens
                      ? forward_parse_address("listen", w->listen, o->any_address, &o->address)
                      : forward_parse_address("connect", w->connect, o->any_address, &o->address);
    return parsed ? -1 : TOOL_USAGE;
}

static int parse(int argc, char **argv, struct forward_options *o)
{
    static const struct option names[] = {{"listen", required_argument, NULL, 'l'},
                                          {"connect", required_argument, NULL, 'c'},
                                          {"create", no_argument, NULL, 'C'},
                                          {"attach", no_argument, NULL, 'A'},
                                          {"conns", required_argument, NULL, 'n'},
                                          {"buffer", required_argument, NULL, 'b'},
                                          {"guests", required_argument, NULL, 'g'},
                                          {"peer-timeout", required_argument, NULL, 't'},
                                          {"any-address", no_argument, NULL, 'a'},
                                          {"v", no_argument, NULL, 'v'},
                                          {"h", no_argument, NULL, 'h'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct forward_options){.conns = 64, .guests = 1, .buffer = (size_t)32 << 10};
    struct words words = {0};
    dx_status status = dx_wait_default(&o->wait);
    if (status != DX_OK)
        return tool_fail("forward", status);
    int option;
    optind = 1;
    while ((option = getopt_long_only(argc, argv, "", names, NULL)) >= 0) {
        int code = parse_flag(option, o, &words);
        if (code >= 0)
            return code;
    }
    if (optind + 1 != argc)
        return wrong("needs one URL, there are", optind == argc ? "none" : "more");
    o->url = argv[optind];
    return decide(o, &words);
}

/* What is left to do for links that had had their turn. */
static void work(struct forward *f)
{
    struct forward_link *l = f->work;
    f->work = NULL;
    while (l != NULL) {
        struct forward_link *next = l->next_work;
        l->works = false;
        forward_link_move(l);
        l = next;
    }
}

static dx_status turn_of(struct forward *f, const struct forward_side *side)
{
    int64_t now = dx_clock_ns();
    if (!f->due && f->work != NULL && now - f->side_ns < LEFT_OUT_NS)
        return DX_OK;
    f->due = false;
    f->side_ns = now;
    return side->round(f);
}

/* Until a signal ends it, or the channel does. */
static dx_status run(struct forward *f, const struct forward_side *side, int signals)
{
    struct epoll_event events[EVENTS];
    struct forward_watch end = {NULL};
    if (!forward_watch(f, signals, EPOLLIN, &end))
        return DX_ERR_SYSTEM;
    for (;;) {
        f->pause_ms = -1;
        work(f);
        dx_status status = turn_of(f, side);
        forward_bury(f);
        if (status != DX_OK)
            return status;
        if (f->work != NULL && !f->moved)
            (void)sched_yield();
        f->moved = false;
        int count = epoll_wait(f->epoll, events, EVENTS, f->work != NULL ? 0 : f->pause_ms);
        for (int i = 0; i < count; i++) {
            struct forward_watch *watch = events[i].data.ptr;
            if (watch == &end)
                return DX_OK;
            watch->ready(watch, events[i].events);
        }
    }
}

int tool_forward(int argc, char **argv)
{
    struct forward_options o;
    int code = parse(argc, argv, &o);
    if (code >= 0)
        return code;
    struct forward f = {.options = &o, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    int signals = signals_take(false);
    const struct forward_side *side = o.listens ? &forward_dial : &forward_serve;
    dx_status status = f.epoll >= 0 && signals >= 0
                           ? side->open(&f)
                           : dx_fail_errno("there is no descriptor to wait with");
    if (status == DX_OK) {
        (void)printf("ready\n");
        (void)fflush(stdout);
        status = run(&f, side, signals);
    }
    if (status != DX_OK)
        code = tool_fail("forward", status);
    side->close(&f);
    forward_bury(&f);
    if (signals >= 0)
        (void)close(signals);
    if (f.epoll >= 0)
        (void)close(f.epoll);
    return status == DX_OK ? TOOL_OK : code;
}
