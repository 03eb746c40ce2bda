/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting on a source of the test's own: deadlines, what ends a wait, and what is counted. */
#include <pthread.h>
#include <sys/syscall.h>

#include "news.h"

static const enum dx_park kinds[] = {DX_PARK_FUTEX, DX_PARK_SEM, DX_PARK_POLL, DX_PARK_NEVER};
#define KINDS (sizeof kinds / sizeof *kinds)

static void a_deadline_is_kept_by_every_kind_of_sleep(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        for (uint32_t yield_every = 0; yield_every <= 8; yield_every += 8) {
            struct dx_wait wait = park_only(kinds[k]);
            struct news n;
            wait.yield_every = yield_every;
            news_init(&n, &wait);
            int64_t start = dx_clock_ns();
            assert_status(news_wait(&n, 60 * MS), DX_ERR_TIMEOUT);
            assert_elapsed(start, 60 * MS, SLACK);
            assert_int_equal(n.parked, 0);
            assert_int_equal(n.cell.armed, 0);
            assert_int_equal(n.counters.spin + n.counters.yield + n.counters.park, 0);
        }
    }
}

static void a_deadline_of_zero_has_passed(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct dx_wait wait = park_only(kinds[k]);
        struct news n;
        news_init(&n, &wait);
        int64_t start = dx_clock_ns();
        assert_status(news_wait(&n, 0), DX_ERR_TIMEOUT);
        assert_elapsed(start, 0, SLACK);
    }
}

/* Sums of far deadlines must not overflow into the past. */
static void far_deadlines_have_not_passed(void **state)
{
    (void)state;
    const int64_t far[] = {INT64_MAX, INT64_MAX - 1, INT64_MIN, DX_FOREVER};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        struct dx_wait wait = park_only(DX_PARK_POLL);
        struct news n;
        news_init(&n, &wait);
        n.at_look = 10;
        assert_status(news_wait(&n, far[i]), DX_OK);
    }
}

static void news_in_the_last_look_beat_the_deadline(void **state)
{
    (void)state;
    struct dx_wait wait = park_only(DX_PARK_FUTEX);
    struct news n;
    news_init(&n, &wait);
    n.at_look = 1; /* the deadline comes first, then the one look behind it */
    assert_status(news_wait(&n, 0), DX_OK);
}

static void a_source_that_says_no_ends_every_kind_of_wait(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct dx_wait wait = park_only(kinds[k]);
        struct news n;
        news_init(&n, &wait);
        n.answer = DX_ERR_PEER_DEAD;
        int64_t start = dx_clock_ns();
        assert_status(news_wait(&n, DX_FOREVER), DX_ERR_PEER_DEAD);
        assert_elapsed(start, 0, SLACK);
        assert_int_equal(n.parked, 0);
        assert_int_equal(n.cell.armed, 0);
    }
}

static void waits_are_counted_in_their_phase(void **state)
{
    (void)state;
    struct news n;
    struct dx_wait wait = spin_of(1000, 0);
    news_init(&n, &wait);
    n.at_look = 10;
    assert_status(news_wait(&n, PATIENCE), DX_OK);
    assert_int_equal(n.counters.spin, 1);
    assert_int_equal(n.counters.looks, 10);
    assert_int_equal(n.counters.yields + n.counters.yield + n.counters.park, 0);

    wait = spin_of(1000, 4);
    news_init(&n, &wait);
    n.at_look = 10;
    assert_status(news_wait(&n, PATIENCE), DX_OK);
    assert_int_equal(n.counters.yield, 1);
    assert_int_equal(n.counters.yields, 2);
    assert_int_equal(n.counters.spin + n.counters.park + n.counters.parks, 0);

    wait = park_only(DX_PARK_POLL);
    news_init(&n, &wait);
    n.at_look = 6; /* two looks a sleep, one before and one after it: the third sleep */
    assert_status(news_wait(&n, PATIENCE), DX_OK);
    assert_int_equal(n.counters.park, 1);
    assert_int_equal(n.counters.parks, 3);
    assert_int_equal(n.counters.spin + n.counters.yield, 0);
    assert_true(n.counters.park_ns >= 3 * MS);
    assert_int_equal(n.counters.rescued, 0);
}

/* What callers and servers count inline moves the same limit, and observers read the gauge. */
/* A thread that waits, and what a test does to it. */
static void *wait_in_thread(void *user)
{
    struct news *n = user;
    atomic_store(&n->thread, (pid_t)syscall(SYS_gettid));
    n->answer = news_wait(n, PATIENCE);
    atomic_store(&n->done, true);
    return NULL;
}

static void await_armed(const struct news *n)
{
    while (dx_load_seqcst(&n->cell.armed) == 0)
        (void)sched_yield();
}

