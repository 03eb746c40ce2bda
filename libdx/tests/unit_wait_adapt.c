/* SPDX-License-Identifier: Apache-2.0 */
/* The spin limit that moves with what paid, and the costs by which it is bounded. */
#include "caller.h"
#include "news.h"
#include "wait_cpus.h"

static const enum dx_park kinds[] = {DX_PARK_FUTEX, DX_PARK_SEM, DX_PARK_POLL, DX_PARK_NEVER};
#define KINDS (sizeof kinds / sizeof *kinds)

static void the_limit_rises_when_spinning_paid_and_falls_when_it_did_not(void **state)
{
    (void)state;
    struct dx_wait wait = spin_of(1000, 0);
    wait.spin_min = 100;
    wait.spin_start = 500;
    wait.spin_inc = 300;
    wait.spin_dec = 350;
    wait.adapt = DX_ADAPT_STEP;
    wait.park = DX_PARK_POLL;
    const uint32_t up[] = {800, 1000, 1000};
    const uint32_t down[] = {650, 300, 100, 100};
    struct news n;
    news_init(&n, &wait);
    assert_int_equal(n.counters.spin_limit, 500);
    for (size_t i = 0; i < sizeof up / sizeof *up; i++) {
        n.at_look = 5;
        assert_status(news_wait(&n, PATIENCE), DX_OK);
        assert_int_equal(n.waiter.limit, up[i]);
        assert_int_equal(n.counters.spin_limit, up[i]);
    }
    for (size_t i = 0; i < sizeof down / sizeof *down; i++) {
        n.at_look = n.waiter.limit + 2; /* behind the first sleep */
        assert_status(news_wait(&n, PATIENCE), DX_OK);
        assert_int_equal(n.waiter.limit, down[i]);
        assert_int_equal(n.counters.spin_limit, down[i]);
    }
}

static void the_limit_rises_after_a_sleep_that_was_shorter_than_a_spin(void **state)
{
    (void)state;
    struct dx_wait wait = spin_of(1000, 0);
    struct news n;
    wait.spin_start = 500;
    wait.spin_inc = 300;
    wait.spin_dec = 300;
    wait.adapt = DX_ADAPT_STEP;
    wait.park = DX_PARK_POLL;
    news_init(&n, &wait);
    n.waiter.spin_max_ns = 10 * SECOND;
    n.at_look = 502; /* behind the first sleep, of a millisecond */
    assert_status(news_wait(&n, PATIENCE), DX_OK);
    assert_int_equal(n.counters.parks, 1);
    assert_int_equal(n.waiter.limit, 800);
}

/* Another side that runs only while we sleep. */
static struct news *told_in_sleep;

static enum dx_slept sleep_that_lets_it_run(struct dx_channel *channel, struct dx_cell *cell,
                                            uint32_t armed, const struct dx_wait *wait,
                                            int64_t timeout_ns)
{
    (void)channel;
    (void)cell;
    (void)armed;
    (void)wait;
    (void)timeout_ns;
    atomic_store(&told_in_sleep->published, true);
    return DX_SLEPT_RUNG;
}

static void wait_for_a_side_that_runs_in_our_sleep(struct news *n)
{
    told_in_sleep = n;
    atomic_store(&n->published, false);
    n->at_look = 0;
    assert_status(news_wait(n, PATIENCE), DX_OK);
}

/* A waiter whose every sleep is short, at its highest limit. */
static void short_sleeper(struct news *n)
{
    struct dx_wait wait = spin_of(1000, 0);
    wait.spin_min = 10;
    wait.spin_inc = 300;
    wait.spin_dec = 300;
    wait.adapt = DX_ADAPT_STEP;
    news_init(n, &wait);
    n->waiter.spin_max_ns = 1000 * SECOND;
    n->source.sleep = sleep_that_lets_it_run;
}

static void the_limit_falls_to_zero_when_the_other_side_never_runs_while_we_spin(void **state)
{
    (void)state;
    struct news n;
    short_sleeper(&n);
    for (int i = 0; i < 100 && n.waiter.limit != 0; i++)
        wait_for_a_side_that_runs_in_our_sleep(&n);
    assert_int_equal(n.waiter.limit, 0);
    assert_int_equal(n.counters.spin_limit, 0);
    for (int i = 0; i < 100; i++)
        wait_for_a_side_that_runs_in_our_sleep(&n);
    assert_int_equal(n.waiter.limit, 0);
}

