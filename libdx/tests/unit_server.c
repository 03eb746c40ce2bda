/* SPDX-License-Identifier: Apache-2.0 */
/* Serving and calling in steps: descriptors for event loops, and many channels by one thread. */
#include <poll.h>

#include "later.h"

static const struct dx_config config = {
    .slots = 4, .guest_slots = 4, .request_capacity = 64, .response_capacity = 64};

/* An event loop of one. Waits for ever: what is not noticed is a hang. */
static void await_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, -1), 1);
    assert_int_equal(p.revents, POLLIN);
    watchdog_step();
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static struct dx_server *open_server(struct pair *p)
{
    struct dx_server *server;
    p->desk.serving = p->guest;
    desk.count = 0;
    assert_status(dx_server_open(p->guest, later_handler, &p->desk, NULL, &server), DX_OK);
    return server;
}

/* Until nothing is new any more. */
static void serve_all(struct dx_server *server)
{
    dx_status status;
    while ((status = dx_server_poll(server, 0)) == DX_OK)
        continue;
    assert_status(status, DX_ERR_TIMEOUT);
}

/* One turn of the loop for each time that it says so, until that happened. */
static void turn_until(struct dx_server *server, const _Atomic uint32_t *runs, uint32_t count)
{
    while (atomic_load(runs) < count) {
        await_readable(dx_server_fd(server));
        dx_status status = dx_server_poll(server, 0);
        assert_true(status == DX_OK || status == DX_ERR_TIMEOUT);
    }
}

static void steps_serve_without_a_descriptor(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_server *server = open_server(p);
    calling_start(&p->calls[0], pair_caller(p), TYPE_ECHO, 7, PATIENCE);
    while (atomic_load(&p->desk.runs) == 0)
        assert_int_not_equal(dx_server_poll(server, DX_FOREVER), DX_ERR_TIMEOUT);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_int_equal(p->calls[0].response, 7);
    serve_all(server);
    assert_status(dx_server_poll(server, MS), DX_ERR_TIMEOUT);
    assert_status(dx_server_close(server), DX_OK);
}

static void the_descriptor_says_when_there_is_something(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct dx_server *server = open_server(p);
    int fd = dx_server_fd(server);
    assert_true(fd > 2);
    assert_int_equal(dx_server_fd(server), fd);
    assert_true(is_readable(fd)); /* at first */
    for (uint64_t i = 0; i < 100; i++) {
        serve_all(server);
        assert_false(is_readable(fd));
        atomic_store(&p->desk.runs, 0u);
        calling_start(&p->calls[0], i == 0 ? pair_caller(p) : p->callers[0], TYPE_ECHO, i,
                      PATIENCE);
        turn_until(server, &p->desk.runs, 1);
        assert_status(calling_join(&p->calls[0]), DX_OK);
        assert_int_equal(p->calls[0].response, i);
    }
    assert_status(dx_server_close(server), DX_OK);
}

/* A wait by the strategy, and one by the descriptor, in turn: both sleep in the same cell. */
static void blocking_and_the_descriptor_may_alternate(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct dx_server *server = open_server(p);
    struct dx_caller *caller = pair_caller(p);
    (void)dx_server_fd(server);
    for (uint32_t i = 0; i < 100; i++) {
        serve_all(server);
        atomic_store(&p->desk.runs, 0u);
        calling_start(&p->calls[0], caller, TYPE_ECHO, i, PATIENCE);
        if (i % 2 == 0)
            turn_until(server, &p->desk.runs, 1);
        else
            while (atomic_load(&p->desk.runs) == 0)
                assert_int_not_equal(dx_server_poll(server, DX_FOREVER), DX_ERR_BUSY);
        assert_status(calling_join(&p->calls[0]), DX_OK);
    }
    assert_status(dx_server_close(server), DX_OK);
}

static void stop_and_the_peers_end_are_noticed(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct dx_server *server = open_server(p);
    int fd = dx_server_fd(server);
    serve_all(server);
    assert_status(dx_close(p->host), DX_OK);
    p->host = NULL;
    dx_status status;
    do {
        await_readable(fd);
    } while ((status = dx_server_poll(server, 0)) == DX_ERR_TIMEOUT);
    assert_status(status, DX_ERR_PEER_CLOSED);
    assert_true(is_readable(fd)); /* for ever */
    assert_status(dx_server_poll(server, DX_FOREVER), DX_ERR_PEER_CLOSED);
    assert_status(dx_server_close(server), DX_OK);
    server = open_server(p);
    fd = dx_server_fd(server);
    dx_stop(p->guest);
    await_readable(fd);
    assert_status(dx_server_poll(server, 0), DX_ERR_STOPPED);
    assert_status(dx_server_close(server), DX_OK);
}

struct stopping {
    struct dx_channel *channel;
    int fd;
};

static void *stop_it(void *user)
{
    dx_stop(((struct stopping *)user)->channel);
    return NULL;
}

static void stop_wakes_the_loop(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct dx_server *server = open_server(p);
    struct stopping s = {.channel = p->guest, .fd = dx_server_fd(server)};
    pthread_t thread;
    serve_all(server);
    assert_false(is_readable(s.fd));
    assert_int_equal(pthread_create(&thread, NULL, stop_it, &s), 0);
    await_readable(s.fd);
    (void)pthread_join(thread, NULL);
    assert_status(dx_server_poll(server, 0), DX_ERR_STOPPED);
    assert_status(dx_server_close(server), DX_OK);
}

static struct dx_server *own;
static dx_status within[3];

static int32_t meddle(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    within[0] = dx_server_poll(own, 0);
    within[1] = dx_server_close(own);
    return 0;
}

