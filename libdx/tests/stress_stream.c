/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams both ways at once through rings of a few bytes, with verified content, early ends,
 * cancels and deadlines. Sleepers sleep at once and for long, as in stress_wake.c, so that a
 * lost wake-up misses the deadline. Under ThreadSanitizer this also checks the order of all bytes
 * against the progress words.
 */
#include "dice.h"
#include "streams.h"
#include "wake.h"

#define CLIENTS 4
#define CAPACITY 61u
#define MOST_BYTES 400u

#ifdef DX_TSAN
#define STREAMS 25u /* a client's */
#define BYTES 500u
#else
#define STREAMS 100u
#define BYTES 3000u
#endif

#define LIMIT PATIENCE
#define HASTE 30000 /* a deadline that is often missed */

/* One thread that opens stream after stream, and what was first not as it should be. */
struct client {
    pthread_t thread;
    struct dx_caller *caller;
    struct dice dice;
    const char *wrong;
    dx_status status;
};

static bool is(struct client *c, const char *what, dx_status status, bool right)
{
    if (!right && c->wrong == NULL) {
        c->wrong = what;
        c->status = status;
    }
    return right;
}

static bool ends_with(struct client *c, struct dx_stream *s, int32_t expected)
{
    int32_t status = 0;
    dx_status outcome = dx_stream_end(s, &status, LIMIT);
    return is(c, "end", outcome, outcome == DX_OK) &&
           is(c, "handler's status", (dx_status)status, status == expected);
}

/* Writes and reads at once; some waits are given up early, which does no harm. */
static bool echo(struct client *c, struct dx_stream *s, uint64_t total)
{
    struct stream_work w = {0};
    size_t bytes = 1;
    while (bytes != 0) {
        dx_status sent = stream_send(s, total, 0);
        if (sent == DX_OK)
            dx_stream_close_write(s);
        dx_status status = stream_check_span(s, &w, true, 0, &bytes);
        if (status == DX_ERR_TIMEOUT) {
            bool haste = dice_below(&c->dice, 4) == 0;
            uint32_t events = DX_STREAM_READABLE | (sent != DX_OK ? DX_STREAM_WRITABLE : 0u);
            status = dx_stream_wait(s, events, haste ? HASTE : LIMIT);
            status = haste && status == DX_ERR_TIMEOUT ? DX_OK : status;
            bytes = 1;
        }
        if (!is(c, "echo", status, status == DX_OK))
            return false;
    }
    return is(c, "echo's bytes", DX_OK, !w.wrong && dx_stream_bytes_read(s) == total) &&
           ends_with(c, s, STREAM_RIGHT);
}

/* Reads a part of what is written, and drops the rest. */
static bool source(struct client *c, struct dx_stream *s, uint64_t total)
{
    unsigned char buffer[MOST_BYTES];
    size_t bytes = 0;
    uint64_t part = dice_below(&c->dice, total + 1);
    dx_status status = dx_stream_write(s, &total, sizeof total, NULL, LIMIT);
    if (status == DX_OK)
        status = dx_stream_read(s, buffer, (size_t)part, &bytes, LIMIT);
    return is(c, "source", status, status == DX_OK) &&
           is(c, "source's bytes", DX_OK, bytes == part && stream_right(buffer, 0, bytes)) &&
           ends_with(c, s, STREAM_RIGHT);
}

static bool early(struct client *c, struct dx_stream *s, size_t request_ring)
{
    dx_status status = stream_send(s, stream_too_much(request_ring), LIMIT);
    return is(c, "early end", status, status == DX_ERR_ENDED) && ends_with(c, s, 77);
}

/* Leaves a stream in whatever state it is. */
static bool leave(struct client *c, struct dx_stream *s, uint64_t total)
{
    (void)stream_send(s, total, dice_below(&c->dice, 2) != 0 ? HASTE : 0);
    if (dice_below(&c->dice, 2) != 0) {
        dx_stream_cancel(s);
        return true;
    }
    dx_status status = dx_stream_end(s, NULL, (int64_t)dice_below(&c->dice, HASTE));
    return is(c, "end in haste", status, status == DX_OK || status == DX_ERR_TIMEOUT);
}

static bool stream_once(struct client *c)
{
    static const uint32_t types[] = {STREAM_ECHO,  STREAM_ECHO,   STREAM_ECHO,
                                     STREAM_EARLY, STREAM_SOURCE, STREAM_SINK};
    const struct dx_stream_options options = {
        .request_ring = 1 + (size_t)dice_below(&c->dice, CAPACITY),
        .response_ring = 1 + (size_t)dice_below(&c->dice, CAPACITY)};
    uint64_t total = dice_below(&c->dice, MOST_BYTES);
    uint32_t type = types[dice_below(&c->dice, 6)];
    uint32_t blocks = dice_below(&c->dice, 2) != 0 ? 0 : STREAM_EVENTS - STREAM_SINK;
    struct dx_stream *s;
    dx_status status = dx_stream_open(c->caller, type + blocks, &options, LIMIT, &s);
    if (!is(c, "open", status, status == DX_OK))
        return false;
    if (dice_below(&c->dice, 4) == 0)
        return leave(c, s, total);
    switch (type) {
    case STREAM_ECHO:
        return echo(c, s, total);
    case STREAM_EARLY:
        return early(c, s, options.request_ring);
    case STREAM_SOURCE:
        return source(c, s, total);
    default:
        status = stream_send(s, total, LIMIT);
        return is(c, "sink", status, status == DX_OK) && ends_with(c, s, STREAM_RIGHT);
    }
}