static void a_few_short_sleeps_do_not_lower_the_limit(void **state)
{
    (void)state;
    struct news n;
    short_sleeper(&n);
    for (int i = 0; i < 100; i++) {
        wait_for_a_side_that_runs_in_our_sleep(&n);
        wait_for_a_side_that_runs_in_our_sleep(&n);
        dx_waiter_spun(&n.waiter, 1); /* between them the other side runs while we spin */
    }
    assert_int_equal(n.waiter.limit, 1000);
}

static void spinning_is_tried_again_after_the_sleep_that_is_owed(void **state)
{
    (void)state;
    struct news n;
    short_sleeper(&n);
    for (int i = 0; i < 100 && n.waiter.limit != 0; i++)
        wait_for_a_side_that_runs_in_our_sleep(&n);
    assert_int_equal(n.waiter.limit, 0);

    n.waiter.owed_ns = 1; /* all but slept */
    wait_for_a_side_that_runs_in_our_sleep(&n);
    assert_int_equal(n.waiter.limit, 1000);
    wait_for_a_side_that_runs_in_our_sleep(&n); /* nothing found: one attempt is enough */
    assert_int_equal(n.waiter.limit, 0);

    n.waiter.owed_ns = 1;
    wait_for_a_side_that_runs_in_our_sleep(&n);
    assert_int_equal(n.waiter.limit, 1000);
    n.at_look = 900; /* a spin wins */
    atomic_store(&n.published, false);
    assert_status(news_wait(&n, PATIENCE), DX_OK);
    for (int i = 0; i < 3; i++)
        wait_for_a_side_that_runs_in_our_sleep(&n);
    assert_int_equal(n.waiter.limit, 1000);
}

static void the_limit_stays_where_nobody_adapts_it(void **state)
{
    (void)state;
    struct dx_wait wait = spin_of(1000, 0);
    struct news n;
    wait.spin_start = 500;
    wait.spin_inc = 300;
    wait.spin_dec = 300;
    wait.park = DX_PARK_POLL;
    news_init(&n, &wait);
    const uint64_t looks[] = {5, 502};
    for (size_t i = 0; i < 2; i++) {
        n.at_look = looks[i];
        assert_status(news_wait(&n, PATIENCE), DX_OK);
        assert_int_equal(n.waiter.limit, 500);
    }
    dx_waiter_spun(&n.waiter, 1);
    assert_int_equal(n.waiter.limit, 500);
}

static void a_wait_that_ends_in_its_first_looks_moves_limit_and_gauge(void **state)
{
    (void)state;
    struct dx_wait wait = spin_of(1000, 0);
    struct news n;
    wait.spin_start = 500;
    wait.spin_inc = 300;
    wait.adapt = DX_ADAPT_STEP;
    news_init(&n, &wait);
    dx_waiter_spun(&n.waiter, 7);
    assert_int_equal(n.counters.spin, 1);
    assert_int_equal(n.counters.looks, 7);
    assert_int_equal(n.waiter.limit, 800);
    assert_int_equal(n.counters.spin_limit, 800);
}

static void measured_costs_are_positive(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct dx_wait wait = park_only(kinds[k]);
        int64_t park_ns = 0;
        int64_t look_ps = 0;
        wait.poll_ns = 10000;
        assert_status(dx_wait_measure(&wait, &park_ns, &look_ps), DX_OK);
        assert_true(park_ns > 0);
        assert_true(look_ps > 0);
    }
}

static void measuring_is_short_however_long_the_poll_interval_is(void **state)
{
    (void)state;
    struct dx_wait wait = park_only(DX_PARK_POLL);
    int64_t park_ns = 0;
    int64_t look_ps = 0;
    wait.poll_ns = SECOND; /* a hundred of them are what it must not wait for */
    int64_t start = dx_clock_ns();
    int64_t starved = test_starved_ns();
    assert_status(dx_wait_measure(&wait, &park_ns, &look_ps), DX_OK);
    assert_elapsed(start + test_starved_ns() - starved, 0, 50 * SECOND);
}

static void a_strategy_out_of_range_is_not_measured(void **state)
{
    (void)state;
    struct dx_wait wait = park_only(DX_PARK_FUTEX);
    int64_t park_ns = 0;
    int64_t look_ps = 0;
    wait.poll_ns = 0;
    assert_status(dx_wait_measure(&wait, &park_ns, &look_ps), DX_ERR_INVALID);
    assert_detail("poll_ns");
}

