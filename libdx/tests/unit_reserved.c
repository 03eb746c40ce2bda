/* SPDX-License-Identifier: Apache-2.0 */
/* Public structs have room for fields of later versions, which is zero until then. */
#include "pair.h"

/* What programs pass as plain numbers, where libabigail (libdx/abi) sees no type. */
_Static_assert(DX_RELAX_NONE == 0 && DX_RELAX_PAUSE == 1 && DX_RELAX_HARDWARE == 2, "relax");
_Static_assert(DX_PARK_NEVER == 0 && DX_PARK_FUTEX == 1 && DX_PARK_SEM == 2 && DX_PARK_POLL == 3 &&
                   DX_PARK_DOORBELL == 4,
               "park");
_Static_assert(DX_ADAPT_OFF == 0 && DX_ADAPT_STEP == 1 && DX_ADAPT_COST == 2 && DX_ADAPT_LOAD == 3,
               "adapt");
_Static_assert(DX_SERVE_COPY == 1 && DX_SERVE_THROUGH_RESTART == 2, "flags of dx_serve");
_Static_assert(DX_STREAM_READABLE == 1 && DX_STREAM_WRITABLE == 2, "events of streams");
_Static_assert(DX_STREAM_AGAIN(DX_STREAM_READABLE) == INT32_MIN + 1, "status of a handler");
_Static_assert(DX_TYPE_PING == 0 && DX_TYPE_USER == 128 && DX_TYPE_MAX == 65535, "types");
_Static_assert(DX_FOREVER == -1 && DX_NO_ID == UINT32_MAX, "timeouts, ids");

static const struct dx_config config = {
    .slots = 1, .request_capacity = 64, .response_capacity = 64};

/* A struct that was not set to zero, or that a later version filled, is refused by name. */
static void assert_named(dx_status status, const char *structure, size_t index)
{
    char word[32];
    assert_status(status, DX_ERR_INVALID);
    assert_detail(structure);
    (void)snprintf(word, sizeof word, "reserved[%zu] is 0x7", index);
    assert_detail(word);
}

static void a_config_with_a_reserved_word_is_refused(void **state)
{
    struct dx_channel *channels[2];
    (void)state;
    for (size_t i = 0; i < sizeof config.reserved / sizeof *config.reserved; i++) {
        struct dx_config spoilt = config;
        spoilt.reserved[i] = 7;
        assert_named(dx_create("memfd:", &spoilt, &channels[0]), "struct dx_config", i);
        assert_named(dx_create_places("memfd:", &spoilt, 2, channels), "struct dx_config", i);
        assert_null(channels[0]);
    }
}

static void serving_with_a_reserved_word_is_refused(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_serve_options options = {.threads = 1};
    for (size_t i = 0; i < sizeof options.reserved / sizeof *options.reserved; i++) {
        options.reserved[i] = 7;
        assert_named(dx_serve(p->guest, test_handler, &p->desk, &options),
                     "struct dx_serve_options", i);
        options.reserved[i] = 0;
    }
    pair_serve_one(p);
    assert_status(pair_echo(pair_caller(p), 1, PATIENCE), DX_OK);
}

static void a_stream_with_a_reserved_word_is_refused(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stream_options options = {.request_ring = 64};
    struct dx_stream *stream;
    pair_serve_one(p);
    for (size_t i = 0; i < sizeof options.reserved / sizeof *options.reserved; i++) {
        options.reserved[i] = 7;
        assert_named(dx_stream_open(caller, TYPE_ECHO, &options, PATIENCE, &stream),
                     "struct dx_stream_options", i);
        assert_null(stream);
        options.reserved[i] = 0;
    }
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
}

static void what_libdx_fills_has_zero_in_reserved_words(void **state)
{
    static const unsigned char zero[sizeof(((struct dx_peer_info *)NULL)->reserved)];
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_peer_info info;
    struct dx_reply reply;
    pair_serve_one(p);
    memset(&info, 0xff, sizeof info);
    memset(&reply, 0xff, sizeof reply);
    dx_channel_peer_info(p->host, &info);
    assert_memory_equal(info.reserved, zero, sizeof info.reserved);
    assert_status(dx_call_in_place(caller, DX_TYPE_PING, 0, &reply, PATIENCE), DX_OK);
    assert_int_equal(reply.reserved, 0);
    assert_int_equal(dx_caller_reply(caller).reserved, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_with_a_reserved_word_is_refused),
        PAIR_TEST(serving_with_a_reserved_word_is_refused),
        PAIR_TEST(a_stream_with_a_reserved_word_is_refused),
        PAIR_TEST(what_libdx_fills_has_zero_in_reserved_words),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
