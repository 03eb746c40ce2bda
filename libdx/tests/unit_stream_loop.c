/* SPDX-License-Identifier: Apache-2.0 */
/* Streams in an event loop: a descriptor for the caller's side, and on the server's side streams
 * that the thread of the loop uses between two entries of their handler. One thread is all of it.
 */
#include <poll.h>

#include "dx_stream_loop.h"
#include "queued.h"
#include "streams.h"

#define TOTAL 200000u

static const struct dx_config config = {
    .slots = 4, .guest_slots = 0, .request_capacity = 1000, .response_capacity = 1000};

/* The server's side: the stream that is there, and what its handler returns when it is entered. */
struct taken {
    struct dx_stream *stream;
    uint32_t entered;
    bool ends;
    dx_status seen; /* at the last entry */
};

static int32_t take(void *user, struct dx_stream *s)
{
    struct taken *t = user;
    const void *data;
    size_t bytes;
    t->stream = s;
    t->entered++;
    t->seen = dx_stream_peek(s, 1, &data, &bytes, 0);
    bool failed = t->seen != DX_OK && t->seen != DX_ERR_TIMEOUT;
    return t->ends || failed ? 5 : DX_STREAM_AGAIN(0);
}

static int32_t no_calls(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return -1;
}

static struct dx_server *open_server(struct pair *p, struct taken *t)
{
    const struct dx_serve_options options = {.stream = take};
    struct dx_server *server;
    *t = (struct taken){0};
    assert_status(dx_server_open(p->guest, no_calls, t, &options, &server), DX_OK);
    assert_true(dx_server_fd(server) > 2);
    return server;
}

static void serve_all(struct dx_server *server)
{
    dx_status status;
    while ((status = dx_server_poll(server, 0)) == DX_OK)
        continue;
    assert_status(status, DX_ERR_TIMEOUT);
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Until one of the two has news. */
static void sleep_for(struct dx_server *server, int fd)
{
    struct pollfd p[2] = {{.fd = dx_server_fd(server), .events = POLLIN},
                          {.fd = fd, .events = POLLIN}};
    assert_true(poll(p, 2, -1) > 0);
    watchdog_step();
}

static struct dx_stream *open_stream(struct dx_caller *caller, struct dx_server *server)
{
    struct dx_stream *s = NULL;
    while (dx_stream_open(caller, DX_TYPE_USER, NULL, 0, &s) != DX_OK)
        serve_all(server); /* which greets the caller */
    return s;
}

/* Moves bytes for as long as any move: `from` sends, `to` receives. */
static bool move(struct dx_stream *from, struct dx_stream *to)
{
    unsigned char data[300];
    size_t bytes = 0;
    uint64_t sent = dx_stream_bytes_written(from);
    uint64_t got = dx_stream_bytes_read(to);
    if (sent < TOTAL) {
        size_t least = TOTAL - sent < sizeof data ? (size_t)(TOTAL - sent) : sizeof data;
        stream_fill(data, sent, least);
        dx_status status = dx_stream_write(from, data, least, NULL, 0);
        assert_true(status == DX_OK || status == DX_ERR_TIMEOUT);
    }
    dx_status status = dx_stream_read(to, data, sizeof data, &bytes, 0);
    assert_true(status == DX_OK || status == DX_ERR_TIMEOUT);
    assert_true(stream_right(data, got, bytes));
    return bytes != 0 || dx_stream_bytes_written(from) != sent;
}

static bool has_moved_all(struct dx_stream *s)
{
    return dx_stream_bytes_written(s) == TOTAL && dx_stream_bytes_read(s) == TOTAL;
}

static void one_thread_carries_both_directions_of_a_stream(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct taken t;
    struct dx_server *server = open_server(p, &t);
    struct dx_stream *ours = open_stream(pair_caller(p), server);
    int fd = dx_stream_fd(ours);
    int32_t status = 0;
    assert_true(fd > 2 && is_readable(fd));
    assert_int_equal(dx_stream_fd(ours), fd);
    while (t.stream == NULL)
        serve_all(server);
    while (!has_moved_all(ours) || !has_moved_all(t.stream)) {
        while (move(ours, t.stream) || move(t.stream, ours))
            continue;
        serve_all(server);
    }
    assert_int_equal(t.entered, 1);
    assert_status(dx_stream_wait(ours, DX_STREAM_READABLE, 0), DX_ERR_TIMEOUT);
    assert_false(is_readable(fd));
    t.ends = true;
    dx_stream_set_events(t.stream, DX_STREAM_NOW);
    serve_all(server);
    assert_int_equal(t.entered, 2);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&one, 1, -1), 1); /* the handler's return is news */
    assert_status(dx_stream_wait(ours, 0, 0), DX_OK);
    assert_status(dx_stream_end(ours, &status, 0), DX_OK);
    assert_int_equal(status, 5);
    assert_status(dx_server_close(server), DX_OK);
}

