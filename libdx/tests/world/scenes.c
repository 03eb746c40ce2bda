/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static dx_status nothing(struct stage *s)
{
    (void)s;
    return DX_OK;
}

/* The peer is the guest of what we created. */
static dx_status let_peer_in(struct stage *s)
{
    int fd = s->transport == SCENE_MEMFD ? dx_channel_fd(s->channels[0]) : -1;
    return peer_do(&s->peer, PEER_ATTACH, s->url, fd);
}

static dx_status close_all(struct stage *s)
{
    dx_status status = DX_OK;
    for (uint32_t i = SCENE_PLACES; i-- > 0;) {
        dx_status one = dx_close(s->channels[i]);
        s->channels[i] = NULL;
        status = status != DX_OK ? status : one;
    }
    dx_status peer = peer_do(&s->peer, PEER_CLOSE, NULL, -1);
    return status != DX_OK ? status : peer;
}

/* A file that was there before stays there. */
static dx_status close_all_and_remove(struct stage *s)
{
    dx_status status = close_all(s);
    if (s->transport == SCENE_FILE)
        (void)unlink(s->url + sizeof "file:" - 1);
    return status;
}

static dx_status create(struct stage *s)
{
    const struct dx_config config = peer_config(&s->wait);
    return dx_create(s->url, &config, &s->channels[0]);
}

static dx_status create_places(struct stage *s)
{
    const struct dx_config config = peer_config(&s->wait);
    return dx_create_places(s->url, &config, SCENE_PLACES, s->channels);
}

static dx_status calls_go_through(struct stage *s)
{
    return peer_calls(s->channels[0], PEER_PATIENCE_NS);
}

static dx_status peer_comes_and_is_called(struct stage *s)
{
    dx_status status = let_peer_in(s);
    return status == DX_OK ? calls_go_through(s) : status;
}

/* A host that died has left a region. */
dx_status scene_leave_corpse(struct stage *s)
{
    if (!peer_start(&s->corpse))
        return DX_ERR_SYSTEM;
    dx_status status = peer_do(&s->corpse, PEER_CREATE, s->url, -1);
    peer_send(&s->corpse, PEER_DIE, NULL, -1);
    (void)peer_answer(&s->corpse, NULL);
    peer_end(&s->corpse);
    return status;
}

dx_status scene_peer_creates(struct stage *s)
{
    peer_send(&s->peer, PEER_CREATE, s->url, -1);
    dx_status status = peer_answer(&s->peer, &s->memory);
    if (s->memory >= 0)
        (void)snprintf(s->url, sizeof s->url, "memfd:%d", s->memory);
    return status;
}

static dx_status attach(struct stage *s)
{
    return dx_attach(s->url, &s->wait, s->limit_ns, &s->channels[0]);
}

static dx_status observe(struct stage *s)
{
    return dx_observe(s->url, &s->channels[0]);
}

static dx_status counters_can_be_read(struct stage *s)
{
    struct dx_stats stats;
    return dx_stats_read(s->channels[0], DX_STATS_HOST_CALLERS, &stats);
}

/* Not through the rendezvous, which this process serves and which has scenes of its own. */
static dx_status switch_histograms(struct stage *s)
{
    char url[32];
    bool memfd = s->transport == SCENE_MEMFD || s->transport == SCENE_UNIX;
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(s->channels[0]));
    return dx_histogram_switch(memfd ? url : s->url, 0, 1);
}

/* Calls go through, whether they can be measured or not. */
static dx_status measure_calls(struct stage *s)
{
    struct dx_histogram h;
    dx_status status = switch_histograms(s);
    if (status == DX_OK)
        status = peer_calls(s->channels[0], s->limit_ns);
    return status == DX_OK ? dx_histogram_read(s->channels[0], DX_HISTOGRAM_HOST_CALLS, &h)
                           : status;
}

static dx_status join_as_host(struct stage *s)
{
    dx_status status = create(s);
    return status == DX_OK ? let_peer_in(s) : status;
}

static dx_status join_as_guest(struct stage *s)
{
    dx_status status = scene_peer_creates(s);
    return status == DX_OK ? attach(s) : status;
}

static dx_status call(struct stage *s)
{
    return peer_calls(s->channels[0], s->limit_ns);
}

