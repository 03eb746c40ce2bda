/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms: their buckets, what is measured, and who switches them on and off. */
#include "histogram.h"
#include "queued.h"

static const struct dx_config config = {
    .slots = 3, .guest_slots = 1, .request_capacity = 64, .response_capacity = 64};

/* Every wait sleeps. */
static const struct dx_wait asleep = {.relax = DX_RELAX_PAUSE,
                                      .park = DX_PARK_FUTEX,
                                      .adapt = DX_ADAPT_STEP,
                                      .park_timeout_ns = SECOND,
                                      .poll_ns = MS};

#define UP_TO (1ull << 40)

static void a_bucket_is_as_narrow_as_it_says(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) {
        uint64_t from = dx_histogram_from(i);
        uint64_t next = dx_histogram_from(i + 1);
        assert_true(from < next);
        assert_true(i < 64 ? next == from + 1 : (next - from) * 32 <= from);
        assert_int_equal(dx_histogram_bucket(from), i);
        assert_int_equal(dx_histogram_bucket(next - 1), i);
    }
    assert_int_equal(dx_histogram_from(DX_HISTOGRAM_BUCKETS), UP_TO);
    assert_int_equal(dx_histogram_from(UINT32_MAX), UP_TO);
    assert_int_equal(dx_histogram_bucket(UINT64_MAX), DX_HISTOGRAM_BUCKETS - 1);
}

static void add(struct dx_histogram *h, uint64_t ns)
{
    h->counts[dx_histogram_bucket(ns)]++;
    h->count++;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

static void assert_near(uint64_t value, double expected)
{
    double error = ((double)value - expected) / expected;
    if (error < -0.017 || error > 0.017)
        fail_msg("%llu ns, expected %g ns", (unsigned long long)value, expected);
}

static void a_percentile_is_near_the_true_one(void **state)
{
    (void)state;
    static struct dx_histogram h;
    assert_int_equal(dx_histogram_value(&h, 50), 0);
    for (uint64_t ns = 1; ns <= 100000; ns++)
        add(&h, ns);
    assert_near(dx_histogram_value(&h, 50), 50000);
    assert_near(dx_histogram_value(&h, 99), 99000);
    assert_near(dx_histogram_value(&h, 99.9), 99900);
    assert_int_equal(dx_histogram_value(&h, 100), 100000);
    assert_int_equal(dx_histogram_value(&h, 1000), 100000);
    assert_int_equal(dx_histogram_value(&h, 0), 1);
    assert_int_equal(dx_histogram_value(&h, -1), 1);
    memset(&h, 0, sizeof h);
    add(&h, 70);
    add(&h, 3 * UP_TO); /* too long for any bucket but the last */
    assert_int_equal(dx_histogram_value(&h, 50), 70);
    assert_int_equal(dx_histogram_value(&h, 99), 3 * UP_TO);
}

static void turn(const struct pair *p, uint32_t every)
{
    char url[32];
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(p->host));
    assert_status(dx_histogram_switch(url, 0, every), DX_OK);
    assert_int_equal(dx_histogram_every(p->host), every);
    assert_int_equal(dx_histogram_every(p->guest), every);
}

static uint64_t count_of(struct dx_channel *c, enum dx_histogram_of of)
{
    static struct dx_histogram h;
    assert_status(dx_histogram_read(c, of, &h), DX_OK);
    assert_true(h.count == 0 ? h.max_ns == 0 : h.sum_ns >= h.max_ns);
    return h.count;
}

/* A handler is counted just after its caller has the answer. */
static void await_count(struct dx_channel *c, enum dx_histogram_of of, uint64_t expected)
{
    while (count_of(c, of) < expected)
        (void)sched_yield();
    assert_int_equal(count_of(c, of), expected);
}

static void call(struct dx_caller *caller, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++)
        assert_status(pair_echo(caller, i, PATIENCE), DX_OK);
}

