/* SPDX-License-Identifier: Apache-2.0 */
/* Cells: a ring wakes whoever sleeps, costs nothing if nobody does, and happens once. */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "test.h"
#include "wait_cell.h"

#define RINGERS 4
#define RACES 2000

static struct dx_wait poll_wait(int64_t poll_ns)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.poll_ns = poll_ns;
    return wait;
}

static int posts_of(struct dx_cell *cell)
{
    int value = -1;
    (void)sem_getvalue(&cell->sem, &value);
    return value;
}

/* A thread that sleeps once in a cell. */
struct sleeper {
    struct dx_cell cell;
    enum dx_park kind;
    sem_t armed;
    _Atomic pid_t thread;
    bool rung;
};

static void *sleep_once(void *user)
{
    struct sleeper *s = user;
    struct dx_wait wait = {.poll_ns = MS};
    uint32_t armed = dx_cell_arm(&s->cell, s->kind);
    s->thread = (pid_t)syscall(SYS_gettid);
    (void)sem_post(&s->armed);
    s->rung = dx_cell_wait(&s->cell, armed, &wait, PATIENCE);
    dx_cell_disarm(&s->cell, armed);
    return NULL;
}

static void ring_wakes(enum dx_park kind)
{
    struct sleeper s = {.kind = kind};
    pthread_t thread;
    dx_cell_init(&s.cell);
    assert_int_equal(sem_init(&s.armed, 0, 0), 0);
    int64_t start = dx_clock_ns();
    assert_int_equal(pthread_create(&thread, NULL, sleep_once, &s), 0);
    test_wait(&s.armed);
    test_await_state(s.thread, 'S');
    bool rang = dx_cell_ring(&s.cell);
    (void)pthread_join(thread, NULL);
    assert_true(rang);
    assert_true(s.rung);
    assert_elapsed(start, 0, SLACK);
    /* It has left nothing behind that would end the next sleep. */
    assert_false(dx_cell_ring(&s.cell));
    assert_int_equal(posts_of(&s.cell), 0);
    (void)sem_destroy(&s.armed);
}

static void ring_wakes_a_futex_sleeper(void **state)
{
    (void)state;
    ring_wakes(DX_PARK_FUTEX);
}

static void ring_wakes_a_semaphore_sleeper(void **state)
{
    (void)state;
    ring_wakes(DX_PARK_SEM);
}

static void a_sleep_without_a_ring_lasts_its_time(void **state)
{
    (void)state;
    const enum dx_park kinds[] = {DX_PARK_FUTEX, DX_PARK_SEM, DX_PARK_POLL};
    struct dx_wait wait = poll_wait(30 * MS);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct dx_cell cell;
        dx_cell_init(&cell);
        uint32_t armed = dx_cell_arm(&cell, kinds[i]);
        int64_t start = dx_clock_ns();
        assert_false(dx_cell_wait(&cell, armed, &wait, 30 * MS));
        assert_elapsed(start, 30 * MS, SLACK);
        dx_cell_disarm(&cell, armed);
    }
}

static void a_ring_between_arming_and_sleeping_is_not_lost(void **state)
{
    (void)state;
    const enum dx_park kinds[] = {DX_PARK_FUTEX, DX_PARK_SEM};
    struct dx_wait wait = poll_wait(MS);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct dx_cell cell;
        dx_cell_init(&cell);
        uint32_t armed = dx_cell_arm(&cell, kinds[i]);
        assert_true(dx_cell_ring(&cell));
        int64_t start = dx_clock_ns();
        assert_true(dx_cell_wait(&cell, armed, &wait, PATIENCE));
        assert_elapsed(start, 0, SLACK);
        dx_cell_disarm(&cell, armed);
        assert_int_equal(posts_of(&cell), 0);
    }
}

