/* SPDX-License-Identifier: Apache-2.0 */
/* The brake against storms of doorbells. */
#include "wait_brake.h"

#include "test.h"

static void who_rings_for_news_is_heard_at_once(void **state)
{
    (void)state;
    struct dx_brake brake = DX_BRAKE_INIT;
    for (uint64_t found = 0; found < 10000; found++) {
        assert_int_equal(dx_brake_pause_ns(&brake, found), 0);
        assert_int_equal(dx_brake_pause_ns(&brake, found), 0); /* one that came too late */
    }
}

static void who_only_rings_is_heard_more_and_more_seldom(void **state)
{
    (void)state;
    struct dx_brake brake = DX_BRAKE_INIT;
    for (uint32_t i = 0; i < DX_BRAKE_RINGS_MAX; i++)
        assert_int_equal(dx_brake_pause_ns(&brake, 0), 0);
    int64_t before = 0;
    for (int i = 0; i < 10; i++) {
        int64_t pause = dx_brake_pause_ns(&brake, 0);
        assert_in_range(pause, 100000, 1000000);
        assert_true(pause >= before);
        before = pause;
    }
    assert_int_equal(before, 1000000);
}

static void news_buys_a_few_rings(void **state)
{
    (void)state;
    struct dx_brake brake = {.rings = 0};
    for (uint64_t found = 1; found < 100; found++) {
        for (uint32_t i = 0; i < DX_BRAKE_RINGS_EACH; i++)
            assert_int_equal(dx_brake_pause_ns(&brake, found), 0);
        assert_true(dx_brake_pause_ns(&brake, found) > 0);
    }
    /* And no more than so many at once, also when the count wraps. */
    uint32_t free_rings = 0;
    while (dx_brake_pause_ns(&brake, 5) == 0)
        free_rings++;
    assert_int_equal(free_rings, DX_BRAKE_RINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_rings_for_news_is_heard_at_once),
        cmocka_unit_test(who_only_rings_is_heard_more_and_more_seldom),
        cmocka_unit_test(news_buys_a_few_rings),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
