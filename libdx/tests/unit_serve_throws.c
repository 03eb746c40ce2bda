/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that throw an exception of C++. */
#define LEFT_THROWING
#include "left.h"

#include <signal.h>

dx_status left_serve_and_catch(struct dx_channel *channel, dx_handler handler, void *user,
                               const struct dx_serve_options *options, bool *caught);

static void throw_and_serve(void **state, bool stream, uint32_t threads)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    const struct dx_serve_options options = {.threads = threads, .stream = left_stream};
    struct dx_caller *throws = pair_caller(p);
    struct dx_caller *other = pair_caller(p);
    struct leaving leaving;
    bool caught;
    leaving_start(&leaving, throws, LEFT_THROWS, stream);
    (void)left_serve_and_catch(p->guest, left_handler, left, &options, &caught);
    assert_true(caught);
    /* Told at once, before anybody serves again. */
    assert_status(leaving_join(&leaving), DX_ERR_LOST);
    calling_start(&p->calls[0], other, LEFT_STOPS, 1, DX_FOREVER);
    assert_status(left_serve_and_catch(p->guest, left_handler, left, &options, &caught),
                  DX_ERR_STOPPED);
    assert_false(caught);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_int_equal(atomic_load(&left->runs), 2);
    assert_int_equal(left_free(state, left), 0);
}

static void an_exception_passes_through_dx_serve_and_the_channel_is_served_again(void **state)
{
    for (int i = 0; i < 4; i++)
        throw_and_serve(state, i % 2 != 0, i < 2 ? 1 : 2);
}

/* For a child: slot 1 is served by a thread of the pool. */
static int throw_in_pool(void *user)
{
    struct left *left = user;
    const struct dx_serve_options options = {.threads = 2};
    struct dx_config config = left_config;
    struct dx_caller *callers[2];
    struct leaving leaving;
    struct pair *p = left->pair;
    char url[32];
    bool caught;
    if (dx_create("memfd:", &config, &p->host) != DX_OK)
        return 2;
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(p->host));
    if (dx_attach(url, NULL, 0, &p->guest) != DX_OK ||
        dx_caller_open(p->host, 0, &callers[0]) != DX_OK ||
        dx_caller_open(p->host, 0, &callers[1]) != DX_OK)
        return 3;
    leaving = (struct leaving){.caller = callers[1], .type = LEFT_THROWS};
    if (pthread_create(&leaving.thread, NULL, leaving_run, &leaving) != 0)
        return 4;
    (void)left_serve_and_catch(p->guest, left_handler, left, &options, &caught);
    return 5;
}

static void an_exception_in_a_thread_of_a_pool_ends_the_process_by_terminate(void **state)
{
    struct pair pair = {0};
    struct left *left = left_new(&pair);
    (void)state;
    int status = test_in_child(throw_in_pool, left);
    free(left);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(an_exception_passes_through_dx_serve_and_the_channel_is_served_again),
        cmocka_unit_test(an_exception_in_a_thread_of_a_pool_ends_the_process_by_terminate),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