static void *run_client(void *user)
{
    struct client *c = user;
    for (uint32_t i = 0; i < STREAMS && stream_once(c); i++)
        watchdog_step();
    return NULL;
}

static void check_servers(struct pair *p)
{
    struct dx_stats servers;
    /* By a call, because a server that spins here looks at nothing else for long. */
    assert_status(dx_call(p->callers[0], TYPE_STOP, NULL, 0, NULL, NULL, NULL, LIMIT), DX_OK);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(dx_stats_read(p->host, DX_STATS_GUEST_SERVERS, &servers), DX_OK);
    assert_int_equal(servers.rescued, 0);
}

static void stream_and_be_woken(void **state, enum dx_park park, uint32_t threads)
{
    const struct dx_wait sleepy = sleeps_at_once(park);
    struct dx_config config = streams_config(CLIENTS, CAPACITY);
    config.wait = &sleepy;
    struct pair *p = wake_pair(state, &config, &sleepy);
    struct client clients[CLIENTS];
    streams_serve(p, threads);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.caller = pair_caller(p), .dice = {(uint64_t)i + 1}};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        (void)pthread_join(clients[i].thread, NULL);
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].wrong != NULL)
            fail_msg("client %d: %s: %s (%d)", i, clients[i].wrong,
                     dx_status_string(clients[i].status), (int)clients[i].status);
    check_servers(p);
}

static void streams_are_right_with_futexes(void **state)
{
    stream_and_be_woken(state, DX_PARK_FUTEX, 1);
}

static void streams_of_a_pool_are_right_with_futexes(void **state)
{
    stream_and_be_woken(state, DX_PARK_FUTEX, 3);
}

static void streams_of_a_pool_are_right_with_semaphores(void **state)
{
    stream_and_be_woken(state, DX_PARK_SEM, 2);
}

/* Writes BYTES, each a moment later behind the room for it. */
static dx_status feed(struct dx_stream *s)
{
    dx_status status = DX_OK;
    while (status == DX_OK && dx_stream_bytes_written(s) < BYTES) {
        void *room;
        size_t bytes;
        status = dx_stream_reserve(s, 1, &room, &bytes, LIMIT);
        pass_a_moment(dx_stream_bytes_written(s));
        watchdog_step();
        if (status == DX_OK) {
            stream_fill(room, dx_stream_bytes_written(s), 1);
            dx_stream_commit(s, 1);
        }
    }
    return status;
}

/* Reads until the end, and gives each byte back a moment later. */
static dx_status drain(struct dx_stream *s)
{
    for (;;) {
        const void *data;
        size_t bytes;
        dx_status status = dx_stream_peek(s, 1, &data, &bytes, LIMIT);
        if (status != DX_OK || bytes == 0)
            return status == DX_OK && dx_stream_bytes_read(s) != BYTES ? DX_ERR_ENDED : status;
        if (!stream_right(data, dx_stream_bytes_read(s), bytes))
            return DX_ERR_CORRUPT;
        pass_a_moment(dx_stream_bytes_read(s) * 5);
        dx_stream_consume(s, bytes);
    }
}

static int32_t drain_or_feed(void *user, struct dx_stream *s)
{
    (void)user;
    return (int32_t)(dx_stream_type(s) == STREAM_SINK ? drain(s) : feed(s));
}

/* With room for one byte, each is two wake-ups: of its reader, and of its writer. */
static void byte_by_byte(void **state, const struct dx_wait *host, const struct dx_wait *guest)
{
    struct dx_config config = streams_config(1, 1);
    config.wait = host;
    struct pair *p = wake_pair(state, &config, guest);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stats callers;
    pair_serve(p, (struct dx_serve_options){.stream = drain_or_feed});
    for (int i = 0; i < 2; i++) {
        struct dx_stream *s;
        assert_status(dx_stream_open(caller, i == 0 ? STREAM_SINK : STREAM_SOURCE, NULL, LIMIT, &s),
                      DX_OK);
        assert_status(i == 0 ? feed(s) : drain(s), DX_OK);
        int32_t status = -1;
        assert_status(dx_stream_end(s, &status, LIMIT), DX_OK);
        assert_status((dx_status)status, DX_OK);
    }
    check_servers(p);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &callers), DX_OK);
    assert_int_equal(callers.rescued + callers.timeouts + callers.errors, 0);
}

static void no_progress_is_lost_when_both_sides_sleep(void **state)
{
    const struct dx_wait sleepy = sleeps_at_once(DX_PARK_FUTEX);
    byte_by_byte(state, &sleepy, &sleepy);
}

static void no_progress_is_lost_on_a_caller_that_goes_to_sleep(void **state)
{
    const struct dx_wait sleepy = sleeps_at_once(DX_PARK_FUTEX);
    const struct dx_wait awake = spins(DX_PARK_FUTEX);
    byte_by_byte(state, &sleepy, &awake);
}

static void no_progress_is_lost_on_a_server_that_goes_to_sleep(void **state)
{
    const struct dx_wait sleepy = sleeps_at_once(DX_PARK_FUTEX);
    const struct dx_wait awake = spins(DX_PARK_FUTEX);
    byte_by_byte(state, &awake, &sleepy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(streams_are_right_with_futexes),
        PAIR_TEST(streams_of_a_pool_are_right_with_futexes),
        PAIR_TEST(streams_of_a_pool_are_right_with_semaphores),
        PAIR_TEST(no_progress_is_lost_when_both_sides_sleep),
        PAIR_TEST(no_progress_is_lost_on_a_caller_that_goes_to_sleep),
        PAIR_TEST(no_progress_is_lost_on_a_server_that_goes_to_sleep),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
