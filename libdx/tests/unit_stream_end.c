/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that do not go well: ended early, given up, stopped, refused, and words that cannot be.
 */
#include "slot.h"
#include "streams.h"

#define RING 4096u

static struct dx_stream *open_stream(struct dx_caller *caller, uint32_t type)
{
    struct dx_stream *s;
    assert_status(dx_stream_open(caller, type, NULL, PATIENCE, &s), DX_OK);
    return s;
}

static struct pair *serving_pair(void **state)
{
    const struct dx_config config = streams_config(2, RING);
    struct pair *p = pair_new(state, &config);
    streams_serve(p, 2);
    return p;
}

#define EVENTS (STREAM_EVENTS - STREAM_SINK)

static void a_handler_that_returns_early_ends_the_writer(void **state)
{
    struct pair *p = serving_pair(state);
    struct dx_caller *caller = pair_caller(p);
    for (uint32_t i = 0; i < 100; i++) {
        struct dx_stream *s = open_stream(caller, STREAM_EARLY + i % 2 * EVENTS);
        assert_status(stream_send(s, stream_too_much(RING), PATIENCE), DX_ERR_ENDED);
        stream_end_is(s, 77);
    }
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
}

/* A ring that holds less than the handler reads: what it wants comes in parts. */
static void a_handler_that_is_entered_for_each_part_keeps_what_it_has(void **state)
{
    struct pair *p = serving_pair(state);
    struct dx_caller *caller = pair_caller(p);
    for (size_t ring = 1; ring <= STREAM_EARLY_BYTES; ring++) {
        const struct dx_stream_options options = {.request_ring = ring};
        struct dx_stream *s;
        assert_status(dx_stream_open(caller, STREAM_EARLY + EVENTS, &options, PATIENCE, &s), DX_OK);
        assert_status(stream_send(s, stream_too_much(ring), PATIENCE), DX_ERR_ENDED);
        stream_end_is(s, 77);
    }
}

static void a_stalled_reader_costs_the_deadline_and_no_more(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    caller->ready = true; /* nobody serves, so that nobody reads */
    struct dx_stream *s = open_stream(caller, STREAM_SINK);
    char bytes[RING];
    size_t written;
    memset(bytes, 1, sizeof bytes);
    assert_status(dx_stream_write(s, bytes, RING - 1, NULL, PATIENCE), DX_OK);
    int64_t start = dx_clock_ns();
    assert_status(dx_stream_write(s, bytes, 2, &written, 20 * MS), DX_ERR_TIMEOUT);
    assert_elapsed(start, 20 * MS, 20 * MS + SLACK);
    assert_int_equal(written, 1);
    assert_status(dx_stream_write(s, bytes, 1, &written, 0), DX_ERR_TIMEOUT);
    assert_status(dx_stream_end(s, NULL, 20 * MS), DX_ERR_TIMEOUT);
    assert_null(dx_caller_request(caller)); /* whoever serves later may still read there */
    streams_serve(p, 1);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
}

static void a_stream_that_is_given_up_is_cancelled(void **state)
{
    struct pair *p = serving_pair(state);
    struct dx_caller *caller = pair_caller(p);
    for (uint32_t i = 0; i < 40; i++) {
        struct dx_stream *s = open_stream(caller, STREAM_ECHO + i % 2 * EVENTS);
        assert_status(stream_send(s, i % 4 * 1000, PATIENCE), DX_OK);
        dx_stream_cancel(s);
        assert_status(pair_echo(caller, i, PATIENCE), DX_OK);
    }
    /* Closing the caller gives up what is open. */
    (void)open_stream(caller, STREAM_DEAF);
    pair_close_callers(p);
    assert_status(pair_echo(pair_caller(p), 1, PATIENCE), DX_OK);
}

static void a_caller_with_a_stream_is_busy(void **state)
{
    struct pair *p = serving_pair(state);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stream *second;
    struct dx_stream *s = open_stream(caller, STREAM_SINK);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_ERR_BUSY);
    assert_status(dx_stream_open(caller, STREAM_SINK, NULL, 0, &second), DX_ERR_BUSY);
    assert_null(dx_caller_request(caller));
    stream_end_is(s, STREAM_RIGHT);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
}

static void what_cannot_be_opened_is_refused(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    const struct dx_stream_options large = {.request_ring = RING + 1};
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stream *s;
    pair_serve_one(p); /* without streams */
    assert_status(dx_stream_open(caller, STREAM_SINK, &large, 0, &s), DX_ERR_INVALID);
    assert_status(dx_stream_open(caller, DX_TYPE_MAX + 1, NULL, 0, &s), DX_ERR_TYPE);
    assert_status(dx_stream_open(caller, DX_TYPE_PING, NULL, 0, &s), DX_ERR_TYPE);
    s = open_stream(caller, STREAM_SINK);
    assert_status(dx_stream_end(s, NULL, PATIENCE), DX_ERR_TYPE);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
}