static dx_status queue(struct stage *s)
{
    return peer_queues(s->channels[0], s->limit_ns);
}

static dx_status stream(struct stage *s)
{
    return peer_streams(s->channels[0], s->limit_ns);
}

/* The peer calls, streams, and then has us stop; what it says is looked at by peer_was_served. */
static dx_status join_and_be_called(struct stage *s)
{
    dx_status status = join_as_host(s);
    peer_send(&s->peer, PEER_CALL, NULL, -1);
    peer_send(&s->peer, PEER_STREAM, NULL, -1);
    peer_send(&s->peer, PEER_HALT, NULL, -1);
    return status;
}

static dx_status serve_by(struct stage *s, uint32_t threads, uint32_t flags)
{
    const struct dx_serve_options options = {
        .threads = threads, .flags = flags, .stream = peer_stream_handler};
    dx_status status = dx_serve(s->channels[0], peer_handler, s->channels[0], &options);
    return status == DX_ERR_STOPPED ? DX_OK : status;
}

static dx_status serve(struct stage *s)
{
    return serve_by(s, 1, 0);
}

static dx_status serve_by_pool(struct stage *s)
{
    return serve_by(s, 2, DX_SERVE_COPY);
}

/* Answers by another way, where the request is a copy that has to be kept. */
static int32_t answer_later(void *user, const struct dx_request *request,
                            struct dx_response *response)
{
    struct dx_token token;
    int32_t status = peer_handler(user, request, response);
    if (dx_answer_later(request, &token) == DX_OK)
        (void)dx_answer(&token, response->bytes, status);
    return status;
}

static dx_status serve_later(struct stage *s)
{
    const struct dx_serve_options options = {.flags = DX_SERVE_COPY, .stream = peer_stream_handler};
    dx_status status = dx_serve(s->channels[0], answer_later, s->channels[0], &options);
    return status == DX_ERR_STOPPED ? DX_OK : status;
}

/* In an event loop. */
static dx_status serve_in_steps(struct stage *s)
{
    const struct dx_serve_options options = {.stream = peer_stream_handler};
    struct dx_server *server;
    dx_status status =
        dx_server_open(s->channels[0], peer_handler, s->channels[0], &options, &server);
    if (status != DX_OK)
        return status;
    int fd = dx_server_fd(server);
    if (fd < 0)
        status = DX_ERR_SYSTEM;
    while (status == DX_OK || status == DX_ERR_TIMEOUT) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        (void)poll(&readable, 1, -1);
        status = dx_server_poll(server, 0);
    }
    (void)dx_server_close(server);
    return status == DX_ERR_STOPPED ? DX_OK : status;
}

static dx_status serve_a_set(struct stage *s)
{
    const struct dx_serve_options options = {.stream = peer_stream_handler};
    struct dx_server *server;
    uint32_t which;
    dx_status status =
        dx_server_open(s->channels[0], peer_handler, s->channels[0], &options, &server);
    if (status != DX_OK)
        return status;
    while (status == DX_OK)
        status = dx_servers_wait(&server, 1, DX_FOREVER, &which);
    (void)dx_server_close(server);
    return status == DX_ERR_STOPPED ? DX_OK : status;
}

static dx_status peer_was_served(struct stage *s)
{
    dx_status status = DX_OK;
    for (int i = 0; i < 3; i++) {
        dx_status one = peer_answer(&s->peer, NULL);
        status = status != DX_OK ? status : one;
    }
    return status;
}

static dx_status close_first(struct stage *s)
{
    dx_status status = dx_close(s->channels[0]);
    s->channels[0] = NULL;
    return status;
}

static dx_status peer_is_told(struct stage *s)
{
    return peer_do(&s->peer, PEER_AWAIT_END, NULL, -1);
}

