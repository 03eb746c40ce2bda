/* SPDX-License-Identifier: Apache-2.0 */
/* The guest in an event loop: one thread serves the channels that it is given, and a timer. It
 * answers later: the handler keeps what it is asked, and each tick of the timer answers all of it,
 * as the answer of a database or of another thread would. It ends when all hosts have closed. */
#include <dx/dx.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CHANNELS_MAX 8
#define JOBS_MAX 64
#define TICK_NS 1000000

/* A request that is answered at the next tick. */
struct job {
    struct dx_token token;
    long long number;
    char *response;
    size_t capacity;
};

static struct job jobs[JOBS_MAX];
static int job_count;

static int32_t keep(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    int number;
    struct job *job = &jobs[job_count];
    if (request->bytes != sizeof number || job_count == JOBS_MAX ||
        dx_answer_later(request, &job->token) != DX_OK)
        return -1; /* this is the answer */
    memcpy(&number, request->data, sizeof number);
    job->number = number;
    job->response = response->data; /* ours until dx_answer */
    job->capacity = response->capacity;
    job_count++;
    return 0;
}

static void answer_all(int timer)
{
    uint64_t ticks;
    if (read(timer, &ticks, sizeof ticks) < 0)
        return; /* somebody else has heard it */
    for (; job_count > 0; job_count--) {
        struct job *job = &jobs[job_count - 1];
        int bytes = snprintf(job->response, job->capacity, "%lld", job->number * job->number);
        /* DX_ERR_CANCELLED, for example: the host does not wait any more. */
        (void)dx_answer(&job->token, (size_t)bytes, 0);
    }
}

/* False: its host has closed. */
static bool serve(struct dx_server *server)
{
    dx_status status = dx_server_poll(server, 0);
    if (status != DX_OK && status != DX_ERR_TIMEOUT && status != DX_ERR_PEER_CLOSED)
        errx(1, "serve: %s", dx_status_string(status));
    return status != DX_ERR_PEER_CLOSED;
}

/* A NULL server is the timer. */
static void watch(int loop, int fd, struct dx_server *server)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = server};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0)
        err(1, "epoll_ctl");
}

static int start_timer(void)
{
    const struct itimerspec every = {.it_value.tv_nsec = TICK_NS, .it_interval.tv_nsec = TICK_NS};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0 || timerfd_settime(timer, 0, &every, NULL) != 0)
        err(1, "timer");
    return timer;
}

int main(int argc, char **argv)
{
    struct dx_channel *channels[CHANNELS_MAX];
    int count = argc - 1 < CHANNELS_MAX ? argc - 1 : CHANNELS_MAX;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    int timer = start_timer();
    if (loop < 0)
        err(1, "epoll_create1");
    if (count == 0)
        errx(2, "usage: %s URL...", argv[0]);
    watch(loop, timer, NULL);
    for (int i = 0; i < count; i++) {
        struct dx_server *server;
        if (dx_attach(argv[i + 1], NULL, 10000000000ll, &channels[i]) != DX_OK ||
            dx_server_open(channels[i], keep, NULL, NULL, &server) != DX_OK ||
            dx_server_fd(server) < 0)
            errx(1, "%s: %s", argv[i + 1], dx_last_error());
        watch(loop, dx_server_fd(server), server);
    }
    for (int left = count; left > 0;) {
        struct epoll_event event;
        if (epoll_wait(loop, &event, 1, -1) < 1)
            continue;
        struct dx_server *server = event.data.ptr;
        if (server == NULL) {
            answer_all(timer);
        } else if (!serve(server)) {
            dx_server_close(server); /* with it goes its descriptor */
            left--;
        }
    }
    for (int i = 0; i < count; i++)
        dx_close(channels[i]);
    close(timer);
    close(loop);
}