static void calls_and_handlers_are_measured_while_it_is_on(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_caller *second = pair_caller(p);
    static struct dx_histogram h;
    pair_serve_one(p);
    call(caller, 10);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 0);
    turn(p, 1);
    call(caller, 20);
    call(second, 5);
    turn(p, 0);
    call(caller, 10);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 25);
    assert_int_equal(count_of(p->guest, DX_HISTOGRAM_HOST_CALLS), 25);
    await_count(p->guest, DX_HISTOGRAM_GUEST_HANDLERS, 25);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_GUEST_CALLS), 0);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_HANDLERS), 0);
    assert_status(dx_histogram_read_one(p->host, DX_HISTOGRAM_HOST_CALLS, 1, &h), DX_OK);
    assert_int_equal(h.count, 5);
    assert_status(dx_histogram_read_one(p->host, DX_HISTOGRAM_GUEST_HANDLERS, 0, &h), DX_OK);
    assert_int_equal(h.count, 25);
    assert_status(dx_histogram_read_one(p->host, DX_HISTOGRAM_HOST_CALLS, 3, &h), DX_ERR_INVALID);
    assert_detail("there are 3");
    assert_status(dx_histogram_read(p->host, (enum dx_histogram_of)6, &h), DX_ERR_INVALID);
}

static void it_begins_anew_when_it_is_switched_on(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    pair_serve_one(p);
    turn(p, 1);
    call(caller, 20);
    turn(p, 1);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 0);
    call(caller, 3);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 3);
    await_count(p->host, DX_HISTOGRAM_GUEST_HANDLERS, 3);
}

static void one_in_so_many_is_measured(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    pair_serve_one(p);
    turn(p, 8);
    call(caller, 81); /* the first, and then each eighth */
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 11);
    await_count(p->host, DX_HISTOGRAM_GUEST_HANDLERS, 11);
}

static void a_handler_takes_no_longer_than_its_call(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    static struct dx_histogram handlers;
    static struct dx_histogram calls;
    pair_serve_one(p);
    call(caller, 1);
    turn(p, 1);
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, PATIENCE);
    test_wait(&p->desk.entered);
    int64_t begun = dx_clock_ns();
    while (dx_clock_ns() - begun < 20 * MS)
        (void)sched_yield();
    (void)sem_post(&p->desk.release);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    await_count(p->host, DX_HISTOGRAM_GUEST_HANDLERS, 1);
    assert_status(dx_histogram_read(p->host, DX_HISTOGRAM_GUEST_HANDLERS, &handlers), DX_OK);
    assert_status(dx_histogram_read(p->host, DX_HISTOGRAM_HOST_CALLS, &calls), DX_OK);
    assert_true(handlers.max_ns >= 20 * MS - 20 * MS / 100);
    assert_true(calls.max_ns >= handlers.max_ns - handlers.max_ns / 100);
    assert_int_equal(calls.sum_ns, calls.max_ns);
}

static void calls_of_a_queue_are_measured(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 2);
    turn(p, 1);
    for (uint64_t tag = 1; tag <= 20; tag += 2) {
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
        assert_status(queued_submit(p, tag + 1, TYPE_ECHO, PATIENCE), DX_OK);
        queued_await(p, &q, 2);
        queued_seen(p, &q);
    }
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 20);
}

static void failed_calls_are_not_measured(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *caller = pair_caller(p);
    pair_serve_one(p);
    call(caller, 1);
    turn(p, 1);
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, MS);
    assert_status(calling_join(&p->calls[0]), DX_ERR_TIMEOUT);
    assert_int_equal(count_of(p->host, DX_HISTOGRAM_HOST_CALLS), 0);
}

static void wakes_of_both_sides_are_measured(void **state)
{
    struct dx_config sleeping = config;
    static struct dx_histogram h;
    sleeping.wait = &asleep;
    struct pair *p = pair_new(state, &sleeping);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stats stats;
    pair_serve_one(p);
    turn(p, 1000); /* every one of them, all the same */
    /* Now and then the answer comes before the sleep. */
    for (int i = 0; i < 10000 && (count_of(p->host, DX_HISTOGRAM_HOST_WAKES) == 0 ||
                                  count_of(p->host, DX_HISTOGRAM_GUEST_WAKES) == 0);
         i++)
        call(caller, 10);
    assert_true(count_of(p->host, DX_HISTOGRAM_HOST_WAKES) > 0);
    assert_true(count_of(p->host, DX_HISTOGRAM_GUEST_WAKES) > 0);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_in_range(count_of(p->host, DX_HISTOGRAM_HOST_WAKES), 1, stats.parks);
    assert_status(dx_histogram_read_one(p->host, DX_HISTOGRAM_HOST_WAKES, 0, &h), DX_OK);
    assert_int_equal(h.count, count_of(p->host, DX_HISTOGRAM_HOST_WAKES));
    assert_true(h.sum_ns <= stats.park_ns);
    assert_status(dx_histogram_read_one(p->host, DX_HISTOGRAM_GUEST_WAKES, 1, &h), DX_OK);
    assert_int_equal(h.count, count_of(p->host, DX_HISTOGRAM_GUEST_WAKES));
}

