/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: what is sent, what comes back, what is refused, and what is counted. */
#include "pair.h"

#define CAPACITY 1000u /* no multiple of a line */

static const struct dx_config config = {
    .slots = 4, .request_capacity = CAPACITY, .response_capacity = CAPACITY};

/* A pair whose guest serves with one thread, and a caller. */
static struct dx_caller *served_caller(void **state, struct pair **p)
{
    *p = pair_new(state, &config);
    pair_serve_one(*p);
    return pair_caller(*p);
}

static void fill(unsigned char *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(seed + i * 7);
}

static void calls_of_every_size_come_back_whole(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    for (size_t size = 0; size <= CAPACITY; size += size < 140 || size > 900 ? 1 : 37) {
        unsigned char request[CAPACITY];
        unsigned char response[CAPACITY + 1];
        size_t bytes = CAPACITY;
        fill(request, size, (unsigned)size);
        memset(response, 0xee, sizeof response);
        assert_status(dx_call(caller, TYPE_ECHO, size != 0 ? request : NULL, size, response, &bytes,
                              NULL, PATIENCE),
                      DX_OK);
        assert_int_equal(bytes, size);
        assert_memory_equal(response, request, size);
        assert_int_equal(response[size], 0xee);
        assert_int_equal(dx_caller_reply(caller).bytes, size);
    }
}

/* Yields of a caller whose waits never yield, in 1,000 calls. */
static uint64_t yields_with(uint32_t burst)
{
    void *state = NULL;
    struct dx_config c = config;
    struct dx_wait wait;
    struct dx_stats stats;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.yield_every = 0;
    wait.burst = burst;
    c.wait = &wait;
    struct pair *p = pair_new(&state, &c);
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    for (int i = 0; i < 1000; i++)
        assert_status(dx_call(caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_OK);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    (void)pair_free(&state);
    return stats.yields;
}

static void a_caller_gives_the_cpu_away_after_each_turn(void **state)
{
    (void)state;
    assert_int_equal(yields_with(1), 1000 / 64);
    assert_int_equal(yields_with(3), 1000 / 256); /* 192, rounded up */
    assert_int_equal(yields_with(0), 0);
}

static void calls_in_place_come_back_whole(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    const size_t sizes[] = {0, 1, 63, 64, 65, CAPACITY - 1, CAPACITY};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char expected[CAPACITY];
        struct dx_reply reply = {.data = NULL};
        unsigned char *request = dx_caller_request(caller);
        assert_non_null(request);
        assert_int_equal((uintptr_t)request % 64, 0);
        fill(request, sizes[i], (unsigned)i);
        fill(expected, sizes[i], (unsigned)i);
        assert_status(dx_call_in_place(caller, TYPE_ECHO, sizes[i], &reply, PATIENCE), DX_OK);
        assert_int_equal(reply.bytes, sizes[i]);
        assert_int_equal((uintptr_t)reply.data % 64, 0);
        assert_memory_equal(reply.data, expected, sizes[i]);
    }
    assert_status(dx_call_in_place(caller, TYPE_ECHO, 3, NULL, PATIENCE), DX_OK);
    assert_int_equal(dx_caller_reply(caller).bytes, 3);
}

static void a_handlers_status_is_handed_on_whatever_it_is(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    const int32_t statuses[] = {0, 1, -1, DX_ERR_TIMEOUT, 77, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        int32_t status = 0x1234;
        assert_status(dx_call(caller, TYPE_STATUS, &statuses[i], sizeof statuses[i], NULL, NULL,
                              &status, PATIENCE),
                      DX_OK);
        assert_int_equal(status, statuses[i]);
        assert_int_equal(dx_caller_reply(caller).status, statuses[i]);
    }
}

static void a_request_that_is_too_large_is_not_sent(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    static const unsigned char request[CAPACITY + 1];
    const size_t sizes[] = {CAPACITY + 1, 0x100000000u + 5, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char named[64];
        (void)snprintf(named, sizeof named, "%zu bytes", sizes[i]);
        assert_status(dx_call(caller, TYPE_ECHO, request, sizes[i], NULL, NULL, NULL, PATIENCE),
                      DX_ERR_REQUEST_TOO_LARGE);
        assert_detail(named);
        assert_detail("1000");
        assert_status(dx_call_in_place(caller, TYPE_ECHO, sizes[i], NULL, PATIENCE),
                      DX_ERR_REQUEST_TOO_LARGE);
    }
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&p->desk.runs), 1);
}

static void a_response_that_is_too_large_is_reported_and_never_cut(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    const uint64_t sizes[] = {CAPACITY + 1, UINT32_MAX, 0x100000000u, 0x100000001u, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char response[8];
        size_t bytes = sizeof response;
        memset(response, 0xee, sizeof response);
        assert_status(dx_call(caller, TYPE_SIZE, &sizes[i], sizeof sizes[i], response, &bytes, NULL,
                              PATIENCE),
                      DX_ERR_RESPONSE_TOO_LARGE);
        assert_int_equal(response[0], 0xee);
        assert_int_equal(bytes, sizeof response);
        assert_null(dx_caller_reply(caller).data);
    }
    const uint64_t full = CAPACITY;
    assert_status(dx_call(caller, TYPE_SIZE, &full, sizeof full, NULL, NULL, NULL, PATIENCE),
                  DX_OK);
    assert_int_equal(dx_caller_reply(caller).bytes, CAPACITY);
}