static void adapting_to_cost_spins_no_longer_than_a_park_takes(void **state)
{
    (void)state;
    struct dx_wait wait = spin_of(1000, 0);
    struct dx_wait_cost cost = {.look_ps = 20000, .park_ns = 3000}; /* 150 looks */
    struct dx_waiter waiter;
    struct dx_counters counters = {.calls = 0};
    wait.spin_min = 200;
    wait.adapt = DX_ADAPT_COST;
    dx_waiter_init(&waiter, &wait, &cost, &counters);
    assert_in_range(waiter.wait.spin_max, 149, 151);
    assert_int_equal(waiter.wait.spin_min, waiter.wait.spin_max);
    assert_int_equal(waiter.limit, waiter.wait.spin_max);
    assert_int_equal(counters.spin_limit, waiter.limit);
    assert_status(dx_wait_check(&waiter.wait), DX_OK);

    cost.park_ns = 60 * SECOND; /* parking costs more than it may spin */
    dx_waiter_init(&waiter, &wait, &cost, &counters);
    assert_int_equal(waiter.wait.spin_max, 1000);

    cost.park_ns = 3000;
    wait.adapt = DX_ADAPT_STEP;
    dx_waiter_init(&waiter, &wait, &cost, &counters);
    assert_int_equal(waiter.wait.spin_max, 1000);
}

static void a_channel_that_adapts_to_cost_has_measured_it(void **state)
{
    (void)state;
    struct dx_wait wait = spin_of(1000000000, 0);
    struct dx_config config = DX_CONFIG_INIT;
    struct dx_channel *channel = NULL;
    struct dx_caller *caller = NULL;
    wait.adapt = DX_ADAPT_COST;
    config.wait = &wait;
    assert_status(dx_create("memfd:", &config, &channel), DX_OK);
    assert_status(dx_caller_open(channel, 0, &caller), DX_OK);
    /* A park takes microseconds, of which 1e9 looks are many. */
    assert_in_range(caller->waiter.wait.spin_max, 1, 999999999);
    dx_caller_close(caller);
    assert_status(dx_close(channel), DX_OK);
}

/* Yields in a wait of 100 looks, by a process that has so many CPUs. */
static uint64_t yields_with(uint32_t cpus, enum dx_adapt adapt)
{
    struct dx_wait wait = spin_of(1000, 64);
    struct news n;
    wait.adapt = adapt;
    news_init(&n, &wait);
    n.waiter.cpus = cpus;
    n.at_look = 100;
    assert_status(news_wait(&n, PATIENCE), DX_OK);
    return n.counters.yields;
}

static void a_crowd_yields_at_every_look(void **state)
{
    (void)state;
    assert_int_equal(yields_with(1, DX_ADAPT_LOAD), 1); /* alone on it: every 64 looks */
    assert_int_equal(yields_with(0, DX_ADAPT_LOAD), 100);
    assert_int_equal(yields_with(0, DX_ADAPT_COST), 1);
}

static void whole_cpus_of_a_quota_count(void **state)
{
    (void)state;
    assert_int_equal(dx_cpus_of_quota("max 100000\n"), 0);
    assert_int_equal(dx_cpus_of_quota("400000 100000\n"), 4);
    assert_int_equal(dx_cpus_of_quota("150000 100000\n"), 1);
    assert_int_equal(dx_cpus_of_quota("20000 100000\n"), 1);
    assert_int_equal(dx_cpus_of_quota("5 0"), 0);
    assert_int_equal(dx_cpus_of_quota(""), 0);
    assert_in_range(dx_cpus(), 1, sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_rises_when_spinning_paid_and_falls_when_it_did_not),
        cmocka_unit_test(the_limit_rises_after_a_sleep_that_was_shorter_than_a_spin),
        cmocka_unit_test(the_limit_falls_to_zero_when_the_other_side_never_runs_while_we_spin),
        cmocka_unit_test(a_few_short_sleeps_do_not_lower_the_limit),
        cmocka_unit_test(spinning_is_tried_again_after_the_sleep_that_is_owed),
        cmocka_unit_test(the_limit_stays_where_nobody_adapts_it),
        cmocka_unit_test(a_wait_that_ends_in_its_first_looks_moves_limit_and_gauge),
        cmocka_unit_test(measured_costs_are_positive),
        cmocka_unit_test(measuring_is_short_however_long_the_poll_interval_is),
        cmocka_unit_test(a_strategy_out_of_range_is_not_measured),
        cmocka_unit_test(adapting_to_cost_spins_no_longer_than_a_park_takes),
        cmocka_unit_test(a_channel_that_adapts_to_cost_has_measured_it),
        cmocka_unit_test(a_crowd_yields_at_every_look),
        cmocka_unit_test(whole_cpus_of_a_quota_count),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