/* Every byte is slept for. */
static void descriptors_tell_of_each_byte(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct taken t;
    struct dx_server *server = open_server(p, &t);
    struct dx_stream *ours = open_stream(pair_caller(p), server);
    int fd = dx_stream_fd(ours);
    size_t bytes;
    char byte;
    while (t.stream == NULL)
        serve_all(server);
    for (int i = 0; i < 200; i++) {
        dx_stream_set_events(t.stream, DX_STREAM_READABLE);
        serve_all(server);
        assert_false(is_readable(dx_server_fd(server)));
        uint32_t entered = t.entered;
        assert_status(dx_stream_write(ours, "x", 1, NULL, 0), DX_OK);
        while (t.entered == entered) {
            sleep_for(server, -1);
            serve_all(server);
        }
        assert_status(dx_stream_wait(ours, DX_STREAM_READABLE, 0), DX_ERR_TIMEOUT);
        assert_status(dx_stream_read(t.stream, &byte, 1, &bytes, 0), DX_OK);
        assert_status(dx_stream_write(t.stream, "y", 1, NULL, 0), DX_OK);
        while (dx_stream_wait(ours, DX_STREAM_READABLE, 0) == DX_ERR_TIMEOUT) {
            struct pollfd one = {.fd = fd, .events = POLLIN};
            assert_int_equal(poll(&one, 1, -1), 1);
        }
        assert_status(dx_stream_read(ours, &byte, 1, &bytes, 0), DX_OK);
        assert_int_equal(byte, 'y');
    }
    dx_stream_cancel(ours);
    while (t.seen != DX_ERR_CANCELLED) { /* an idle handler is told */
        sleep_for(server, -1);
        serve_all(server);
    }
    assert_status(dx_server_close(server), DX_OK);
}

static void the_ends_of_channels_are_told_to_both(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct taken t;
    struct dx_server *server = open_server(p, &t);
    struct dx_stream *ours = open_stream(pair_caller(p), server);
    int fd = dx_stream_fd(ours);
    while (t.stream == NULL)
        serve_all(server);
    while (dx_stream_wait(ours, DX_STREAM_READABLE, 0) == DX_OK)
        continue;
    assert_status(dx_server_close(server), DX_OK);
    assert_status(t.seen, DX_ERR_STOPPED);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&one, 1, -1), 1);
    assert_status(dx_stream_wait(ours, DX_STREAM_READABLE, 0), DX_ERR_LOST);
    assert_status(dx_stream_end(ours, NULL, 0), DX_ERR_LOST);
}

/* A wait by the strategy, and one by the descriptor, in turn: both sleep in the same cell. */
static void blocking_and_the_descriptor_may_alternate(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    pair_serve(p, (struct dx_serve_options){.stream = stream_handler});
    struct dx_stream *s;
    size_t bytes;
    char byte = 0;
    assert_status(dx_stream_open(pair_caller(p), STREAM_ECHO, NULL, PATIENCE, &s), DX_OK);
    int fd = dx_stream_fd(s);
    for (int i = 0; i < 100; i++) {
        assert_status(dx_stream_write(s, "z", 1, NULL, PATIENCE), DX_OK);
        while (i % 2 == 0 && dx_stream_wait(s, DX_STREAM_READABLE, 0) == DX_ERR_TIMEOUT) {
            struct pollfd one = {.fd = fd, .events = POLLIN};
            assert_int_equal(poll(&one, 1, -1), 1);
        }
        assert_status(dx_stream_read(s, &byte, 1, &bytes, PATIENCE), DX_OK);
        assert_int_equal(byte, 'z');
    }
    assert_status(dx_stream_end(s, NULL, PATIENCE), DX_OK);
}

#define paired(test) cmocka_unit_test_teardown(test, pair_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        paired(one_thread_carries_both_directions_of_a_stream),
        paired(descriptors_tell_of_each_byte),
        paired(the_ends_of_channels_are_told_to_both),
        paired(blocking_and_the_descriptor_may_alternate),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