static void the_end_of_serving_is_the_end_of_streams(void **state)
{
    const struct dx_config config = streams_config(2, RING);
    for (uint32_t i = 0; i < 2; i++) {
        struct pair *p = pair_new(state, &config);
        streams_serve(p, 1);
        struct dx_stream *s = open_stream(pair_caller(p), STREAM_DEAF + i * EVENTS);
        size_t bytes;
        char byte;
        test_wait(&p->desk.entered);
        dx_stop(p->guest);
        assert_status(dx_stream_read(s, &byte, 1, &bytes, PATIENCE), DX_ERR_LOST);
        assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
        assert_status(dx_stream_end(s, NULL, PATIENCE), DX_ERR_LOST);
        assert_int_equal(pair_free(state), 0);
    }
}

/* A server that took over does not go on with half a stream. */
static void half_a_stream_is_lost(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    caller->ready = true;
    struct dx_stream *s = open_stream(caller, STREAM_SINK);
    /* As if a server had died in its handler, and its journal named another slot since. */
    dx_store_seqcst(&p->guest->server_lines[0].word, s->word);
    streams_serve(p, 1);
    assert_status(dx_stream_end(s, NULL, PATIENCE), DX_ERR_LOST);
    assert_int_equal(atomic_load(&p->desk.runs), 0);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
}

static const uint64_t lies[] = {
    1,          RING,           RING + 1,       UINT32_MAX, 1ull << 32, (1ull << 63) - 1,
    1ull << 63, 1ull << 63 | 1, UINT64_MAX - 1, UINT64_MAX};

static void a_lying_caller_ends_its_own_stream_only(void **state)
{
    struct pair *p = serving_pair(state);
    struct dx_caller *caller = pair_caller(p);
    struct dx_caller *other = pair_caller(p);
    for (size_t i = 0; i < 4 * sizeof lies / sizeof *lies; i++) {
        struct dx_stream *s =
            open_stream(caller, (i % 2 != 0 ? STREAM_ECHO : STREAM_SINK) + i / 2 % 2 * EVENTS);
        dx_store_seqcst(i % 2 != 0 ? &caller->line->taken : &caller->line->sent, lies[i / 4]);
        dx_caller_ring(caller);
        dx_status status = dx_stream_end(s, NULL, 20 * MS);
        if (status != DX_OK && status != DX_ERR_TIMEOUT)
            assert_status(status, DX_ERR_CORRUPT);
        assert_status(pair_echo(other, i, PATIENCE), DX_OK);
        assert_status(pair_echo(caller, i, PATIENCE), DX_OK);
    }
}

static void a_lying_server_ends_the_stream(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    caller->ready = true; /* nobody serves: the test plays the server */
    for (size_t i = 0; i < 2 * sizeof lies / sizeof *lies; i++) {
        struct dx_stream *s = open_stream(caller, STREAM_SINK);
        char buffer[16];
        size_t bytes;
        uint64_t lie = lies[i / 2];
        dx_store_seqcst(&caller->server->taken, i % 2 == 0 ? lie : 0);
        dx_store_seqcst(&caller->server->sent, i % 2 != 0 ? lie : 0);
        dx_store_seqcst(&caller->server->word, s->word);
        int64_t start = dx_clock_ns();
        dx_status status = dx_stream_read(s, buffer, sizeof buffer, &bytes, 2 * MS);
        if (i % 2 == 0) /* nothing was sent, so that nothing can have been taken */
            assert_status(status, DX_ERR_CORRUPT);
        else if (status != DX_OK && status != DX_ERR_TIMEOUT)
            assert_status(status, DX_ERR_CORRUPT);
        assert_elapsed(start, 0, 2 * MS + SLACK);
        dx_stream_cancel(s);
        caller->ready = true;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_handler_that_returns_early_ends_the_writer),
        PAIR_TEST(a_handler_that_is_entered_for_each_part_keeps_what_it_has),
        PAIR_TEST(a_stalled_reader_costs_the_deadline_and_no_more),
        PAIR_TEST(a_stream_that_is_given_up_is_cancelled),
        PAIR_TEST(a_caller_with_a_stream_is_busy),
        PAIR_TEST(what_cannot_be_opened_is_refused),
        PAIR_TEST(the_end_of_serving_is_the_end_of_streams),
        PAIR_TEST(half_a_stream_is_lost),
        PAIR_TEST(a_lying_caller_ends_its_own_stream_only),
        PAIR_TEST(a_lying_server_ends_the_stream),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
