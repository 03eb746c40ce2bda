/* SPDX-License-Identifier: Apache-2.0 */
/* dx histogram on living regions, and what dx top shows of it. */
#include "top_run.h"

static void usage_is_taught_and_misuse_is_refused(void **state)
{
    (void)state;
    assert_says(run("histogram", "-h", NULL, NULL), "Exit codes");
    assert_says(run("histogram", "-h", NULL, NULL), "Example");
    assert_misused(run("histogram", "-wrong", NULL, NULL), "-wrong");
    assert_misused(run("histogram", NULL, NULL, NULL), "needs a URL");
    assert_misused(run("histogram", "shm:a", "up", NULL), "on, off or read");
    assert_misused(run("histogram", "nonsense", "on", NULL), "nonsense");
    assert_misused(run("histogram", "-every=0", "shm:a", "on"), "-every");
    assert_misused(run("histogram", "-every=4294967296", "shm:a", "on"), "-every");
    assert_misused(run("histogram", "-every=8x", "shm:a", "on"), "-every");
    assert_misused(run("histogram", "-every=8", "shm:a", "off"), "-every");
}

static void without_a_region_it_says_so(void **state)
{
    (void)state;
    assert_refuses(run("histogram", "shm:dx-test-nobody", "on", NULL), "nothing there");
    assert_refuses(run("histogram", "shm:dx-test-nobody", NULL, NULL), "nothing there");
}

static const struct result *read_json(const struct scene *s)
{
    return run("histogram", "-json", s->url, NULL);
}

static void calls_are_measured_from_outside(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    call_well(s);
    assert_says(run("histogram", s->url, NULL, NULL), ": off\n");
    assert_value_of(read_json(s), "host.calls.count", "0");
    assert_says(run("histogram", s->url, "on", NULL), "every call is measured");
    call_well(s);
    assert_says(run("histogram", s->url, "off", NULL), ": off");
    call_well(s);
    const struct result *r = read_json(s);
    assert_int_equal((int)number_of(r, "host.calls.count"), CHILD_BURST);
    /* Just after its caller has the answer. */
    while (number_of(r, "guest.handlers.count") < CHILD_BURST)
        r = read_json(s);
    assert_value_of(r, "guest.calls.count", "0");
    assert_true(number_of(r, "host.calls.p50_ns") > 0);
    assert_true(number_of(r, "host.calls.p99_ns") <= number_of(r, "host.calls.max_ns"));
    r = run("histogram", "-each", s->url, NULL);
    assert_says(r, "host, round trip");
    assert_says(r, "slot 0");
    assert_says(r, "thread 0");
    assert_true(json_is_valid(run("histogram", "-json", "-each", s->url)->out));
    assert_int_equal((int)number_of(look_at(s), "host.calls.count"), CHILD_BURST);
    assert_says(run("top", "-once", s->url, NULL), "round trip p50");
}

static void one_in_so_many_is_measured(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    assert_says(run("histogram", "-every=2", s->url, "on"), "one call in 2");
    assert_says(run("histogram", s->url, "read", NULL), "one call in 2");
    call_well(s);
    assert_int_equal((int)number_of(read_json(s), "host.calls.count"), (CHILD_BURST + 1) / 2);
    assert_says(run("histogram", s->url, "on", NULL), "every call");
    assert_value_of(read_json(s), "host.calls.count", "0"); /* anew */
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF("shm", usage_is_taught_and_misuse_is_refused),
        TRANSPORT_TEST_OF("shm", without_a_region_it_says_so),
        TRANSPORT_TEST(calls_are_measured_from_outside),
        TRANSPORT_TEST(one_in_so_many_is_measured),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
