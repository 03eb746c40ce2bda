/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dx forward, each of its two sides, with the other side in the peer's process. A program connects
 * at the front, is accepted at the back, and has a byte carried there and back. Then it ends the
 * command by a signal.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "scene.h"

/* One step of the program that makes no progress: at first, and after many of them. */
#define STEP_MS 50
#define STEP_MS_MAX 5000
/* In which the command goes on after a call has failed, or it is tried again. */
#define GOES_ON_WITHIN_NS 100000000ll
#define SCENE_AT_FILE (1u << SCENE_FILE)

static int back = -1; /* listens */
static int step_ms = STEP_MS;

static void name_socket(const struct stage *s, const char *name, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(address->sun_path, sizeof address->sun_path, "%.80s/%s", s->folder, name);
}

static bool can_read(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, step_ms) == 1;
}

static bool send_byte(int fd, unsigned char byte)
{
    return send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
}

static bool has_byte(int fd, unsigned char byte)
{
    unsigned char got = 0;
    return can_read(fd) && recv(fd, &got, 1, 0) == 1 && got == byte;
}

/* Accepts the connection by which this byte comes. Others before it were given up. -1: none. */
static int accept_with(unsigned char byte)
{
    while (can_read(back)) {
        int fd = accept4(back, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || has_byte(fd, byte))
            return fd;
        (void)close(fd);
    }
    return -1;
}

/* A connection, and a byte by it there and back. */
static bool exchange(const struct stage *s, unsigned char byte)
{
    struct sockaddr_un address;
    name_socket(s, "front", &address);
    int near = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool sent = connect(near, (const struct sockaddr *)&address, sizeof address) == 0 &&
                send_byte(near, byte);
    if (!sent)
        (void)poll(NULL, 0, 1);
    int far = sent ? accept_with(byte) : -1;
    bool carried = far >= 0 && send_byte(far, byte) && has_byte(near, byte);
    if (sent && step_ms < STEP_MS_MAX) /* the machine may be slow */
        step_ms *= 2;
    (void)close(near);
    if (far >= 0)
        (void)close(far);
    return carried;
}

/* Repeats that until it goes through, or does not in time after a call of the command has failed.
 */
static _Noreturn void use(const struct stage *s, pid_t command)
{
    const struct world_report *r = world_reported();
    bool again = s->limit_ns >= PEER_PATIENCE_NS;
    int64_t limit_ns = again ? s->limit_ns : GOES_ON_WITHIN_NS;
    int64_t failed_ns = INT64_MAX - limit_ns;
    unsigned char byte = 0;
    bool carried = false;
    for (int64_t now = dx_clock_ns(); !carried && now < failed_ns + limit_ns; now = dx_clock_ns()) {
        if (r->error != 0 && now < failed_ns)
            failed_ns = now;
        carried = exchange(s, ++byte);
    }
    (void)kill(command, SIGTERM);
    _exit(carried ? 0 : 1);
}

static dx_status forward(struct stage *s, const char *flag, const char *name, const char *role)
{
    char at[PEER_URL_BYTES];
    const struct timespec none = {0};
    sigset_t term;
    int ended = 1;
    pid_t command = getpid();
    (void)snprintf(at, sizeof at, "unix:%s/%s", s->folder, name);
    scene_block_term(&term);
    pid_t user = fork();
    if (user == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        use(s, command);
    }
    dx_status status =
        SCENE_RUN(s, "forward", "-conns", "1", "-buffer", "512", flag, at, role, s->url);
    if (status != DX_OK)
        (void)kill(user, SIGKILL);
    (void)waitpid(user, &ended, 0);
    (void)sigtimedwait(&term, NULL, &none);
    if (status == DX_OK && ended != 0)
        return DX_ERR_TIMEOUT;
    return status;
}

static dx_status forward_listen(struct stage *s)
{
    return forward(s, "-listen", "front", "-attach");
}

static dx_status forward_connect(struct stage *s)
{
    world_skip_waits();
    return forward(s, "-connect", "back", "-create");
}

/* The back listens, and the peer is the other side. */
static dx_status prepare(struct stage *s, const char *flag, const char *name, const char *role)
{
    struct sockaddr_un address;
    char words[2 * PEER_URL_BYTES];
    name_socket(s, "back", &address);
    back = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(back, (const struct sockaddr *)&address, sizeof address) != 0 || listen(back, 8) != 0)
        return DX_ERR_SYSTEM;
    (void)snprintf(words, sizeof words,
                   "dx forward -conns 1 -buffer 512 %s unix:%.80s/%s %s %.100s", flag, s->folder,
                   name, role, s->url);
    peer_send(&s->peer, PEER_TOOL, words, -1);
    return DX_OK;
}

static dx_status peer_connects(struct stage *s)
{
    struct dx_channel *observer = NULL;
    dx_status status = prepare(s, "-connect", "back", "-create");
    while (status == DX_OK && dx_observe(s->url, &observer) != DX_OK)
        (void)poll(NULL, 0, 1);
    return status == DX_OK ? dx_close(observer) : status;
}

static dx_status peer_listens(struct stage *s)
{
    struct sockaddr_un address;
    dx_status status = prepare(s, "-listen", "front", "-attach");
    name_socket(s, "front", &address);
    while (status == DX_OK && access(address.sun_path, F_OK) != 0)
        (void)poll(NULL, 0, 1);
    return status;
}

static dx_status nothing(struct stage *s)
{
    (void)s;
    return DX_OK;
}

static dx_status end_peer(struct stage *s)
{
    struct sockaddr_un address;
    name_socket(s, "back", &address);
    (void)kill(s->peer.pid, SIGTERM);
    dx_status status = peer_answer(&s->peer, NULL);
    (void)close(back);
    return unlink(address.sun_path) == 0 ? status : DX_ERR_SYSTEM;
}

const struct scene forward_scenes[] = {
    {"dx-forward-listen", SCENE_AT_FILE, true, DX_PARK_FUTEX, peer_connects, forward_listen,
     nothing, end_peer},
    {"dx-forward-connect", SCENE_AT_FILE, true, DX_PARK_FUTEX, peer_listens, forward_connect,
     nothing, end_peer},
    {0},
};
