/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: measure_wake [CALLS]
 *
 * How long a call takes whose server sleeps: in dx_serve, and in an event loop (epoll, and
 * dx_server_fd). Both sides are threads of this process and sleep at once, without a spin; a call
 * is made every millisecond. In turn, five times each; medians of all calls of a turn.
 */
#include <err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "dx.h"

#define TURNS 5
#define CALLS_MAX 100000

struct side {
    struct dx_channel *channel;
    bool in_loop;
};

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        errx(1, "%s: %s (%s)", what, dx_status_string(status), dx_last_error());
}

static int32_t answer(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return 0;
}

static void serve_in_loop(struct dx_channel *channel)
{
    struct dx_server *server;
    struct epoll_event event = {.events = EPOLLIN};
    int loop = epoll_create1(EPOLL_CLOEXEC);
    check(dx_server_open(channel, answer, NULL, NULL, &server), "serve");
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, dx_server_fd(server), &event) != 0)
        err(1, "epoll");
    dx_status status = DX_OK;
    while (status == DX_OK || status == DX_ERR_TIMEOUT) {
        (void)epoll_wait(loop, &event, 1, -1);
        status = dx_server_poll(server, 0);
    }
    check(dx_server_close(server), "close a server");
    (void)close(loop);
}

static void *serve(void *user)
{
    struct side *s = user;
    if (s->in_loop)
        serve_in_loop(s->channel);
    else
        (void)dx_serve(s->channel, answer, NULL, NULL);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t median_call(struct dx_channel *host, int64_t *took, unsigned calls)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct dx_caller *caller;
    check(dx_caller_open(host, DX_FOREVER, &caller), "open a caller");
    for (unsigned i = 0; i < calls; i++) {
        (void)nanosleep(&pause, NULL);
        int64_t start = dx_clock_ns();
        check(dx_call(caller, DX_TYPE_USER, NULL, 0, NULL, NULL, NULL, DX_FOREVER), "call");
        took[i] = dx_clock_ns() - start;
    }
    dx_caller_close(caller);
    qsort(took, calls, sizeof *took, compare);
    return took[calls / 2];
}

int main(int argc, char **argv)
{
    static int64_t took[CALLS_MAX];
    unsigned calls = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500;
    struct dx_wait wait;
    if (calls == 0 || calls > CALLS_MAX)
        errx(2, "usage: %s [CALLS] (1 to %d)", argv[0], CALLS_MAX);
    check(dx_wait_preset("balanced", &wait), "preset");
    wait.spin_min = wait.spin_max = wait.spin_start = 0;
    for (int turn = 0; turn < 2 * TURNS; turn++) {
        const struct dx_config config = {.slots = 1, .wait = &wait};
        struct side s = {.in_loop = turn % 2 != 0};
        struct dx_channel *host;
        pthread_t thread;
        char url[32];
        check(dx_create("memfd:", &config, &host), "create");
        (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(host));
        check(dx_attach(url, &wait, 0, &s.channel), "attach");
        if (pthread_create(&thread, NULL, serve, &s) != 0)
            err(1, "thread");
        (void)printf("%s: %.1f us\n", s.in_loop ? "event loop" : "dx_serve",
                     (double)median_call(host, took, calls) / 1000);
        dx_stop(s.channel);
        (void)pthread_join(thread, NULL);
        check(dx_close(s.channel), "close");
        check(dx_close(host), "close");
    }
}