/* A library that knows nothing of histograms made it, or its memory ends before them. */
static void without_room_calls_go_on_and_the_switch_says_so(void **state)
{
    struct pair *p = pair_host(state, &config);
    char url[32];
    static struct dx_histogram h;
    p->host->header->histograms = 0;
    p->host->geometry.histograms = 0;
    pair_attach(p, NULL);
    struct dx_caller *caller = pair_caller(p);
    pair_serve_one(p);
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(p->host));
    assert_status(dx_histogram_switch(url, 0, 1), DX_ERR_SHORT);
    assert_detail("no room for histograms");
    assert_int_equal(dx_histogram_every(p->host), 0);
    /* Somebody switches them on all the same. */
    atomic_store(&p->host->switches->histograms, 1ull << 32 | 1);
    call(caller, 3);
    assert_string_equal(dx_last_error(), "");
    assert_status(dx_histogram_read(p->host, DX_HISTOGRAM_HOST_CALLS, &h), DX_ERR_SHORT);
}

/* What the header says of them is input. */
static void histograms_that_lie_in_the_region_are_refused(void **state)
{
    static const uint32_t lies[] = {1, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct dx_config large = config;
        large.request_capacity = 1 << 20;
        struct pair *p = pair_host(state, &large);
        p->host->header->histograms = lies[i];
        p->host->geometry.histograms = lies[i];
        pair_attach(p, NULL);
        atomic_store(&p->host->switches->histograms, 1ull << 32 | 1);
        pair_serve_one(p);
        call(pair_caller(p), 3);
        static struct dx_histogram h;
        assert_status(dx_histogram_read(p->guest, DX_HISTOGRAM_HOST_CALLS, &h), DX_ERR_SHORT);
        assert_int_equal(pair_free(state), 0);
    }
}

static void an_observer_reads_them(void **state)
{
    const char *path = test_path("observed");
    char url[TEST_URL_BYTES];
    struct dx_channel *observer;
    struct pair *p = calloc(1, sizeof *p);
    *state = p;
    assert_status(dx_create(test_shm_url(path, url), &config, &p->host), DX_OK);
    assert_status(dx_attach(url, NULL, PATIENCE, &p->guest), DX_OK);
    assert_status(dx_observe(url, &observer), DX_OK);
    pair_serve_one(p);
    assert_int_equal(count_of(observer, DX_HISTOGRAM_HOST_CALLS), 0);
    assert_status(dx_histogram_switch(url, 1, 1), DX_ERR_NO_SLOT);
    assert_status(dx_histogram_switch(url, 0, 1), DX_OK);
    call(pair_caller(p), 7);
    assert_int_equal(count_of(observer, DX_HISTOGRAM_HOST_CALLS), 7);
    await_count(observer, DX_HISTOGRAM_GUEST_HANDLERS, 7);
    assert_int_equal(dx_histogram_every(observer), 1);
    assert_status(dx_close(observer), DX_OK);
    assert_status(dx_histogram_switch("shm:dx-test-nobody", 0, 1), DX_ERR_NO_PEER);
    assert_status(dx_histogram_switch("nonsense", 0, 1), DX_ERR_URL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_is_as_narrow_as_it_says),
        cmocka_unit_test(a_percentile_is_near_the_true_one),
        PAIR_TEST(calls_and_handlers_are_measured_while_it_is_on),
        PAIR_TEST(it_begins_anew_when_it_is_switched_on),
        PAIR_TEST(one_in_so_many_is_measured),
        PAIR_TEST(a_handler_takes_no_longer_than_its_call),
        PAIR_TEST(calls_of_a_queue_are_measured),
        PAIR_TEST(failed_calls_are_not_measured),
        PAIR_TEST(wakes_of_both_sides_are_measured),
        PAIR_TEST(without_room_calls_go_on_and_the_switch_says_so),
        PAIR_TEST(histograms_that_lie_in_the_region_are_refused),
        PAIR_TEST(an_observer_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
