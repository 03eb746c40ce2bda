/* SPDX-License-Identifier: Apache-2.0 */
/* What dx metrics prints of made-up reports, and how numbers are shown to people. */
#include "../tools/metrics.h"
#include "../tools/units.h"
#include "layout.h"
#include "test.h"

static char text[65536];

static void print(const struct metrics_region *regions, size_t count)
{
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    metrics_print(regions, count, out);
    assert_int_equal(fclose(out), 0);
}

static void check_printed(const char *line, const char *file, int at)
{
    const char *found = strstr(text, line);
    if (found != NULL && (found == text || found[-1] == '\n'))
        return;
    print_error("no line begins with \"%s\" in:\n%s\n", line, text);
    _fail(file, at);
}

#define assert_printed(line) check_printed((line), __FILE__, __LINE__)

static struct report some_report(const char *url)
{
    struct report r = {.url = url, .geometry = {.region_bytes = 65536, .places = 1}};
    r.geometry.host_slots = 3;
    for (size_t i = 0; i < REPORT_SIDES; i++)
        r.peers[i].state = i == 0 ? "open" : "dead";
    r.peers[0].beats = 7;
    r.stats[DX_STATS_HOST_CALLERS] =
        (struct dx_stats){.calls = 5, .spin = 1, .yield = 2, .park = 3};
    r.stats[DX_STATS_GUEST_SERVERS] = (struct dx_stats){.park_ns = 1500000001};
    return r;
}

static void counters_are_printed_in_base_units(void **state)
{
    (void)state;
    struct report r = some_report("shm:a");
    const struct metrics_region region = {"shm:a", 1, &r};
    print(&region, 1);
    assert_printed("dx_up{url=\"shm:a\"} 1\n");
    assert_printed("dx_region_bytes{url=\"shm:a\",place=\"0\"} 65536\n");
    assert_printed("dx_peer_open{url=\"shm:a\",place=\"0\",side=\"host\"} 1\n");
    assert_printed("dx_peer_open{url=\"shm:a\",place=\"0\",side=\"guest\"} 0\n");
    assert_printed("dx_peer_heartbeats_total{url=\"shm:a\",place=\"0\",side=\"host\"} 7\n");
    assert_printed("dx_region_slots{url=\"shm:a\",place=\"0\",side=\"host\"} 3\n");
    assert_printed("dx_calls_total{url=\"shm:a\",place=\"0\",side=\"host\",role=\"caller\"} 5\n");
    assert_printed("dx_waits_total{url=\"shm:a\",place=\"0\",side=\"host\",role=\"caller\","
                   "phase=\"yield\"} 2\n");
    assert_printed(
        "dx_park_seconds_total{url=\"shm:a\",place=\"0\",side=\"guest\",role=\"server\"} "
        "1.500000001\n");
}

static void what_cannot_be_read_is_down(void **state)
{
    (void)state;
    const struct metrics_region region = {"shm:b", 0, NULL};
    print(&region, 1);
    assert_printed("dx_up{url=\"shm:b\"} 0\n");
    assert_null(strstr(text, "dx_region_bytes{"));
}

static void any_url_makes_a_valid_label(void **state)
{
    (void)state;
    static const char url[] = "file:/a\"b\\c\nd\xff\xc3\xa4";
    struct report r = some_report(url);
    const struct metrics_region region = {url, 1, &r};
    print(&region, 1);
    assert_printed("dx_up{url=\"file:/a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa4\"} 1\n");
}

/* Each family once: its help, its type, and then all of its samples. */
static void families_are_whole(void **state)
{
    (void)state;
    struct report r[2] = {some_report("shm:a"), some_report("shm:b")};
    const struct metrics_region regions[] = {{"shm:a", 1, &r[0]}, {"shm:b", 1, &r[1]}};
    char name[64] = "";
    char *rest = NULL;
    print(regions, 2);
    static char copy[sizeof text];
    memcpy(copy, text, sizeof copy);
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            char head[96];
            (void)snprintf(head, sizeof head, "# HELP %s ", name);
            const char *first = strstr(text, head);
            assert_non_null(first);
            assert_null(strstr(first + 1, head));
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            bool counts = strcmp(line + strlen(line) - 7, "counter") == 0;
            assert_int_equal(strncmp(line + 7, name, strlen(name)), 0);
            size_t length = strlen(name);
            assert_int_equal(counts, length > 6 && strcmp(name + length - 6, "_total") == 0);
        } else {
            assert_int_equal(strncmp(line, name, strlen(name)), 0);
            assert_int_equal(line[strlen(name)], '{');
        }
    }
}

static void numbers_are_short(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *shown;
    } rates[] = {{0, "0"},         {0.004, "0"},    {0.25, "0.25"},    {9.99, "9.99"},
                 {9.996, "10"},    {734.4, "734"},  {999.4, "999"},    {999.6, "1.00k"},
                 {12345, "12.3k"}, {99960, "100k"}, {999600, "1.00M"}, {1234567, "1.23M"},
                 {1e9, "1.00G"},   {123e12, "123T"}};
    static const struct {
        uint64_t value;
        const char *shown;
    } sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {65536, "64 KiB"}, {1572864, "1.5 MiB"}};
    static const struct {
        int64_t value;
        const char *shown;
    } ages[] = {{-5, "0 s"}, {119, "119 s"}, {120, "2 min"}, {7200, "2 h"}, {172800, "2 d"}};
    char shown[UNITS_BYTES];
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        assert_string_equal(units_rate(shown, rates[i].value), rates[i].shown);
        assert_in_range(strlen(shown), 1, 5);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_string_equal(units_bytes(shown, sizes[i].value), sizes[i].shown);
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        assert_string_equal(units_age(shown, ages[i].value), ages[i].shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_printed_in_base_units),
        cmocka_unit_test(what_cannot_be_read_is_down),
        cmocka_unit_test(any_url_makes_a_valid_label),
        cmocka_unit_test(families_are_whole),
        cmocka_unit_test(numbers_are_short),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
