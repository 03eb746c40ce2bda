/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that go well: sizes against rings, copied and in place, both ways, interleaved. */
#include "streams.h"

#define RING 4096u
#define MANY 16

static struct dx_stream *open_stream(struct dx_caller *caller, uint32_t type, size_t request_ring)
{
    struct dx_stream *s;
    const struct dx_stream_options options = {.request_ring = request_ring};
    assert_status(dx_stream_open(caller, type, &options, PATIENCE, &s), DX_OK);
    return s;
}

static void each_size_arrives_once_and_in_order(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    const uint64_t sizes[] = {0,
                              1,
                              63,
                              64,
                              65,
                              RING - 1,
                              RING,
                              RING + 1,
                              2 * RING,
                              3 * RING + 17,
                              99991,
                              12345678,
                              17u * RING + 5};
    const size_t rings[] = {0, 1, 7, 1000, RING};
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    streams_serve(p, 1);
    for (size_t r = 0; r < sizeof rings / sizeof *rings; r++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            if (rings[r] != 0 && sizes[i] > 5000 * rings[r])
                continue;
            for (int k = 0; k < 4; k++) {
                uint32_t type = (uint32_t)(k / 2 * (STREAM_EVENTS - STREAM_SINK) + k % 2);
                struct dx_stream *s = open_stream(caller, STREAM_SINK + type, rings[r]);
                assert_status(stream_send(s, sizes[i], PATIENCE), DX_OK);
                stream_end_is(s, STREAM_RIGHT);
            }
        }
    }
    /* The slot is as good for calls as ever. */
    assert_status(pair_echo(caller, 5, PATIENCE), DX_OK);
}

static void large_payloads_are_written_and_read_in_place(void **state)
{
    const struct dx_config config = streams_config(1, (size_t)1 << 20);
    const uint64_t total = (64u << 20) + 3;
    struct pair *p = pair_new(state, &config);
    streams_serve(p, 1);
    struct dx_stream *s = open_stream(pair_caller(p), STREAM_SINK_IN_PLACE, 0);
    while (dx_stream_bytes_written(s) < total) {
        void *room;
        size_t bytes;
        assert_status(dx_stream_reserve(s, DX_STREAM_CHUNK, &room, &bytes, PATIENCE), DX_OK);
        uint64_t left = total - dx_stream_bytes_written(s);
        assert_true(bytes >= DX_STREAM_CHUNK);
        bytes = left < bytes ? (size_t)left : bytes;
        stream_fill(room, dx_stream_bytes_written(s), bytes);
        dx_stream_commit(s, bytes);
    }
    stream_end_is(s, STREAM_RIGHT);
}

static void responses_flow_while_requests_do(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    const uint64_t total = 100u * RING + 11;
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    streams_serve(p, 1);
    for (int events = 0; events < 2; events++) {
        uint32_t type = STREAM_ECHO + (uint32_t)events * (STREAM_EVENTS - STREAM_SINK);
        struct dx_stream *s = open_stream(caller, type, 0);
        struct stream_work w = {0};
        size_t bytes = 1;
        while (bytes != 0) {
            bool more = dx_stream_bytes_written(s) < total;
            if (more && stream_send(s, total, 0) == DX_OK)
                dx_stream_close_write(s);
            more = dx_stream_bytes_written(s) < total;
            dx_status status = stream_check_span(s, &w, true, 0, &bytes);
            if (status == DX_ERR_TIMEOUT) {
                uint32_t for_what = DX_STREAM_READABLE | (more ? DX_STREAM_WRITABLE : 0u);
                assert_status(dx_stream_wait(s, for_what, PATIENCE), DX_OK);
                bytes = 1;
            } else {
                assert_status(status, DX_OK);
            }
        }
        assert_false(w.wrong);
        assert_int_equal(dx_stream_bytes_read(s), total);
        stream_end_is(s, STREAM_RIGHT);
    }
}

