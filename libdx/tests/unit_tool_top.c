/* SPDX-License-Identifier: Apache-2.0 */
/* What dx top makes of two looks at made-up regions: rates, shares, order, lines. */
#include "../tools/top.h"
#include "test.h"

/* Two looks, two seconds apart. */
static struct top_region *some_region(const char *url)
{
    struct top_region *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->url = (char *)url;
    r->open = true;
    r->looks = 2;
    r->seconds = 2;
    r->look.places = 1;
    r->now[0].geometry = (struct dx_geometry){.places = 1, .host_slots = 8, .region_bytes = 65536};
    for (size_t side = 0; side < REPORT_SIDES; side++)
        r->now[0].peers[side] = (struct peer_report){.state = "open", .pid = 4194304, .beats = 8};
    return r;
}

static void rates_are_of_the_time_between_two_looks(void **state)
{
    (void)state;
    struct top_region *r = some_region("shm:a");
    struct top_place p;
    r->before[0].stats[DX_STATS_HOST_CALLERS] = (struct dx_stats){.calls = 100, .park_ns = 5};
    r->now[0].stats[DX_STATS_HOST_CALLERS] =
        (struct dx_stats){.calls = 300, .errors = 2, .park_ns = 1000000005};
    r->now[0].stats[DX_STATS_GUEST_SERVERS] = (struct dx_stats){.calls = 50, .rings = 10};
    top_place(r, 0, &p);
    assert_true(p.sides[DX_HOST].rates.calls == 100);
    assert_true(p.sides[DX_HOST].rates.errors == 1);
    assert_true(p.sides[DX_HOST].rates.asleep == 0.5);
    assert_true(p.sides[DX_HOST].beats == 4);
    assert_true(p.sides[DX_HOST].rates.serves == 0);
    assert_true(p.sides[DX_GUEST].rates.serves == 25);
    assert_true(p.sides[DX_GUEST].rates.rings == 5);
    free(r);
}

static void the_first_look_and_a_host_that_begins_anew_have_no_rates(void **state)
{
    (void)state;
    struct top_region *r = some_region("shm:a");
    struct top_place p;
    r->now[0].stats[DX_STATS_HOST_CALLERS].calls = 300;
    r->looks = 1;
    top_place(r, 0, &p);
    assert_true(p.sides[DX_HOST].rates.calls == 0);
    r->looks = 2;
    r->before[0].stats[DX_STATS_HOST_CALLERS].calls = 100000;
    top_place(r, 0, &p);
    assert_true(p.sides[DX_HOST].rates.calls == 0);
    free(r);
}

static void regions_are_sorted(void **state)
{
    (void)state;
    struct top_region *all[] = {some_region("shm:a"), some_region("shm:b"), some_region("shm:c")};
    struct top_region *shown[] = {all[0], all[1], all[2]};
    struct top t = {.regions = shown, .count = 3};
    all[1]->now[0].stats[DX_STATS_HOST_CALLERS].calls = 7;
    all[2]->now[0].stats[DX_STATS_GUEST_CALLERS].errors = 7;
    top_sort(&t);
    assert_string_equal(shown[0]->url, "shm:b");
    assert_string_equal(shown[1]->url, "shm:a");
    t.order = TOP_BY_ERRORS;
    top_sort(&t);
    assert_string_equal(shown[0]->url, "shm:c");
    t.order = TOP_BY_URL;
    top_sort(&t);
    assert_string_equal(shown[0]->url, "shm:a");
    assert_string_equal(shown[2]->url, "shm:c");
    for (size_t i = 0; i < 3; i++)
        free(all[i]);
}

/* Whatever the numbers, a line has 80 columns, under the head's words. */
static void lines_fit_80_columns(void **state)
{
    (void)state;
    struct top_region *r = some_region("shm:a");
    struct top_region *shown[] = {r};
    const struct top t = {.regions = shown, .count = 1};
    struct top_lines lines;
    uint64_t counts[] = {0, 3, 123456789012345u};
    for (size_t i = 0; i < 3; i++) {
        for (size_t kind = 0; kind < REPORT_STATS; kind++)
            r->now[0].stats[kind] = (struct dx_stats){.calls = counts[i],
                                                      .errors = counts[i],
                                                      .spin = counts[i],
                                                      .yield = counts[i],
                                                      .park = counts[i],
                                                      .parks = counts[i],
                                                      .park_ns = counts[i],
                                                      .rings = counts[i]};
        assert_true(top_lines_make(&t, TOP_NO_SLOTS, &lines));
        assert_int_equal(lines.count, 3);
        assert_string_equal(lines.items[0].text, "shm:a  64 KiB, slots 8+0");
        assert_int_equal(strlen(lines.items[1].text), TOP_COLUMNS);
        assert_int_equal(strlen(lines.items[2].text), strlen(top_head));
        assert_int_equal(strncmp(lines.items[1].text, " host  open   4194304 4.00 ", 27), 0);
        top_lines_free(&lines);
    }
    free(r);
}

static void what_cannot_be_read_has_a_line(void **state)
{
    (void)state;
    struct top_region *r = some_region("file:/a\nb");
    struct top_region *shown[] = {r};
    const struct top t = {.regions = shown, .count = 1};
    struct top_lines lines;
    r->open = false;
    (void)snprintf(r->problem, sizeof r->problem, "nothing there");
    assert_true(top_lines_make(&t, TOP_NO_SLOTS, &lines));
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.items[0].text, "file:/a?b  (nothing there)");
    assert_int_equal(lines.items[0].style, TOP_DEAD);
    top_lines_free(&lines);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_of_the_time_between_two_looks),
        cmocka_unit_test(the_first_look_and_a_host_that_begins_anew_have_no_rates),
        cmocka_unit_test(regions_are_sorted),
        cmocka_unit_test(lines_fit_80_columns),
        cmocka_unit_test(what_cannot_be_read_has_a_line),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