static void a_ring_ends_a_park_and_is_not_called_a_rescue(void **state)
{
    (void)state;
    const enum dx_park rung[] = {DX_PARK_FUTEX, DX_PARK_SEM};
    for (size_t k = 0; k < 2; k++) {
        struct dx_wait wait = park_only(rung[k]);
        struct news n;
        pthread_t thread;
        news_init(&n, &wait);
        n.waiter.liveness_ns = FAR_OFF;
        int64_t start = dx_clock_ns();
        assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &n), 0);
        await_armed(&n);
        atomic_store(&n.published, true);
        (void)dx_cell_ring(&n.cell);
        (void)pthread_join(thread, NULL);
        assert_status(n.answer, DX_OK);
        assert_elapsed(start, 0, SLACK);
        assert_int_equal(n.counters.rescued, 0);
        assert_int_equal(n.parked, 0);
    }
}

/* "Answers found when a sleep timed out unrung": a post that came late for another sleep ends this
 * one early, between the news and their ring, which is nothing that timed out. */
static void a_stale_post_that_meets_news_is_not_called_a_rescue(void **state)
{
    (void)state;
    struct dx_wait wait = park_only(DX_PARK_SEM);
    struct news n;
    pthread_t thread;
    news_init(&n, &wait);
    n.waiter.liveness_ns = FAR_OFF;
    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &n), 0);
    await_armed(&n);
    test_await_state(atomic_load(&n.thread), 'S');
    atomic_store(&n.published, true);
    (void)sem_post(&n.cell.sem);
    (void)pthread_join(thread, NULL);
    assert_status(n.answer, DX_OK);
    assert_int_equal(n.counters.rescued, 0);
}

/* dx_stop and a side that comes or goes ring without news: "look at the peers' states". */
static void a_ring_without_news_asks_whether_waiting_is_worth_while(void **state)
{
    (void)state;
    struct dx_wait wait = park_only(DX_PARK_FUTEX);
    struct news n;
    pthread_t thread;
    news_init(&n, &wait);
    n.waiter.liveness_ns = FAR_OFF;
    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, &n), 0);
    while (!dx_cell_ring(&n.cell))
        (void)sched_yield();
    while (dx_load_relaxed(&n.checks) == 0)
        (void)sched_yield();
    atomic_store(&n.published, true);
    while (!dx_cell_ring(&n.cell) && !atomic_load(&n.done))
        (void)sched_yield();
    (void)pthread_join(thread, NULL);
    assert_status(n.answer, DX_OK);
}

#define SLEEPS 9u

/* Sleeps that take no time, of which only the lengths are noted. */
struct sleeps {
    struct news news;
    uint32_t count;
    int64_t ns[SLEEPS];
};

static enum dx_slept note_sleep(struct dx_channel *channel, struct dx_cell *cell, uint32_t armed,
                                const struct dx_wait *wait, int64_t timeout_ns)
{
    struct sleeps *s = (struct sleeps *)(void *)channel;
    (void)cell;
    (void)armed;
    (void)wait;
    s->ns[s->count++] = timeout_ns;
    if (s->count == SLEEPS)
        atomic_store(&s->news.published, true);
    return DX_SLEPT_UNRUNG;
}

/* A channel that is idle costs next to nothing. */
static void an_idle_server_hardly_wakes_and_a_caller_goes_on_looking(void **state)
{
    static const int64_t idle_ms[SLEEPS] = {20, 40, 80, 160, 320, 640, 1000, 1000, 1000};
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        struct dx_wait wait = park_only(kinds[k / 2]);
        struct sleeps s = {.count = 0};
        bool serves = k % 2 == 0;
        news_init(&s.news, &wait);
        s.news.waiter.idle_ns = serves ? DX_IDLE_SLEEP_NS : 0;
        s.news.source.sleep = note_sleep;
        s.news.source.channel = (struct dx_channel *)(void *)&s;
        assert_status(news_wait(&s.news, PATIENCE), DX_OK);
        assert_int_equal(s.count, SLEEPS);
        for (uint32_t i = 0; i < SLEEPS; i++)
            assert_int_equal(s.ns[i], serves ? idle_ms[i] * MS : DX_LIVENESS_NS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_is_kept_by_every_kind_of_sleep),
        cmocka_unit_test(a_deadline_of_zero_has_passed),
        cmocka_unit_test(far_deadlines_have_not_passed),
        cmocka_unit_test(news_in_the_last_look_beat_the_deadline),
        cmocka_unit_test(a_source_that_says_no_ends_every_kind_of_wait),
        cmocka_unit_test(waits_are_counted_in_their_phase),
        cmocka_unit_test(a_ring_ends_a_park_and_is_not_called_a_rescue),
        cmocka_unit_test(a_stale_post_that_meets_news_is_not_called_a_rescue),
        cmocka_unit_test(a_ring_without_news_asks_whether_waiting_is_worth_while),
        cmocka_unit_test(an_idle_server_hardly_wakes_and_a_caller_goes_on_looking),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
