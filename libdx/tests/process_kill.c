/* SPDX-License-Identifier: Apache-2.0 */
/* Two peers that call each other on all slots, of which one, the other or both are killed at any
 * moment, 200 times or as often as DX_TEST_KILLS says. After each time every slot must answer. */
#include "crash_scene.h"

#define KILLS 200
#define ANSWERS 40u /* at most so many on each slot between two kills */

enum whom { HOST_ALONE, GUEST_ALONE, BOTH };

static uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % limit;
}

static unsigned long kills_wanted(void)
{
    const char *text = getenv("DX_TEST_KILLS");
    return text != NULL ? strtoul(text, NULL, 10) : KILLS;
}

/* Every slot gives some more answers, to calls of both sides. */
static void await_answers(const struct scene *s, uint64_t *random)
{
    for (uint32_t slot = 0; slot < 2 * PEER_SLOTS; slot++)
        atomic_store(&s->stage->due[slot], 1 + random_below(random, ANSWERS));
    for (uint32_t slot = 0; slot < 2 * PEER_SLOTS; slot++)
        scene_expect(s, slot < PEER_SLOTS ? DX_HOST : DX_GUEST, 'm', PATIENCE);
}

/* Each new process waits and serves in its own way. */
static void replace(struct scene *s, enum whom whom, uint64_t *random)
{
    for (int side = DX_HOST; side <= DX_GUEST; side++)
        if (whom == BOTH || (whom == HOST_ALONE) == (side == DX_HOST))
            scene_kill(s, (enum dx_side)side);
    for (int side = DX_HOST; side <= DX_GUEST; side++) {
        if (s->open[side])
            continue;
        atomic_store(&s->stage->park[side], DX_PARK_FUTEX + random_below(random, 3));
        atomic_store(&s->stage->threads, 1 + random_below(random, 2));
        atomic_store(&s->stage->flags, random_below(random, 4));
        scene_start(s, (enum dx_side)side, false);
        scene_await_open(s, (enum dx_side)side);
        scene_tell(s, (enum dx_side)side, 'l');
    }
}

/* Both are idle; all slots of both can be taken, and answer. */
static void verify(const struct scene *s)
{
    for (int side = DX_HOST; side <= DX_GUEST; side++)
        scene_ask(s, (enum dx_side)side, 'p', 'p', PATIENCE);
    for (int side = DX_HOST; side <= DX_GUEST; side++)
        scene_ask(s, (enum dx_side)side, 'v', 'v', PATIENCE);
}

static void either_side_may_be_killed_at_any_moment(void **state)
{
    struct scene *s = scene_new(DX_HOST, SCHEME_SHM);
    uint64_t random = (uint64_t)dx_clock_ns();
    unsigned long wanted = kills_wanted();
    unsigned long counts[BOTH + 1] = {0};
    *state = s;
    replace(s, BOTH, &random);
    for (unsigned long i = 0; i < wanted; i++) {
        enum whom whom =
            random_below(&random, 10) == 0 ? BOTH : (enum whom)random_below(&random, 2);
        (void)snprintf(s->stage->label, sizeof s->stage->label, "kill %lu", i);
        await_answers(s, &random);
        peer_linger(1 + random_below(&random, 300000));
        replace(s, whom, &random);
        counts[whom]++;
    }
    await_answers(s, &random);
    verify(s);
    scene_close(s, DX_GUEST);
    scene_close(s, DX_HOST);
    print_message("killed: %lu hosts, %lu guests, %lu times both\n", counts[HOST_ALONE],
                  counts[GUEST_ALONE], counts[BOTH]);
    scene_print(s, (uint32_t)wanted);
    assert_int_equal(atomic_load(&s->stage->wrong), 0);
    assert_int_equal(access(s->path, F_OK), -1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(either_side_may_be_killed_at_any_moment, scene_free),
    };
    scene_main(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