static dx_status load_wait(struct stage *s)
{
    char path[PEER_URL_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/wait.toml", s->folder);
    return dx_wait_load(path, &s->wait);
}

static dx_status write_wait(struct stage *s)
{
    char path[PEER_URL_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/wait.toml", s->folder);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return DX_ERR_SYSTEM;
    (void)fputs("preset = \"latency\"\nspin_max = 77\nspin_min = 7\nspin_start = 77\n", file);
    return fclose(file) == 0 ? DX_OK : DX_ERR_SYSTEM;
}

static dx_status wait_was_read(struct stage *s)
{
    return s->wait.spin_max == 77 ? DX_OK : DX_ERR_CORRUPT;
}

static dx_status remove_wait(struct stage *s)
{
    char path[PEER_URL_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/wait.toml", s->folder);
    return unlink(path) == 0 ? DX_OK : DX_ERR_SYSTEM;
}

static dx_status measure(struct stage *s)
{
    int64_t park_ns;
    int64_t look_ps;
    return dx_wait_measure(&s->wait, &park_ns, &look_ps);
}

const struct scene scenes[] = {
    {"create", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, nothing, create, peer_comes_and_is_called,
     close_all},
    {"create-again", SCENE_NAMED, false, DX_PARK_FUTEX, scene_leave_corpse, create,
     peer_comes_and_is_called, close_all_and_remove},
    {"create-places", SCENE_NAMED, false, DX_PARK_FUTEX, nothing, create_places,
     peer_comes_and_is_called, close_all},
    {"attach", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, scene_peer_creates, attach, calls_go_through,
     close_all},
    {"observe", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, scene_peer_creates, observe,
     counters_can_be_read, close_all},
    {"call-spinning", SCENE_EVERYWHERE, false, DX_PARK_NEVER, join_as_host, call, calls_go_through,
     close_all},
    {"call-futex", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, join_as_host, call, calls_go_through,
     close_all},
    {"call-sem", SCENE_EVERYWHERE, false, DX_PARK_SEM, join_as_guest, call, calls_go_through,
     close_all},
    {"call-poll", SCENE_EVERYWHERE, false, DX_PARK_POLL, join_as_host, call, calls_go_through,
     close_all},
    {"call-doorbell", SCENE_AT_UNIX, false, DX_PARK_DOORBELL, join_as_host, call, calls_go_through,
     close_all},
    {"call-doorbell-guest", SCENE_AT_UNIX, false, DX_PARK_DOORBELL, join_as_guest, call,
     calls_go_through, close_all},
    {"histogram", SCENE_EVERYWHERE, false, DX_PARK_NEVER, join_as_host, measure_calls,
     calls_go_through, close_all},
    {"queue", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, join_as_host, queue, calls_go_through,
     close_all},
    {"queue-doorbell", SCENE_AT_UNIX, false, DX_PARK_DOORBELL, join_as_guest, queue,
     calls_go_through, close_all},
    {"stream", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, join_as_host, stream, calls_go_through,
     close_all},
    {"stream-doorbell", SCENE_AT_UNIX, false, DX_PARK_DOORBELL, join_as_guest, stream,
     calls_go_through, close_all},
    {"serve", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, join_and_be_called, serve, peer_was_served,
     close_all},
    {"serve-pool", SCENE_EVERYWHERE, false, DX_PARK_SEM, join_and_be_called, serve_by_pool,
     peer_was_served, close_all},
    {"serve-later", SCENE_EVERYWHERE, false, DX_PARK_SEM, join_and_be_called, serve_later,
     peer_was_served, close_all},
    {"serve-steps", SCENE_EVERYWHERE, false, DX_PARK_SEM, join_and_be_called, serve_in_steps,
     peer_was_served, close_all},
    {"serve-set", SCENE_EVERYWHERE, false, DX_PARK_SEM, join_and_be_called, serve_a_set,
     peer_was_served, close_all},
    {"serve-doorbell", SCENE_AT_UNIX, false, DX_PARK_DOORBELL, join_and_be_called, serve,
     peer_was_served, close_all},
    {"close-host", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, join_as_host, close_first, peer_is_told,
     close_all},
    {"close-guest", SCENE_EVERYWHERE, false, DX_PARK_FUTEX, join_as_guest, close_first,
     peer_is_told, close_all},
    {"wait-load", SCENE_AT_SHM, false, DX_PARK_FUTEX, write_wait, load_wait, wait_was_read,
     remove_wait},
    {"wait-measure", SCENE_AT_SHM, false, DX_PARK_FUTEX, nothing, measure, nothing, nothing},
    {0},
};
