/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wake-ups that must not get lost. Sleepers sleep at once and for long, so that a lost one is
 * not mended by a look that comes soon anyway: the call would miss its deadline.
 *
 * A wake-up is lost if one side publishes and looks for a sleeper while the other announces its
 * sleep and looks for news, and neither sees the other's store. When both sides sleep, hardly ever
 * do these moments meet, since waking takes so long. So there are races in which one side spins and
 * acts, after a delay that changes from call to call, just when the other goes to sleep.
 */
#include "wake.h"

#ifdef DX_TSAN
#define CALLS 5000u
#define RACES 20000u
#else
#define CALLS 20000u
#define RACES 500000u
#endif

#define SLEEPERS 4
#define CALL_DEADLINE PATIENCE

/* Echoes after a moment that depends on the request. */
static int32_t answer_after_a_moment(void *user, const struct dx_request *request,
                                     struct dx_response *response)
{
    uint64_t number = 0;
    if (request->bytes == sizeof number)
        memcpy(&number, request->data, sizeof number);
    pass_a_moment(number * 5);
    return test_handler(user, request, response);
}

/* One thread that calls, each time a moment later behind the answer before. */
struct client {
    pthread_t thread;
    struct dx_caller *caller;
    uint64_t calls;
    uint64_t wrong;
    dx_status status;
};

static void *run_client(void *user)
{
    struct client *c = user;
    for (uint64_t i = 0; i < c->calls && c->status == DX_OK; i++) {
        uint64_t response = 0;
        size_t bytes = sizeof response;
        c->status =
            dx_call(c->caller, TYPE_ECHO, &i, sizeof i, &response, &bytes, NULL, CALL_DEADLINE);
        c->wrong += response != i;
        watchdog_step();
        pass_a_moment(i);
    }
    return NULL;
}

static void call_and_be_woken(void **state, const struct dx_wait *host, const struct dx_wait *guest,
                              int count, uint64_t calls)
{
    const struct dx_config config = {
        .slots = SLEEPERS, .request_capacity = 64, .response_capacity = 64, .wait = host};
    struct pair *p = wake_pair(state, &config, guest);
    serving_start(&p->serving, p->guest, answer_after_a_moment, &p->desk,
                  (struct dx_serve_options){0});
    struct client clients[SLEEPERS];
    struct dx_stats callers;
    struct dx_stats servers;
    for (int i = 0; i < count; i++) {
        clients[i] = (struct client){.caller = pair_caller(p), .calls = calls};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < count; i++)
        (void)pthread_join(clients[i].thread, NULL);
    for (int i = 0; i < count; i++) {
        assert_status(clients[i].status, DX_OK);
        assert_int_equal(clients[i].wrong, 0);
    }
    /* By a call, as this is no test of how soon a sleeper notices dx_stop. */
    assert_status(dx_call(p->callers[0], TYPE_STOP, NULL, 0, NULL, NULL, NULL, CALL_DEADLINE),
                  DX_OK);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &callers), DX_OK);
    assert_status(dx_stats_read(p->host, DX_STATS_GUEST_SERVERS, &servers), DX_OK);
    assert_int_equal(callers.calls, calls * (uint64_t)count + 1);
    assert_int_equal(callers.timeouts + callers.errors + servers.errors, 0);
    assert_int_equal(callers.rescued, 0);
    assert_int_equal(servers.rescued, 0);
}

static void both_sleep(void **state, enum dx_park park, int count)
{
    const struct dx_wait sleepy = sleeps_at_once(park);
    call_and_be_woken(state, &sleepy, &sleepy, count, CALLS / (uint64_t)count);
}

static void no_wake_up_is_lost_with_a_futex(void **state)
{
    both_sleep(state, DX_PARK_FUTEX, 1);
}

static void no_wake_up_is_lost_with_a_semaphore(void **state)
{
    both_sleep(state, DX_PARK_SEM, 1);
}

static void no_wake_up_of_many_is_lost_with_a_futex(void **state)
{
    both_sleep(state, DX_PARK_FUTEX, SLEEPERS);
}

static void no_wake_up_of_many_is_lost_with_a_semaphore(void **state)
{
    both_sleep(state, DX_PARK_SEM, SLEEPERS);
}

static void no_request_is_lost_on_a_server_that_goes_to_sleep(void **state)
{
    const struct dx_wait caller = spins(DX_PARK_FUTEX);
    const struct dx_wait server = sleeps_at_once(DX_PARK_FUTEX);
    call_and_be_woken(state, &caller, &server, 1, RACES);
}

static void no_answer_is_lost_on_a_caller_that_goes_to_sleep(void **state)
{
    const struct dx_wait caller = sleeps_at_once(DX_PARK_FUTEX);
    const struct dx_wait server = spins(DX_PARK_FUTEX);
    call_and_be_woken(state, &caller, &server, 1, RACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(no_wake_up_is_lost_with_a_futex),
        PAIR_TEST(no_wake_up_is_lost_with_a_semaphore),
        PAIR_TEST(no_wake_up_of_many_is_lost_with_a_futex),
        PAIR_TEST(no_wake_up_of_many_is_lost_with_a_semaphore),
        PAIR_TEST(no_request_is_lost_on_a_server_that_goes_to_sleep),
        PAIR_TEST(no_answer_is_lost_on_a_caller_that_goes_to_sleep),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
