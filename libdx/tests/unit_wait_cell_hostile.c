/* SPDX-License-Identifier: Apache-2.0 */
/* Cells in which the other side writes what no sleeper and no ringer would. */
#include <limits.h>
#include <pthread.h>

#include "channel.h"
#include "dice.h"
#include "dx_native.h"
#include "test.h"
#include "wait_cell.h"

#define NAP_NS (20 * MS)
#define NAPS 3000
#define BELLS 300
#define SHORT_NAP_NS 50000

static const enum dx_park kinds[] = {DX_PARK_FUTEX, DX_PARK_SEM};
#define KINDS (sizeof kinds / sizeof *kinds)

static const struct dx_wait any_wait = {.poll_ns = MS};

/* One sleep that nobody ends. */
static void sleep_through(struct dx_cell *cell, enum dx_park kind)
{
    uint32_t armed = dx_cell_arm(cell, kind);
    int64_t start = dx_clock_ns();
    assert_false(dx_cell_wait(cell, armed, &any_wait, NAP_NS));
    assert_elapsed(start, NAP_NS, SLACK);
    dx_cell_disarm(cell, armed);
}

static void assert_ring_wakes(struct dx_cell *cell, enum dx_park kind)
{
    uint32_t armed = dx_cell_arm(cell, kind);
    assert_true(dx_cell_ring(cell));
    assert_true(dx_cell_wait(cell, armed, &any_wait, PATIENCE));
    dx_cell_disarm(cell, armed);
}

/* Otherwise one write would keep a side from sleeping, and from being rung, for good. */
static void bits_that_no_ringer_leaves_are_no_ring(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        for (uint32_t bits = 1; bits < DX_CELL_STEP; bits += 7) {
            struct dx_cell cell;
            dx_cell_init(&cell);
            cell.rings = 5 * DX_CELL_STEP + bits;
            sleep_through(&cell, kinds[k]);
            cell.rings |= bits;
            assert_ring_wakes(&cell, kinds[k]);
        }
    }
}

static void posts_that_nobody_made_end_one_sleep_and_no_more(void **state)
{
    (void)state;
    const uint32_t values[] = {1, 2, 1000, SEM_VALUE_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct dx_cell cell;
        dx_cell_init(&cell);
        memcpy(&cell.sem, &values[i], sizeof values[i]);
        uint32_t armed = dx_cell_arm(&cell, DX_PARK_SEM);
        (void)dx_cell_wait(&cell, armed, &any_wait, PATIENCE);
        dx_cell_disarm(&cell, armed);
        sleep_through(&cell, DX_PARK_SEM);
        assert_ring_wakes(&cell, DX_PARK_SEM);
    }
}

struct attack {
    struct dx_cell cell;
    struct dx_cell *at; /* or somebody else's */
    _Atomic bool enough;
};

/* Everything but the value and the rings, so that the sleeper does sleep; mostly the word behind
 * the value and the sleepers, where glibc keeps flags for its calls of the kernel. */
static void *scribble_over_semaphore(void *user)
{
    struct attack *a = user;
    struct dice dice = {.state = 3};
    while (!atomic_load(&a->enough)) {
        _Atomic uint32_t *words = (_Atomic uint32_t *)(void *)a->cell.room;
        uint32_t value =
            (uint32_t)(dice_below(&dice, 2) != 0 ? dice_roll(&dice) : dice_edge(&dice));
        dx_store_relaxed(&words[dice_below(&dice, 4) != 0 ? 2 : 1 + dice_below(&dice, 7)], value);
    }
    return NULL;
}

static int sleep_under_attack(void *user)
{
    static struct attack a;
    pthread_t thread;
    (void)user;
    dx_cell_init(&a.cell);
    if (pthread_create(&thread, NULL, scribble_over_semaphore, &a) != 0)
        return 2;
    int late = 0;
    for (int i = 0; i < NAPS; i++) {
        int64_t start = dx_clock_ns();
        uint32_t armed = dx_cell_arm(&a.cell, DX_PARK_SEM);
        (void)dx_cell_wait(&a.cell, armed, &any_wait, SHORT_NAP_NS);
        dx_cell_disarm(&a.cell, armed);
        late += dx_clock_ns() - start > SLACK;
    }
    atomic_store(&a.enough, true);
    (void)pthread_join(thread, NULL);
    return late == 0 ? 0 : 3;
}

/* In a child: the C library ends a program that sleeps in a semaphore of this kind. */
static void a_semaphore_that_changes_under_a_sleeper_does_not_end_it(void **state)
{
    (void)state;
    assert_exited(test_in_child(sleep_under_attack, NULL));
}

/* Takes back every ring and every post, as fast as it can. */
static void *take_back(void *user)
{
    struct attack *a = user;
    while (!atomic_load(&a->enough)) {
        dx_store_relaxed(&a->at->rings, 0u);
        dx_store_relaxed((_Atomic uint32_t *)(void *)a->at->room, 0u);
    }
    return NULL;
}

static void a_bell_closes_although_its_rings_are_taken_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct dx_wait wait;
        struct dx_channel *channel;
        pthread_t thread;
        assert_status(dx_wait_preset("balanced", &wait), DX_OK);
        wait.park = kinds[k];
        const struct dx_config config = {.wait = &wait};
        assert_status(dx_create("memfd:", &config, &channel), DX_OK);
        struct attack a = {.at = &channel->cells[0]};
        assert_int_equal(pthread_create(&thread, NULL, take_back, &a), 0);
        for (int i = 0; i < BELLS; i++) {
            struct dx_native_bell *bell;
            int fd;
            assert_status(dx_native_bell_open(channel, 0, &bell, &fd), DX_OK);
            dx_native_bell_close(bell);
        }
        atomic_store(&a.enough, true);
        (void)pthread_join(thread, NULL);
        assert_status(dx_close(channel), DX_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_that_no_ringer_leaves_are_no_ring),
        cmocka_unit_test(posts_that_nobody_made_end_one_sleep_and_no_more),
        cmocka_unit_test(a_semaphore_that_changes_under_a_sleeper_does_not_end_it),
        cmocka_unit_test(a_bell_closes_although_its_rings_are_taken_back),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
