/* SPDX-License-Identifier: Apache-2.0 */
/* dx_last_error() tells of the latest failure or says nothing: never of an older one. */
#include "dx_native.h"
#include "pair.h"
#include "streams.h"

#define BRIEF (2 * MS)

/* What the thread failed at before. */
static void fail_at_something_older(void)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("older-failure", &wait), DX_ERR_INVALID);
    assert_detail("older-failure");
}

static void check_own_text_or_none(const char *expression, const char *file, int line)
{
    if (strstr(dx_last_error(), "older-failure") == NULL)
        return;
    print_error("after %s the text is that of an older failure: %s\n", expression, dx_last_error());
    _fail(file, line);
}

/* The function fails with this status, and with its own text or none. */
#define assert_fails_alone(call, expected)                                                         \
    do {                                                                                           \
        fail_at_something_older();                                                                 \
        assert_status((call), (expected));                                                         \
        check_own_text_or_none(#call, __FILE__, __LINE__);                                         \
    } while (0)

static void a_call_that_fails_leaves_no_older_text(void **state)
{
    struct dx_config config = {.slots = 2, .request_capacity = 64, .response_capacity = 64};
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_reply reply;
    uint64_t size = 65;
    assert_fails_alone(pair_echo(caller, 1, BRIEF), DX_ERR_NO_PEER);
    pair_attach(p, NULL);
    assert_fails_alone(pair_echo(caller, 1, BRIEF), DX_ERR_TIMEOUT);
    assert_fails_alone(dx_call_in_place(caller, TYPE_ECHO, 8, &reply, BRIEF), DX_ERR_TIMEOUT);
    pair_serve_one(p);
    assert_fails_alone(dx_call(caller, TYPE_SIZE, &size, sizeof size, NULL, NULL, NULL, PATIENCE),
                       DX_ERR_RESPONSE_TOO_LARGE);
    assert_fails_alone(dx_call(caller, 1, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_ERR_TYPE);
    assert_fails_alone(dx_call(caller, TYPE_ECHO, &size, 65, NULL, NULL, NULL, PATIENCE),
                       DX_ERR_REQUEST_TOO_LARGE);
    struct dx_caller *second = pair_caller(p);
    assert_status(pair_echo(second, 1, PATIENCE), DX_OK);
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(pair_close_guest(p), DX_OK);
    assert_fails_alone(pair_echo(second, 1, PATIENCE), DX_ERR_PEER_CLOSED);
    dx_stop(p->host);
    assert_fails_alone(pair_echo(second, 1, PATIENCE), DX_ERR_STOPPED);
    assert_fails_alone(dx_native_check(p->host), DX_ERR_STOPPED);
}

static void opening_and_closing_that_fail_leave_no_older_text(void **state)
{
    struct dx_config config = DX_CONFIG_INIT;
    struct pair *p = pair_host(state, &config);
    struct dx_caller *none;
    struct dx_channel *channel;
    (void)pair_caller(p);
    assert_fails_alone(dx_caller_open(p->host, 0, &none), DX_ERR_NO_SLOT);
    assert_fails_alone(dx_close(p->host), DX_ERR_BUSY);
    assert_fails_alone(dx_create("shm:", NULL, &channel), DX_ERR_URL);
    assert_fails_alone(dx_create_places("memfd:", &config, 0, &channel), DX_ERR_INVALID);
    assert_fails_alone(dx_attach("memfd:-1", NULL, 0, &channel), DX_ERR_URL);
    assert_fails_alone(dx_attach("shm:dx-nobody", NULL, BRIEF, &channel), DX_ERR_NO_PEER);
    assert_fails_alone(dx_observe("shm:dx-nobody", &channel), DX_ERR_NO_PEER);
    assert_fails_alone(dx_device_bind("shm:x"), DX_ERR_URL);
    dx_stop(p->host);
    assert_fails_alone(dx_caller_open(p->host, 0, &none), DX_ERR_STOPPED);
}

/* Fails at something and stops its channel. */
static int32_t clumsy_handler(void *user, const struct dx_request *request,
                              struct dx_response *response)
{
    struct dx_wait wait;
    (void)request;
    (void)response;
    (void)dx_wait_preset("older-failure", &wait);
    dx_stop(user);
    return 0;
}

static void serving_that_ends_leaves_no_text_of_its_handlers(void **state)
{
    struct dx_config config = {.slots = 1, .request_capacity = 64, .response_capacity = 64};
    struct pair *p = pair_new(state, &config);
    calling_start(&p->calls[0], pair_caller(p), TYPE_ECHO, 1, PATIENCE);
    assert_fails_alone(dx_serve(p->guest, clumsy_handler, p->guest, NULL), DX_ERR_STOPPED);
    (void)calling_join(&p->calls[0]);
    assert_fails_alone(dx_serve(p->guest, clumsy_handler, p->guest, NULL), DX_ERR_STOPPED);
}

static void streams_that_fail_leave_no_older_text(void **state)
{
    struct dx_config config = streams_config(1, 256);
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stream *s = NULL;
    const void *bytes;
    unsigned char buffer[512] = {0};
    void *room;
    size_t n;
    assert_fails_alone(dx_stream_open(caller, TYPE_ECHO, NULL, BRIEF, &s), DX_ERR_TIMEOUT);
    pair_serve_one(p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    dx_stop(p->guest); /* nobody takes what is written from here on */
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    const struct dx_stream_options too_large = {.request_ring = 1 << 20};
    assert_fails_alone(dx_stream_open(caller, TYPE_ECHO, &too_large, BRIEF, &s), DX_ERR_INVALID);
    assert_status(dx_stream_open(caller, TYPE_ECHO, NULL, BRIEF, &s), DX_OK);
    assert_fails_alone(dx_stream_write(s, buffer, sizeof buffer, &n, 0), DX_ERR_TIMEOUT);
    assert_fails_alone(dx_stream_write(s, buffer, 1, &n, BRIEF), DX_ERR_TIMEOUT);
    assert_fails_alone(dx_stream_reserve(s, 1, &room, &n, 0), DX_ERR_TIMEOUT);
    assert_fails_alone(dx_stream_read(s, buffer, sizeof buffer, &n, 0), DX_ERR_TIMEOUT);
    assert_fails_alone(dx_stream_peek(s, 1, &bytes, &n, BRIEF), DX_ERR_TIMEOUT);
    assert_fails_alone(dx_stream_wait(s, DX_STREAM_READABLE, 0), DX_ERR_TIMEOUT);
    assert_fails_alone(pair_echo(caller, 1, BRIEF), DX_ERR_BUSY);
    dx_stop(p->host);
    assert_fails_alone(dx_stream_write(s, buffer, 1, &n, BRIEF), DX_ERR_STOPPED);
    assert_fails_alone(dx_stream_read(s, buffer, 1, &n, BRIEF), DX_ERR_STOPPED);
    assert_fails_alone(dx_stream_end(s, NULL, BRIEF), DX_ERR_STOPPED);
}

static void creating_that_succeeds_leaves_no_text_of_what_it_tried(void **state)
{
    char url[TEST_URL_BYTES];
    const char *path = test_path("socket");
    struct dx_channel *host;
    (void)state;
    (void)snprintf(url, sizeof url, "unix:%s", path);
    fail_at_something_older();
    assert_status(dx_create(url, NULL, &host), DX_OK);
    assert_string_equal(dx_last_error(), "");
    assert_status(dx_close(host), DX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_call_that_fails_leaves_no_older_text),
        PAIR_TEST(opening_and_closing_that_fail_leave_no_older_text),
        PAIR_TEST(serving_that_ends_leaves_no_text_of_its_handlers),
        PAIR_TEST(streams_that_fail_leave_no_older_text),
        cmocka_unit_test(creating_that_succeeds_leaves_no_text_of_what_it_tried),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
