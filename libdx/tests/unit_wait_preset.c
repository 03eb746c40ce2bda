/* SPDX-License-Identifier: Apache-2.0 */
/* Named strategies, and the check that names what is out of range. */
#include "test.h"

static void every_preset_has_a_name_and_passes_its_own_check(void **state)
{
    (void)state;
    unsigned count = 0;
    bool seen[4] = {false};
    const char *const known[4] = {"latency", "balanced", "throughput", "low-power"};
    for (const char *name; (name = dx_wait_preset_name(count)) != NULL; count++) {
        struct dx_wait wait;
        assert_status(dx_wait_preset(name, &wait), DX_OK);
        assert_status(dx_wait_check(&wait), DX_OK);
        for (int k = 0; k < 4; k++)
            seen[k] = seen[k] || strcmp(name, known[k]) == 0;
    }
    assert_int_equal(count, 4);
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    assert_null(dx_wait_preset_name(count + 1));
    assert_null(dx_wait_preset_name(UINT32_MAX));
}

static void an_unknown_preset_is_named_and_changes_nothing(void **state)
{
    (void)state;
    struct dx_wait wait;
    struct dx_wait before;
    memset(&wait, 0x77, sizeof wait);
    before = wait;
    assert_status(dx_wait_preset("Balanced", &wait), DX_ERR_INVALID);
    assert_detail("\"Balanced\"");
    assert_status(dx_wait_preset("", &wait), DX_ERR_INVALID);
    assert_detail("\"\"");
    assert_status(dx_wait_preset(NULL, &wait), DX_ERR_INVALID);
    assert_detail("(null)");
    assert_memory_equal(&wait, &before, sizeof wait);
}

/* One field with a value just out of its range, and how the detail names it. */
struct wrong {
    const char *name;
    size_t offset;
    size_t bytes;
    int64_t value;
    const char *text;
};

#define U32(field, value, text)                                                                    \
    {                                                                                              \
#field, offsetof(struct dx_wait, field), 4, value, text                                    \
    }
#define I64(field, value, text)                                                                    \
    {                                                                                              \
#field, offsetof(struct dx_wait, field), 8, value, text                                    \
    }

/* Each is tried on this one, which is in order. */
static const struct dx_wait base = {.spin_min = 64,
                                    .spin_max = 4000,
                                    .spin_start = 1000,
                                    .park = DX_PARK_FUTEX,
                                    .park_timeout_ns = 1000000000,
                                    .poll_ns = 50000};

static const struct wrong wrongs[] = {
    U32(spin_max, 1000000001, "1000000001"),
    U32(spin_max, UINT32_MAX, "4294967295"),
    U32(spin_min, 4001, "4001"),
    U32(spin_start, 63, "63"),
    U32(spin_start, 4001, "4001"),
    U32(spin_inc, 1000000001, "1000000001"),
    U32(spin_dec, 1000000001, "1000000001"),
    U32(yield_every, 1000000001, "1000000001"),
    U32(burst, 1000000001, "1000000001"),
    U32(relax, 3, "3"),
    U32(relax, UINT32_MAX, "4294967295"),
    U32(park, 5, "5"),
    U32(adapt, 4, "4"),
    I64(park_timeout_ns, 999, "999"),
    I64(park_timeout_ns, 1000000000001, "1000000000001"),
    I64(park_timeout_ns, -1, "-1"),
    I64(park_timeout_ns, INT64_MIN, "-9223372036854775808"),
    I64(poll_ns, 999, "999"),
    I64(poll_ns, 1000000001, "1000000001"),
    I64(poll_ns, INT64_MIN, "-9223372036854775808"),
    I64(peer_timeout_ns, 299999999, "299999999"),
    I64(peer_timeout_ns, 1000000000001, "1000000000001"),
    I64(peer_timeout_ns, -1, "-1"),
    {"reserved", offsetof(struct dx_wait, reserved), 8, 1, "1"},
    {"reserved", sizeof(struct dx_wait) - 8, 8, -1, "-1"},
};

static void set(struct dx_wait *wait, const struct wrong *w)
{
    uint32_t narrow = (uint32_t)w->value;
    unsigned char *field = (unsigned char *)wait + w->offset;
    if (w->bytes == sizeof narrow)
        memcpy(field, &narrow, sizeof narrow);
    else
        memcpy(field, &w->value, sizeof w->value);
}

static void a_field_out_of_range_is_named_with_its_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct dx_wait wait = base;
        char named[64];
        set(&wait, &wrongs[i]);
        assert_status(dx_wait_check(&wait), DX_ERR_INVALID);
        (void)snprintf(named, sizeof named, "%s is %s", wrongs[i].name, wrongs[i].text);
        assert_detail(named);
    }
}

static void a_channel_refuses_the_same_strategies(void **state)
{
    (void)state;
    struct dx_wait wait;
    struct dx_config config = DX_CONFIG_INIT;
    struct dx_channel *channel = NULL;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    config.wait = &wait;
    wait.park = 5;
    assert_status(dx_create("memfd:", &config, &channel), DX_ERR_INVALID);
    assert_detail("park is 5");
    assert_null(channel);
    assert_status(dx_attach("memfd:0", &wait, 0, &channel), DX_ERR_INVALID);
    assert_detail("park is 5");
    assert_null(channel);
}

static void limits_are_within_range(void **state)
{
    (void)state;
    struct dx_wait wait = {.park_timeout_ns = 1000, .poll_ns = 1000};
    assert_status(dx_wait_check(&wait), DX_OK); /* sleep only, and nothing else */
    wait = (struct dx_wait){.spin_min = 1000000000,
                            .spin_max = 1000000000,
                            .spin_start = 1000000000,
                            .spin_inc = 1000000000,
                            .spin_dec = 1000000000,
                            .yield_every = 1000000000,
                            .burst = 1000000000,
                            .relax = DX_RELAX_PAUSE,
                            .park = DX_PARK_POLL,
                            .adapt = DX_ADAPT_COST,
                            .park_timeout_ns = 1000000000000,
                            .poll_ns = 1000000000};
    assert_status(dx_wait_check(&wait), DX_OK);
}

static void every_status_has_a_sentence(void **state)
{
    (void)state;
    const char *unknown = dx_status_string((dx_status)1);
    for (int status = DX_ERR_NAME_REMOVED; status <= DX_OK; status++) {
        assert_non_null(dx_status_string((dx_status)status));
        assert_string_not_equal(dx_status_string((dx_status)status), unknown);
        for (int other = DX_ERR_NAME_REMOVED; other < status; other++)
            assert_string_not_equal(dx_status_string((dx_status)status),
                                    dx_status_string((dx_status)other));
    }
    assert_string_equal(dx_status_string((dx_status)(DX_ERR_NAME_REMOVED - 1)), unknown);
    assert_string_equal(dx_status_string((dx_status)INT32_MIN), unknown);
    assert_string_equal(dx_status_string((dx_status)INT32_MAX), unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_has_a_name_and_passes_its_own_check),
        cmocka_unit_test(an_unknown_preset_is_named_and_changes_nothing),
        cmocka_unit_test(a_field_out_of_range_is_named_with_its_value),
        cmocka_unit_test(a_channel_refuses_the_same_strategies),
        cmocka_unit_test(limits_are_within_range),
        cmocka_unit_test(every_status_has_a_sentence),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
