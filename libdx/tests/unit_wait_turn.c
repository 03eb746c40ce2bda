/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that call in a crowd have turns. */
#include <pthread.h>

#include "child.h"
#include "wait_turn.h"

#define THREADS 4
#define TURNS 100u
#define BURST 1u
#define CALLS (BURST * DX_CALLS_PER_BURST)

struct busy {
    pthread_t thread;
    struct dx_turn turn;
    _Atomic uint32_t lined_up; /* turns that it waited for */
    _Atomic bool blocks;
    _Atomic bool ends;
    sem_t blocked; /* posted when it blocks, as asked */
    sem_t go_on;
};

struct scene {
    struct busy busy[THREADS];
};

static void *be_busy(void *user)
{
    struct busy *b = user;
    while (!atomic_load(&b->ends)) {
        dx_turn_end(&b->turn);
        if (b->turn.began_ns != 0)
            (void)atomic_fetch_add(&b->lined_up, 1);
        if (atomic_exchange(&b->blocks, false)) {
            (void)sem_post(&b->blocked);
            while (sem_wait(&b->go_on) != 0)
                ;
        }
    }
    dx_turn_leave(&b->turn);
    return NULL;
}

/* All share a CPU. */
static int set_up(void **state)
{
    cpu_set_t ours, one;
    int cpu = 0;
    assert_int_equal(sched_getaffinity(0, sizeof ours, &ours), 0);
    while (!CPU_ISSET(cpu, &ours))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (int i = 0; i < THREADS; i++) {
        struct busy *b = &s->busy[i];
        dx_turn_init(&b->turn, BURST);
        assert_int_equal(sem_init(&b->blocked, 0, 0), 0);
        assert_int_equal(sem_init(&b->go_on, 0, 0), 0);
        assert_int_equal(pthread_create(&b->thread, NULL, be_busy, b), 0);
    }
    *state = s;
    return 0;
}

static void end(struct busy *b)
{
    if (atomic_exchange(&b->ends, true))
        return;
    (void)sem_post(&b->go_on);
    assert_int_equal(pthread_join(b->thread, NULL), 0);
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < THREADS; i++)
        end(&s->busy[i]);
    free(s);
    return 0;
}

static void await_turns(const struct scene *s, int first)
{
    for (int i = first; i < THREADS; i++) {
        uint32_t before = atomic_load(&s->busy[i].lined_up);
        while (atomic_load(&s->busy[i].lined_up) - before < TURNS)
            (void)sched_yield();
    }
}

static void threads_that_share_a_cpu_line_up(void **state)
{
    await_turns(*state, 0);
}

static void one_that_stops_calling_holds_nobody_up(void **state)
{
    struct scene *s = *state;
    await_turns(s, 0);
    atomic_store(&s->busy[0].blocks, true);
    while (sem_wait(&s->busy[0].blocked) != 0)
        ;
    await_turns(s, 1);
}

static void one_that_leaves_holds_nobody_up(void **state)
{
    struct scene *s = *state;
    await_turns(s, 0);
    end(&s->busy[0]);
    await_turns(s, 1);
}

/* How many of many turns were waited for, where nobody else has any. */
static int turns_alone(void *user)
{
    (void)user;
    struct dx_turn turn;
    int lined_up = 0;
    dx_turn_init(&turn, BURST);
    for (uint32_t i = 0; i < TURNS; i++) {
        dx_turn_end(&turn);
        lined_up += turn.began_ns != 0;
    }
    dx_turn_leave(&turn);
    return lined_up;
}

static void a_child_waits_for_none_of_its_parent_s_threads(void **state)
{
    await_turns(*state, 0);
    assert_exited(test_in_child(turns_alone, NULL));
}

static void who_is_alone_never_waits(void **state)
{
    (void)state;
    assert_int_equal(turns_alone(NULL), 0);
}

static void long_turns_get_fewer_calls_and_short_ones_more(void **state)
{
    (void)state;
    struct dx_turn turn;
    dx_turn_init(&turn, BURST);
    assert_int_equal(turn.mask, CALLS - 1);
    /* A turn in which the kernel took the CPU tells nothing. */
    while (turn.mask != DX_TURN_CALLS_MIN - 1) {
        uint32_t before = turn.mask;
        turn.began_ns = dx_clock_ns() - 2 * DX_TURN_NS;
        dx_turn_end(&turn);
        assert_true(turn.mask == before || turn.mask == before / 2);
    }
    turn.began_ns = dx_clock_ns() - 2 * DX_TURN_NS;
    dx_turn_end(&turn);
    assert_int_equal(turn.mask, DX_TURN_CALLS_MIN - 1);
    while (turn.mask != CALLS - 1) {
        turn.began_ns = dx_clock_ns();
        dx_turn_end(&turn);
        assert_in_range(turn.mask, DX_TURN_CALLS_MIN - 1, CALLS - 1);
    }
    dx_turn_leave(&turn);
}

static void the_calls_of_a_turn_are_a_power_of_two(void **state)
{
    (void)state;
    static const struct {
        uint32_t burst, mask;
    } of[] = {{0, UINT32_MAX}, {1, 63}, {3, 255}, {16, 1023}, {UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct dx_turn turn;
        dx_turn_init(&turn, of[i].burst);
        assert_int_equal(turn.mask, of[i].mask);
    }
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_that_share_a_cpu_line_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_stops_calling_holds_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_leaves_holds_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_waits_for_none_of_its_parent_s_threads, set_up,
                                        tear_down),
        cmocka_unit_test(who_is_alone_never_waits),
        cmocka_unit_test(long_turns_get_fewer_calls_and_short_ones_more),
        cmocka_unit_test(the_calls_of_a_turn_are_a_power_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