static void a_buffer_that_is_too_small_is_told_the_size_and_the_reply_stays(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    const char request[] = "twelve bytes";
    char response[sizeof request] = "untouched";
    const size_t rooms[] = {0, 1, sizeof request - 1};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        size_t bytes = rooms[i];
        assert_status(
            dx_call(caller, TYPE_ECHO, request, sizeof request, response, &bytes, NULL, PATIENCE),
            DX_ERR_BUFFER_TOO_SMALL);
        assert_detail("13 bytes");
        assert_int_equal(bytes, sizeof request);
        assert_string_equal(response, "untouched");
        assert_int_equal(dx_caller_reply(caller).bytes, sizeof request);
        assert_memory_equal(dx_caller_reply(caller).data, request, sizeof request);
    }
}

static void types_of_the_library_and_beyond_are_refused(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    for (uint32_t type = 1; type < DX_TYPE_USER; type++)
        assert_status(dx_call(caller, type, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_ERR_TYPE);
    assert_detail("127");
    const uint32_t beyond[] = {65536, 0x10080, UINT32_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        assert_status(dx_call(caller, beyond[i], NULL, 0, NULL, NULL, NULL, PATIENCE), DX_ERR_TYPE);
    assert_detail("4294967295");
    assert_int_equal(atomic_load(&p->desk.runs), 0);
    assert_status(dx_call(caller, DX_TYPE_MAX, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&p->desk.runs), 1);
}

static void a_ping_is_answered_without_the_handler(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    int32_t status = 5;
    size_t bytes = 0;
    assert_status(dx_call(caller, DX_TYPE_PING, "abc", 3, NULL, &bytes, &status, PATIENCE), DX_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&p->desk.runs), 0);
}

static void counters_are_exact(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    struct dx_caller *other = pair_caller(p);
    struct dx_stats calls;
    struct dx_stats served;
    const uint64_t too_large = CAPACITY + 1;
    for (uint64_t i = 0; i < 500; i++)
        assert_status(pair_echo(i % 2 != 0 ? caller : other, i, PATIENCE), DX_OK);
    assert_status(dx_call(caller, TYPE_ECHO, "abc", 3, NULL, NULL, NULL, PATIENCE), DX_OK);
    assert_status(dx_call(caller, DX_TYPE_PING, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_OK);
    assert_status(dx_call(caller, 1, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_ERR_TYPE);
    assert_status(dx_call(caller, TYPE_SIZE, &too_large, 8, NULL, NULL, NULL, PATIENCE),
                  DX_ERR_RESPONSE_TOO_LARGE);
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, SECOND / 2);
    assert_status(calling_join(&p->calls[0]), DX_ERR_TIMEOUT);
    pair_open_desk(p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK); /* the blocked one has been answered */
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);

    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &calls), DX_OK);
    assert_int_equal(calls.calls, 503);
    assert_int_equal(calls.request_bytes, 501 * 8 + 3);
    assert_int_equal(calls.response_bytes, 501 * 8 + 3);
    assert_int_equal(calls.errors, 3);
    assert_int_equal(calls.timeouts, 1);
    /* The server has answered the call that was given up as well. */
    assert_status(dx_stats_read(p->guest, DX_STATS_GUEST_SERVERS, &served), DX_OK);
    assert_int_equal(served.calls, 504);
    assert_int_equal(served.request_bytes, 502 * 8 + 3);
    assert_int_equal(served.response_bytes, 502 * 8 + 3);
    assert_int_equal(served.errors, 1);
    assert_status(dx_stats_read_slot(p->host, 1, &calls), DX_OK);
    assert_int_equal(calls.calls, 250);
    assert_status(dx_stats_read(p->host, DX_STATS_GUEST_CALLERS, &calls), DX_OK);
    assert_int_equal(calls.calls + calls.errors + calls.looks, 0);
    assert_status(dx_stats_read(p->host, (enum dx_stats_of)4, &calls), DX_ERR_INVALID);
    assert_detail("4");
}

/* "calls that failed (any status but DX_OK)" */
static void a_buffer_that_is_too_small_is_counted_as_an_error(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    struct dx_stats stats;
    size_t bytes = 0;
    assert_status(dx_call(caller, TYPE_ECHO, "abc", 3, NULL, &bytes, NULL, PATIENCE),
                  DX_ERR_BUFFER_TOO_SMALL);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_int_equal(stats.errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(calls_of_every_size_come_back_whole),
        cmocka_unit_test(a_caller_gives_the_cpu_away_after_each_turn),
        PAIR_TEST(calls_in_place_come_back_whole),
        PAIR_TEST(a_handlers_status_is_handed_on_whatever_it_is),
        PAIR_TEST(a_request_that_is_too_large_is_not_sent),
        PAIR_TEST(a_response_that_is_too_large_is_reported_and_never_cut),
        PAIR_TEST(a_buffer_that_is_too_small_is_told_the_size_and_the_reply_stays),
        PAIR_TEST(types_of_the_library_and_beyond_are_refused),
        PAIR_TEST(a_ping_is_answered_without_the_handler),
        PAIR_TEST(counters_are_exact),
        PAIR_TEST(a_buffer_that_is_too_small_is_counted_as_an_error),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
