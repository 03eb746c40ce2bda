/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that do not return: pthread_exit, pthread_cancel and longjmp, in calls and in streams.
 */
#include "left.h"

/* Slot 0 is thread 0's, slot 1 is thread 1's where there are two. */
struct way {
    bool cancel;
    bool stream;
    uint32_t threads;
    uint32_t slot;
};

/* The caller waits without a deadline, so that nothing but the answer can end its wait. */
static void leave_by(struct pair *p, struct left *left, const struct way *way)
{
    struct dx_caller *callers[] = {pair_caller(p), pair_caller(p)};
    left_serve(p, left, way->threads);
    struct leaving leaving;
    leaving_start(&leaving, callers[way->slot], way->cancel ? LEFT_WAITS : LEFT_EXITS, way->stream);
    if (way->cancel) {
        test_wait(&left->entered);
        assert_int_equal(pthread_cancel(left->thread), 0);
    }
    assert_status(leaving_join(&leaving), DX_ERR_LOST);
    dx_status status = serving_join(&p->serving);
    if (way->slot != 0)
        assert_status(status, DX_ERR_LOST);
    assert_int_equal(atomic_load(&left->runs), 1);
    left_serve(p, left, way->threads);
    for (int i = 0; i < 2; i++)
        assert_status(pair_echo(callers[i], 7, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&left->runs), 3);
}

static void a_thread_that_ends_in_a_handler_leaves_a_channel_that_can_be_served(void **state)
{
    for (int i = 0; i < 12; i++) {
        const struct way way = {.cancel = i % 2 != 0,
                                .stream = i / 2 % 2 != 0,
                                .threads = i < 4 ? 1 : 2,
                                .slot = i < 8 ? 0 : 1};
        struct pair *p = pair_new(state, &left_config);
        struct left *left = left_new(p);
        leave_by(p, left, &way);
        assert_int_equal(left_free(state, left), 0);
    }
}

static void an_idle_serving_thread_can_be_cancelled(void **state)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    struct dx_caller *caller = pair_caller(p);
    left_serve(p, left, 1);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    left_await_parked(p);
    assert_int_equal(pthread_cancel(p->serving.thread), 0);
    (void)serving_join(&p->serving);
    left_serve(p, left, 1);
    assert_status(pair_echo(caller, 2, PATIENCE), DX_OK);
    assert_int_equal(left_free(state, left), 0);
}

/* Serves here, which a handler leaves by longjmp. */
static void serve_and_jump(struct pair *p, struct left *left, uint32_t threads)
{
    const struct dx_serve_options options = {.threads = threads, .stream = left_stream};
    if (setjmp(left->out) == 0) {
        dx_status status = dx_serve(p->guest, left_handler, left, &options);
        fail_msg("dx_serve returned %d", (int)status);
    }
}

/* Serves until a request stops the channel. */
static dx_status serve_here(struct pair *p, struct left *left, uint32_t threads)
{
    const struct dx_serve_options options = {.threads = threads, .stream = left_stream};
    return dx_serve(p->guest, left_handler, left, &options);
}

/* The same from further down the stack than where a handler was left; AddressSanitizer would put
 * the frame elsewhere. */
__attribute__((noinline, no_sanitize("address"))) static dx_status
serve_deeper(struct pair *p, struct left *left, uint32_t threads)
{
    volatile unsigned char frame[4096];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (unsigned char)i;
    dx_status status = serve_here(p, left, threads);
    return frame[7] == 7 ? status : DX_ERR_INVALID;
}