static void a_cell_that_is_not_armed_is_not_rung(void **state)
{
    (void)state;
    struct dx_cell cell;
    dx_cell_init(&cell);
    assert_false(dx_cell_ring(&cell));
    uint32_t armed = dx_cell_arm(&cell, DX_PARK_SEM);
    dx_cell_disarm(&cell, armed);
    assert_false(dx_cell_ring(&cell));
    assert_int_equal(cell.rings, 0);
    assert_int_equal(posts_of(&cell), 0);
}

/* For a child that may make no system call but read, write and exit: rings. */
static int ring_confined(void *user)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        return 2;
    for (int i = 0; i < 1000; i++)
        (void)dx_cell_ring(user);
    return (int)syscall(SYS_exit, 0); /* what _exit makes is another call, and not allowed */
}

static void ringing_nobody_makes_no_system_call(void **state)
{
    (void)state;
    struct dx_cell cell;
    dx_cell_init(&cell);
    assert_exited(test_in_child(ring_confined, &cell));
    /* The child would not have got away with a system call: */
    (void)dx_cell_arm(&cell, DX_PARK_FUTEX);
    int status = test_in_child(ring_confined, &cell);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* Ringers that race for one armed cell. */
struct race {
    struct dx_cell cell;
    pthread_barrier_t line;
    _Atomic uint32_t rang;
};

static void *race_to_ring(void *user)
{
    struct race *r = user;
    for (int i = 0; i < RACES; i++) {
        (void)pthread_barrier_wait(&r->line); /* armed */
        if (dx_cell_ring(&r->cell))
            atomic_fetch_add(&r->rang, 1u);
        (void)pthread_barrier_wait(&r->line); /* all have tried */
    }
    return NULL;
}

static void one_of_many_ringers_rings(void **state)
{
    (void)state;
    struct race r = {.rang = 0};
    pthread_t threads[RINGERS];
    int wrong = 0;
    dx_cell_init(&r.cell);
    assert_int_equal(pthread_barrier_init(&r.line, NULL, RINGERS + 1), 0);
    for (int i = 0; i < RINGERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_to_ring, &r), 0);
    for (int i = 0; i < RACES; i++) {
        uint32_t armed = dx_cell_arm(&r.cell, i % 2 == 0 ? DX_PARK_SEM : DX_PARK_FUTEX);
        (void)pthread_barrier_wait(&r.line);
        (void)pthread_barrier_wait(&r.line);
        wrong += atomic_exchange(&r.rang, 0u) != 1;
        wrong += posts_of(&r.cell) != (i % 2 == 0 ? 1 : 0);
        dx_cell_disarm(&r.cell, armed);
        wrong += posts_of(&r.cell) != 0;
    }
    for (int i = 0; i < RINGERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    (void)pthread_barrier_destroy(&r.line);
}

static void a_stale_post_costs_one_spurious_wake_up(void **state)
{
    (void)state;
    struct dx_cell cell;
    struct dx_wait wait = poll_wait(MS);
    dx_cell_init(&cell);
    uint32_t armed = dx_cell_arm(&cell, DX_PARK_SEM);
    /* A ringer has won and is about to post when the sleeper sees its news and disarms. */
    cell.rings += DX_CELL_STEP;
    dx_cell_disarm(&cell, armed);
    (void)sem_post(&cell.sem);

    armed = dx_cell_arm(&cell, DX_PARK_SEM);
    int64_t start = dx_clock_ns();
    assert_false(dx_cell_wait(&cell, armed, &wait, PATIENCE));
    assert_elapsed(start, 0, SLACK);
    start = dx_clock_ns();
    assert_false(dx_cell_wait(&cell, armed, &wait, 50 * MS));
    assert_elapsed(start, 50 * MS, SLACK);
    dx_cell_disarm(&cell, armed);
}

static void a_polling_sleeper_needs_no_ring(void **state)
{
    (void)state;
    struct dx_cell cell;
    struct dx_wait wait = poll_wait(5 * MS);
    dx_cell_init(&cell);
    uint32_t armed = dx_cell_arm(&cell, DX_PARK_POLL);
    assert_false(dx_cell_ring(&cell));
    assert_int_equal(cell.rings, 0);
    int64_t start = dx_clock_ns();
    assert_false(dx_cell_wait(&cell, armed, &wait, PATIENCE));
    assert_elapsed(start, 5 * MS, SLACK);
    /* A time limit that is shorter than the interval holds. */
    wait.poll_ns = PATIENCE;
    start = dx_clock_ns();
    assert_false(dx_cell_wait(&cell, armed, &wait, 5 * MS));
    assert_elapsed(start, 5 * MS, SLACK);
    dx_cell_disarm(&cell, armed);
}

/* A cell as a hostile other side may leave it: every byte the same, or just one not zero. */
static void fill_with_garbage(struct dx_cell *cell, uint32_t pattern)
{
    unsigned char bytes[sizeof *cell] = {0};
    if (pattern < 256)
        memset(bytes, (int)pattern, sizeof bytes);
    else
        bytes[pattern % sizeof bytes] = 0xa5;
    memcpy((void *)cell, bytes, sizeof bytes);
}

#define PATTERNS (256u + sizeof(struct dx_cell))

static int sleep_among_garbage(void *user)
{
    const enum dx_park kinds[] = {DX_PARK_FUTEX, DX_PARK_SEM, DX_PARK_POLL};
    const struct dx_wait *wait = user;
    for (uint32_t pattern = 0; pattern < 3 * PATTERNS; pattern++) {
        struct dx_cell cell;
        fill_with_garbage(&cell, pattern / 3);
        int64_t start = dx_clock_ns();
        uint32_t armed = dx_cell_arm(&cell, kinds[pattern % 3]);
        (void)dx_cell_wait(&cell, armed, wait, 100000);
        dx_cell_disarm(&cell, armed);
        if (dx_clock_ns() - start > SLACK)
            return 3;
    }
    return 0;
}

/* In a child, because the C library may abort a program that finds its semaphore damaged. */
static void garbage_in_a_cell_neither_ends_nor_prolongs_a_sleeper(void **state)
{
    (void)state;
    struct dx_wait wait = poll_wait(100000);
    assert_exited(test_in_child(sleep_among_garbage, &wait));
}

static int ring_among_garbage(void *user)
{
    (void)user;
    for (uint32_t pattern = 0; pattern < 8 * PATTERNS; pattern++) {
        struct dx_cell cell;
        fill_with_garbage(&cell, pattern / 8);
        uint32_t rings = DX_CELL_RINGS(cell.rings);
        cell.rings = rings;
        cell.armed = rings | (pattern & 7u);
        int64_t start = dx_clock_ns();
        (void)dx_cell_ring(&cell);
        if (dx_cell_ring(&cell)) /* once at most: the step is made */
            return 3;
        if (dx_clock_ns() - start > SLACK)
            return 4;
    }
    return 0;
}

static void garbage_in_a_cell_neither_ends_nor_keeps_a_ringer(void **state)
{
    (void)state;
    assert_exited(test_in_child(ring_among_garbage, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_wakes_a_futex_sleeper),
        cmocka_unit_test(ring_wakes_a_semaphore_sleeper),
        cmocka_unit_test(a_sleep_without_a_ring_lasts_its_time),
        cmocka_unit_test(a_ring_between_arming_and_sleeping_is_not_lost),
        cmocka_unit_test(a_cell_that_is_not_armed_is_not_rung),
        cmocka_unit_test(ringing_nobody_makes_no_system_call),
        cmocka_unit_test(one_of_many_ringers_rings),
        cmocka_unit_test(a_stale_post_costs_one_spurious_wake_up),
        cmocka_unit_test(a_polling_sleeper_needs_no_ring),
        cmocka_unit_test(garbage_in_a_cell_neither_ends_nor_prolongs_a_sleeper),
        cmocka_unit_test(garbage_in_a_cell_neither_ends_nor_keeps_a_ringer),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