static void a_response_of_any_size_is_read(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    const uint64_t sizes[] = {0, 1, RING, RING + 1, 1234567};
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    streams_serve(p, 1);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        uint64_t total = sizes[i / 2];
        uint32_t type = STREAM_SOURCE + (i % 2 != 0 ? STREAM_EVENTS - STREAM_SINK : 0u);
        struct dx_stream *s = open_stream(caller, type, 0);
        unsigned char *buffer = malloc((size_t)total + 1);
        size_t bytes;
        assert_status(dx_stream_write(s, &total, sizeof total, NULL, PATIENCE), DX_OK);
        /* One more than there is, so that the end is seen. */
        assert_status(dx_stream_read(s, buffer, (size_t)total + 1, &bytes, PATIENCE), DX_OK);
        assert_int_equal(bytes, total);
        assert_true(stream_right(buffer, 0, bytes));
        free(buffer);
        stream_end_is(s, STREAM_RIGHT);
        /* And one of which nothing is read. */
        s = open_stream(caller, type, 0);
        assert_status(dx_stream_write(s, &total, sizeof total, NULL, PATIENCE), DX_OK);
        stream_end_is(s, STREAM_RIGHT);
    }
}

static void the_reader_starts_before_the_writer_ends(void **state)
{
    const struct dx_config config = streams_config(1, RING);
    struct pair *p = pair_new(state, &config);
    streams_serve(p, 1);
    struct dx_stream *s = open_stream(pair_caller(p), STREAM_ECHO, 0);
    for (uint64_t at = 0; at < 1000; at++) { /* each byte comes back before the next is sent */
        unsigned char byte = stream_byte(at);
        unsigned char back = 0;
        size_t bytes;
        assert_status(dx_stream_write(s, &byte, 1, NULL, PATIENCE), DX_OK);
        assert_status(dx_stream_read(s, &back, 1, &bytes, PATIENCE), DX_OK);
        assert_int_equal(back, byte);
    }
    stream_end_is(s, STREAM_RIGHT);
}

static void one_thread_serves_many_streams_at_once(void **state)
{
    const struct dx_config config = streams_config(MANY, RING);
    const uint64_t total = 20u * RING + 1;
    struct pair *p = pair_new(state, &config);
    struct dx_stream *streams[MANY];
    streams_serve(p, 1);
    for (int i = 0; i < MANY; i++)
        streams[i] = open_stream(pair_caller(p), STREAM_EVENTS, 0);
    /* More than a ring each: all of them have begun, and none has ended. */
    for (int i = 0; i < MANY; i++)
        assert_status(stream_send(streams[i], RING + 1, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&p->desk.runs), MANY);
    for (int i = MANY - 1; i >= 0; i--)
        assert_status(stream_send(streams[i], total + (uint64_t)i, PATIENCE), DX_OK);
    for (int i = 0; i < MANY; i++)
        stream_end_is(streams[i], STREAM_RIGHT);
}

static void calls_are_answered_between_the_chunks_of_streams(void **state)
{
    const struct dx_config config = streams_config(2, RING);
    struct pair *p = pair_new(state, &config);
    struct dx_caller *plain = pair_caller(p);
    streams_serve(p, 1);
    struct dx_stream *s = open_stream(pair_caller(p), STREAM_EVENTS, 0);
    for (uint64_t n = 1; n <= 50; n++) {
        assert_status(stream_send(s, n * 10000, PATIENCE), DX_OK);
        assert_status(pair_echo(plain, n, PATIENCE), DX_OK);
    }
    stream_end_is(s, STREAM_RIGHT);
}

static void a_plain_call_of_64_mib_goes_in_place(void **state)
{
    const size_t bytes = (size_t)64 << 20;
    const struct dx_config config = {
        .slots = 1, .request_capacity = bytes, .response_capacity = 64};
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_reply reply;
    pair_serve_one(p);
    assert_status(dx_call_in_place(caller, DX_TYPE_PING, 0, NULL, PATIENCE), DX_OK);
    unsigned char *request = dx_caller_request(caller);
    assert_non_null(request);
    const uint64_t size = 8;
    memset(request, 7, bytes);
    memcpy(request, &size, sizeof size);
    assert_status(dx_call_in_place(caller, TYPE_SIZE, bytes, &reply, PATIENCE), DX_OK);
    assert_int_equal(reply.bytes, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(each_size_arrives_once_and_in_order),
        PAIR_TEST(large_payloads_are_written_and_read_in_place),
        PAIR_TEST(responses_flow_while_requests_do),
        PAIR_TEST(a_response_of_any_size_is_read),
        PAIR_TEST(the_reader_starts_before_the_writer_ends),
        PAIR_TEST(one_thread_serves_many_streams_at_once),
        PAIR_TEST(calls_are_answered_between_the_chunks_of_streams),
        PAIR_TEST(a_plain_call_of_64_mib_goes_in_place),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