static void bad_use_is_refused(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_server *other;
    const struct dx_serve_options two = {.threads = 2};
    uint32_t which;
    assert_status(dx_server_open(p->guest, meddle, NULL, &two, &other), DX_ERR_INVALID);
    assert_null(other);
    assert_status(dx_server_open(p->guest, meddle, NULL, NULL, &own), DX_OK);
    assert_status(dx_server_open(p->guest, meddle, NULL, NULL, &other), DX_ERR_BUSY);
    assert_status(dx_serve(p->guest, meddle, NULL, NULL), DX_ERR_BUSY);
    assert_status(dx_close(p->guest), DX_ERR_BUSY);
    assert_status(dx_servers_wait(&own, 0, 0, &which), DX_ERR_INVALID);
    calling_start(&p->calls[0], pair_caller(p), TYPE_ECHO, 7, PATIENCE);
    within[0] = within[1] = DX_OK;
    while (within[0] == DX_OK)
        (void)dx_server_poll(own, 0);
    assert_status(within[0], DX_ERR_BUSY);
    assert_status(within[1], DX_ERR_BUSY);
    (void)calling_join(&p->calls[0]);
    assert_status(dx_server_close(own), DX_OK);
    assert_status(dx_server_close(NULL), DX_OK);
}

/* Then the channel can be served again. */
static void *poll_until_left(void *user)
{
    for (;;)
        (void)dx_server_poll(user, DX_FOREVER);
    return NULL;
}

static void a_handler_that_ends_its_thread_ends_the_server(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    struct dx_server *server = open_server(p);
    pthread_t thread;
    queued_open(p, 2);
    assert_int_equal(pthread_create(&thread, NULL, poll_until_left, server), 0);
    queued_greet(p, 2);
    assert_status(queued_submit(p, 1, TYPE_LATER_AND_LEAVE, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    (void)pthread_join(thread, NULL);
    assert_status(dx_server_poll(server, DX_FOREVER), DX_ERR_LOST);
    assert_status(dx_server_close(server), DX_OK);
    server = open_server(p);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    serve_all(server);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 2);
    assert_status(dx_server_close(server), DX_OK);
}

static int use_copy(void *user)
{
    struct dx_server *server = user;
    if (dx_server_poll(server, DX_FOREVER) != DX_ERR_FORKED)
        return 1;
    return dx_server_close(server) == DX_OK ? 0 : 2;
}

static void the_child_of_a_fork_can_only_close_its_copy(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct dx_server *server = open_server(p);
    (void)dx_server_fd(server);
    serve_all(server);
    assert_exited(test_in_child(use_copy, server));
    calling_start(&p->calls[0], pair_caller(p), TYPE_ECHO, 7, PATIENCE);
    turn_until(server, &p->desk.runs, 1);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_status(dx_server_close(server), DX_OK);
}

/* The calling side in an event loop. */
static void a_queue_has_a_descriptor_too(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 4);
    int fd = dx_queue_fd(p->queue);
    assert_true(fd > 2 && is_readable(fd));
    for (uint64_t i = 0; i < 100; i++) {
        for (uint64_t tag = 0; tag < 1 + i % 4; tag++)
            assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
        assert_status(dx_queue_flush(p->queue), DX_OK);
        for (uint32_t left = 1 + (uint32_t)(i % 4); left > 0; left -= q.count) {
            await_readable(fd);
            assert_status(dx_queue_poll(p->queue, q.done, 4, &q.count), DX_OK);
            for (uint32_t k = 0; k < q.count; k++) {
                queued_check_echo(&q, q.done[k].tag);
                assert_status(dx_queue_seen(p->queue, &q.done[k]), DX_OK);
            }
        }
        if (i % 3 == 0) { /* both kinds of waiting */
            assert_status(queued_submit(p, 9, TYPE_ECHO, PATIENCE), DX_OK);
            queued_await(p, &q, 1);
            queued_seen(p, &q);
        }
    }
    do {
        assert_status(dx_queue_poll(p->queue, q.done, 4, &q.count), DX_OK);
    } while (is_readable(fd));
}

static void its_descriptor_tells_of_deadlines_and_of_stop(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct queued q = {.count = 0};
    pair_serve_one(p);
    queued_open(p, 2);
    queued_greet(p, 2);
    int fd = dx_queue_fd(p->queue);
    assert_status(dx_queue_poll(p->queue, q.done, 2, &q.count), DX_OK);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, 20 * MS), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    while (q.count == 0) {
        await_readable(fd);
        assert_status(dx_queue_poll(p->queue, q.done, 2, &q.count), DX_OK);
    }
    queued_check_failure(&q, 1, DX_ERR_TIMEOUT);
    queued_seen(p, &q);
    pair_open_desk(p);
    assert_status(dx_queue_wait_slot(p->queue, PATIENCE), DX_OK);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_OK);
    dx_stop(p->host);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    for (q.count = 0; q.count == 0;) {
        await_readable(fd);
        assert_status(dx_queue_poll(p->queue, q.done, 2, &q.count), DX_OK);
    }
    assert_int_equal(q.done[0].tag, 2);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        PAIR_TEST(steps_serve_without_a_descriptor),
        PAIR_TEST(the_descriptor_says_when_there_is_something),
        PAIR_TEST(blocking_and_the_descriptor_may_alternate),
        PAIR_TEST(stop_and_the_peers_end_are_noticed),
        PAIR_TEST(stop_wakes_the_loop),
        PAIR_TEST(bad_use_is_refused),
        PAIR_TEST(a_handler_that_ends_its_thread_ends_the_server),
        PAIR_TEST(the_child_of_a_fork_can_only_close_its_copy),
        PAIR_TEST(a_queue_has_a_descriptor_too),
        PAIR_TEST(its_descriptor_tells_of_deadlines_and_of_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