static void jump_and_serve(void **state, bool stream, uint32_t threads, bool deeper)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    struct dx_caller *jumps = pair_caller(p);
    struct dx_caller *other = pair_caller(p);
    struct leaving leaving;
    leaving_start(&leaving, jumps, LEFT_JUMPS, stream);
    serve_and_jump(p, left, threads);
    calling_start(&p->calls[0], other, LEFT_STOPS, 1, DX_FOREVER);
    assert_status(deeper ? serve_deeper(p, left, threads) : serve_here(p, left, threads),
                  DX_ERR_STOPPED);
    assert_status(leaving_join(&leaving), DX_ERR_LOST);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_int_equal(atomic_load(&left->runs), 2);
    assert_int_equal(left_free(state, left), 0);
}

static void a_channel_is_served_again_behind_a_longjmp(void **state)
{
    for (int i = 0; i < 8; i++)
        jump_and_serve(state, i % 2 != 0, i / 2 % 2 != 0 ? 2 : 1, i / 4 != 0);
}

static void a_channel_is_closed_behind_a_longjmp(void **state)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    struct leaving leaving;
    leaving_start(&leaving, pair_caller(p), LEFT_JUMPS, false);
    serve_and_jump(p, left, 2);
    assert_status(pair_close_guest(p), DX_OK);
    dx_status status = leaving_join(&leaving);
    assert_true(status == DX_ERR_LOST || status == DX_ERR_PEER_CLOSED);
    assert_int_equal(left_free(state, left), 0);
}

/* The pool's other threads go on until then. */
static void a_worker_answers_behind_a_longjmp_of_another(void **state)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    struct dx_caller *jumps = pair_caller(p);
    struct leaving leaving;
    calling_start(&p->calls[0], pair_caller(p), LEFT_WAITS, 5, DX_FOREVER);
    left->starts = &leaving;
    left->jumper = jumps;
    serve_and_jump(p, left, 2);
    (void)sem_post(&left->release);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_status(pair_close_guest(p), DX_OK);
    (void)leaving_join(&leaving);
    assert_int_equal(left_free(state, left), 0);
}

static void *jump_and_end(void *user)
{
    struct left *left = user;
    serve_and_jump(left->pair, left, 1);
    (void)sem_post(&left->entered);
    test_wait(&left->release);
    return NULL;
}

static void only_the_thread_that_jumped_or_its_end_frees_the_channel(void **state)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    struct leaving leaving;
    pthread_t thread;
    leaving_start(&leaving, pair_caller(p), LEFT_JUMPS, false);
    assert_int_equal(pthread_create(&thread, NULL, jump_and_end, left), 0);
    test_wait(&left->entered);
    dx_status lives = dx_close(p->guest);
    (void)sem_post(&left->release);
    (void)pthread_join(thread, NULL);
    assert_status(lives, DX_ERR_BUSY);
    assert_status(pair_close_guest(p), DX_OK);
    (void)leaving_join(&leaving);
    assert_int_equal(left_free(state, left), 0);
}

static void a_handler_that_serves_or_closes_its_own_channel_is_told_that_it_is_busy(void **state)
{
    struct pair *p = pair_new(state, &left_config);
    struct left *left = left_new(p);
    struct dx_caller *caller = pair_caller(p);
    left_serve(p, left, 1);
    calling_start(&p->calls[0], caller, LEFT_NESTS, 3, DX_FOREVER);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_status(left->nested[0], DX_ERR_BUSY);
    assert_status(left->nested[1], DX_ERR_BUSY);
    assert_status(pair_echo(caller, 4, PATIENCE), DX_OK);
    assert_int_equal(left_free(state, left), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_thread_that_ends_in_a_handler_leaves_a_channel_that_can_be_served),
        PAIR_TEST(an_idle_serving_thread_can_be_cancelled),
        PAIR_TEST(a_channel_is_served_again_behind_a_longjmp),
        PAIR_TEST(a_channel_is_closed_behind_a_longjmp),
        PAIR_TEST(a_worker_answers_behind_a_longjmp_of_another),
        PAIR_TEST(only_the_thread_that_jumped_or_its_end_frees_the_channel),
        PAIR_TEST(a_handler_that_serves_or_closes_its_own_channel_is_told_that_it_is_busy),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
