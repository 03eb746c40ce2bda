/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting in hardware: which instructions are chosen, on what a rest waits, and what happens on a
 * CPU that has none. Few machines have the instructions, so that most tests say what the CPU has.
 */
#include "pair.h"

static _Atomic uint64_t rests;
static _Atomic uint64_t misled;
static struct pair *watched; /* whose words are to be watched */

static void fake_rest(const _Atomic uint64_t *word, uint64_t value, bool until_equal)
{
    if (watched == NULL)
        return; /* a look is being measured */
    (void)atomic_fetch_add(&rests, 1u);
    bool callers = word == &watched->host->server_lines[0].word && until_equal;
    bool servers = watched->host->geometry.slots == 1 &&
                   word == &watched->guest->caller_lines[0].word && !until_equal;
    if (!callers && !servers)
        (void)atomic_fetch_add(&misled, 1u);
    (void)value;
    (void)sched_yield();
}

static struct dx_hardware has_fake(void)
{
    return (struct dx_hardware){"fake", fake_rest};
}

static struct dx_hardware has_none(void)
{
    return dx_hardware_of(0, 0);
}

static struct dx_hardware (*really)(void);

static int begin(void **state)
{
    *state = NULL;
    watched = NULL;
    really = dx_hardware_find;
    atomic_store(&rests, 0u);
    atomic_store(&misled, 0u);
    return 0;
}

static int end(void **state)
{
    int code = pair_free(state);
    dx_hardware_find = really;
    return code;
}

static void the_bits_of_cpuid_decide(void **state)
{
    (void)state;
    const uint32_t waitpkg = 1u << 5;
    const uint32_t monitorx = 1u << 29;
    assert_string_equal(dx_hardware_of(0, 0).name, "pause");
    assert_null(dx_hardware_of(~waitpkg, ~monitorx).wait);
#ifdef __x86_64__
    assert_string_equal(dx_hardware_of(waitpkg, 0).name, "umwait");
    assert_string_equal(dx_hardware_of(0, monitorx).name, "mwaitx");
    assert_string_equal(dx_hardware_of(waitpkg, monitorx).name, "umwait");
    assert_true(dx_hardware_of(waitpkg, 0).wait != dx_hardware_of(0, monitorx).wait);
#endif
}

/* Some calls by hardware, over so many slots; both sides spin for ever. */
static void call_by_hardware(void **state, uint32_t slots)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("latency", &wait), DX_OK);
    wait.relax = DX_RELAX_HARDWARE;
    wait.yield_every = 8;
    const struct dx_config config = {
        .slots = slots, .request_capacity = 64, .response_capacity = 64, .wait = &wait};
    struct pair *p = pair_new(state, &config);
    watched = p;
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    for (uint64_t n = 1; n <= 200; n++)
        assert_status(pair_echo(caller, n, PATIENCE), DX_OK);
}

static void a_wait_rests_on_the_awaited_word(void **state)
{
    dx_hardware_find = has_fake;
    call_by_hardware(state, 1);
    assert_string_equal(dx_wait_hardware(), "fake");
    assert_int_not_equal(atomic_load(&rests), 0);
    assert_int_equal(atomic_load(&misled), 0);
}

static void a_server_of_several_slots_does_not_rest(void **state)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("latency", &wait), DX_OK);
    wait.relax = DX_RELAX_HARDWARE;
    dx_hardware_find = has_fake;
    const struct dx_wait_cost cost = {.look_ps = 1000};
    struct dx_counters counters = {.calls = 0};
    struct dx_waiter waiter;
    dx_waiter_init(&waiter, &wait, &cost, &counters);
    dx_waiter_relax(&waiter); /* nothing to watch: PAUSE */
    assert_int_equal(atomic_load(&rests), 0);
    call_by_hardware(state, 2);
    assert_int_equal(atomic_load(&misled), 0); /* but callers do, on their own word */
}

static void without_hardware_it_is_a_pause(void **state)
{
    dx_hardware_find = has_none;
    assert_string_equal(dx_wait_hardware(), "pause");
    call_by_hardware(state, 1);
    assert_int_equal(atomic_load(&rests), 0);
}

/* Where the CPU has the instructions this is what runs them. */
static void whatever_this_cpu_has_calls_are_answered(void **state)
{
    printf("this CPU waits by %s\n", dx_wait_hardware());
    call_by_hardware(state, 1);
    dx_hardware_wait *rest = dx_hardware_find().wait;
    if (rest == NULL)
        return;
    /* News that nobody will write: a rest ends by itself. */
    static _Atomic uint64_t word;
    int64_t start = dx_clock_ns();
    for (int i = 0; i < 100; i++)
        rest(&word, 1, true);
    assert_elapsed(start, 0, SLACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_of_cpuid_decide),
        cmocka_unit_test_setup_teardown(a_wait_rests_on_the_awaited_word, begin, end),
        cmocka_unit_test_setup_teardown(a_server_of_several_slots_does_not_rest, begin, end),
        cmocka_unit_test_setup_teardown(without_hardware_it_is_a_pause, begin, end),
        cmocka_unit_test_setup_teardown(whatever_this_cpu_has_calls_are_answered, begin, end),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
