/* SPDX-License-Identifier: Apache-2.0 */
/* Calls without a peer, and waiting for one: the same before the first came and after one ended. */
#include "pair.h"

#define BRIEF (20 * MS)
#define WAITERS 3

static const struct dx_config config = {
    .slots = 2, .request_capacity = 64, .response_capacity = 64};

/* A call that waits for a peer as long as it may. */
static void assert_times_out(struct dx_caller *caller)
{
    int64_t start = dx_clock_ns();
    assert_status(pair_echo(caller, 1, BRIEF), DX_ERR_NO_PEER);
    assert_elapsed(start, BRIEF, INT64_MAX);
}

static void end_guest(struct pair *p)
{
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(pair_close_guest(p), DX_OK);
}

static void the_end_of_a_peer_is_told_once_to_each_caller(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct dx_caller *first = pair_caller(p);
    struct dx_caller *second = pair_caller(p);
    assert_times_out(first);
    pair_attach(p, NULL);
    pair_serve_one(p);
    assert_status(pair_echo(first, 1, PATIENCE), DX_OK);
    assert_status(pair_echo(second, 2, PATIENCE), DX_OK);
    end_guest(p);
    assert_status(pair_echo(first, 3, DX_FOREVER), DX_ERR_PEER_CLOSED);
    assert_times_out(first);
    assert_times_out(first);
    assert_status(pair_echo(second, 3, DX_FOREVER), DX_ERR_PEER_CLOSED);
    assert_times_out(second);
    pair_lose_guest(p);
    assert_status(pair_echo(first, 4, DX_FOREVER), DX_ERR_PEER_DEAD);
    assert_times_out(first);
}

static void a_call_after_the_end_of_a_peer_is_answered_by_the_next(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = pair_caller(p);
    for (uint64_t life = 1; life <= 3; life++) {
        pair_lose_guest(p);
        assert_status(pair_echo(caller, life, DX_FOREVER), DX_ERR_PEER_DEAD);
        calling_start(&p->calls[0], caller, TYPE_ECHO, life, DX_FOREVER);
        pair_attach(p, NULL);
        pair_serve_one(p);
        assert_status(calling_join(&p->calls[0]), DX_OK);
        assert_int_equal(p->calls[0].response, life);
        end_guest(p);
        assert_status(pair_echo(caller, life, DX_FOREVER), DX_ERR_PEER_CLOSED);
    }
}

/* dx_wait_peer on a thread. */
struct peer_waiter {
    pthread_t thread;
    _Atomic pid_t id;
    struct dx_channel *channel;
    dx_status status;
};

static void *wait_for_peer(void *user)
{
    struct peer_waiter *w = user;
    atomic_store(&w->id, gettid());
    w->status = dx_wait_peer(w->channel, DX_FOREVER);
    return NULL;
}

static void start_waiter(struct peer_waiter *w, struct dx_channel *channel)
{
    *w = (struct peer_waiter){.channel = channel};
    assert_int_equal(pthread_create(&w->thread, NULL, wait_for_peer, w), 0);
    while (atomic_load(&w->id) == 0)
        (void)sched_yield();
    test_await_state(atomic_load(&w->id), 'S');
}

static void a_peer_is_waited_for_and_its_coming_wakes(void **state)
{
    struct dx_wait wait;
    struct dx_config patient = config;
    struct peer_waiter w;
    (void)dx_wait_preset("balanced", &wait);
    wait.park_timeout_ns = 1000 * SECOND;
    patient.wait = &wait;
    struct pair *p = pair_host(state, &patient);
    p->host->liveness_ns = 1000 * SECOND; /* only a ring wakes */
    assert_status(dx_wait_peer(p->host, 0), DX_ERR_NO_PEER);
    assert_detail("guest");
    start_waiter(&w, p->host);
    pair_attach(p, NULL);
    (void)pthread_join(w.thread, NULL);
    assert_status(w.status, DX_OK);
    assert_status(dx_wait_peer(p->host, 0), DX_OK);
    assert_status(dx_wait_peer(p->guest, 0), DX_OK);
    assert_status(pair_close_guest(p), DX_OK);
    assert_status(dx_wait_peer(p->host, BRIEF), DX_ERR_NO_PEER);
    pair_lose_guest(p);
    assert_status(dx_wait_peer(p->host, BRIEF), DX_ERR_NO_PEER);
    start_waiter(&w, p->host);
    pair_attach(p, NULL);
    (void)pthread_join(w.thread, NULL);
    assert_status(w.status, DX_OK);
}

static void several_wait_for_one_peer_and_a_stop_ends_them_all(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct peer_waiter w[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        start_waiter(&w[i], p->host);
    pair_attach(p, NULL);
    for (int i = 0; i < WAITERS; i++) {
        (void)pthread_join(w[i].thread, NULL);
        assert_status(w[i].status, DX_OK);
    }
    assert_status(pair_close_guest(p), DX_OK);
    for (int i = 0; i < WAITERS; i++)
        start_waiter(&w[i], p->host);
    dx_stop(p->host);
    for (int i = 0; i < WAITERS; i++) {
        (void)pthread_join(w[i].thread, NULL);
        assert_status(w[i].status, DX_ERR_STOPPED);
    }
    assert_status(dx_wait_peer(p->host, PATIENCE), DX_ERR_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(the_end_of_a_peer_is_told_once_to_each_caller),
        PAIR_TEST(a_call_after_the_end_of_a_peer_is_answered_by_the_next),
        PAIR_TEST(a_peer_is_waited_for_and_its_coming_wakes),
        PAIR_TEST(several_wait_for_one_peer_and_a_stop_ends_them_all),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
