/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in flight whose guest is killed, stopped or replaced, seen from a host that goes on. */
#include "child.h"

#define DEPTH 2u

struct scene {
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *host;
    struct dx_queue *queue;
    struct child guest;
    struct dx_completion done[DEPTH];
    uint32_t count;
};

static struct scene *set_scene(void **state, const char *tag, int64_t liveness_ns)
{
    struct scene *s = calloc(1, sizeof *s);
    const struct dx_config config = child_config();
    assert_non_null(s);
    *state = s;
    test_shm_url(test_path(tag), s->url);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    assert_status(dx_create(s->url, &config, &s->host), DX_OK);
    s->host->liveness_ns = liveness_ns;
    assert_status(dx_queue_open(s->host, DEPTH, &s->queue), DX_OK);
    return s;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s == NULL)
        return 0;
    child_kill(&s->guest);
    dx_queue_close(s->queue);
    dx_status status = dx_close(s->host);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

static void start_guest(struct scene *s)
{
    s->guest = child_start("guest", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->guest), 'a');
}

/* The tag is the call's number. A slot that was given up may have to be let go of first. */
static uint64_t submit(struct scene *s, uint32_t type)
{
    uint64_t number = tally_number(s->tally);
    assert_status(dx_queue_wait_slot(s->queue, PATIENCE), DX_OK);
    assert_status(dx_queue_submit(s->queue, number, type, &number, sizeof number, PATIENCE), DX_OK);
    return number;
}

static void await_all(struct scene *s)
{
    assert_status(dx_queue_wait(s->queue, DEPTH, PATIENCE, s->done, DEPTH, &s->count), DX_OK);
    assert_int_equal(s->count, DEPTH);
    for (uint32_t i = 0; i < DEPTH; i++)
        assert_status(dx_queue_seen(s->queue, &s->done[i]), DX_OK);
}

static dx_status result_of(const struct scene *s, uint64_t number)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->done[i].tag == number)
            return s->done[i].result;
    return DX_ERR_INVALID; /* it has no completion */
}

static uint32_t runs_of(const struct scene *s, uint64_t number)
{
    return atomic_load(&s->tally->runs[number]);
}

static void call_well(struct scene *s)
{
    for (int i = 0; i < 10; i++) {
        uint64_t numbers[DEPTH];
        for (uint32_t n = 0; n < DEPTH; n++)
            numbers[n] = submit(s, TYPE_ECHO);
        await_all(s);
        for (uint32_t n = 0; n < DEPTH; n++) {
            assert_status(result_of(s, numbers[n]), DX_OK);
            assert_int_equal(runs_of(s, numbers[n]), 1);
        }
    }
}

/* One call that blocks in the guest's handler, and one that waits for it. */
static void send_two(struct scene *s, uint64_t *begun, uint64_t *waiting)
{
    *begun = submit(s, TYPE_BLOCK);
    assert_status(dx_queue_flush(s->queue), DX_OK);
    assert_int_equal(child_hear(&s->guest), 'e');
    *waiting = submit(s, TYPE_ECHO);
    assert_status(dx_queue_flush(s->queue), DX_OK);
}

static void calls_of_a_killed_guest_end_once_and_never_run_again(void **state)
{
    struct scene *s = set_scene(state, "killed", DX_LIVENESS_NS);
    for (int i = 0; i < 5; i++) {
        uint64_t begun;
        uint64_t waiting;
        start_guest(s);
        call_well(s);
        send_two(s, &begun, &waiting);
        child_kill(&s->guest);
        await_all(s);
        assert_status(result_of(s, begun), DX_ERR_PEER_DEAD);
        assert_status(result_of(s, waiting), DX_ERR_PEER_DEAD);
        start_guest(s);
        call_well(s);
        assert_int_equal(runs_of(s, begun), 1);
        assert_int_equal(runs_of(s, waiting), 0);
        child_kill(&s->guest);
    }
}

/* The host looks too rarely to notice the death: it sees what the next guest says of its calls. */
static void the_next_guest_loses_what_was_begun_and_runs_what_was_not(void **state)
{
    struct scene *s = set_scene(state, "replaced", FAR_OFF);
    uint64_t begun;
    uint64_t waiting;
    start_guest(s);
    call_well(s);
    send_two(s, &begun, &waiting);
    child_kill(&s->guest);
    start_guest(s);
    await_all(s);
    assert_status(result_of(s, begun), DX_ERR_LOST);
    assert_int_equal(runs_of(s, begun), 1);
    assert_status(result_of(s, waiting), DX_OK);
    assert_int_equal(runs_of(s, waiting), 1);
    call_well(s);
}

/* Nobody lets go of the slots: who waits for one is told of the death, once. */
static void without_a_guest_no_slot_comes_back(void **state)
{
    struct scene *s = set_scene(state, "alone", DX_LIVENESS_NS);
    uint64_t begun;
    uint64_t waiting;
    start_guest(s);
    call_well(s);
    send_two(s, &begun, &waiting);
    assert_status(dx_queue_wait_slot(s->queue, PATIENCE), DX_ERR_NO_SLOT);
    assert_status(dx_queue_cancel(s->queue, begun), DX_OK);
    assert_status(dx_queue_cancel(s->queue, waiting), DX_OK);
    child_kill(&s->guest);
    await_all(s);
    assert_status(result_of(s, begun), DX_ERR_CANCELLED);
    assert_status(result_of(s, waiting), DX_ERR_CANCELLED);
    assert_status(dx_queue_wait_slot(s->queue, PATIENCE), DX_ERR_PEER_DEAD);
    assert_status(dx_queue_wait(s->queue, 1, DX_FOREVER, s->done, DEPTH, &s->count), DX_OK);
    assert_int_equal(s->count, 0);
    assert_status(dx_queue_wait_slot(s->queue, 10 * MS), DX_ERR_NO_PEER);
    start_guest(s);
    call_well(s);
}

static void a_stopped_guest_costs_deadlines_and_goes_on_afterwards(void **state)
{
    struct scene *s = set_scene(state, "stopped", DX_LIVENESS_NS);
    start_guest(s);
    call_well(s);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0);
    test_await_state(s->guest.pid, 'T');
    uint64_t number = tally_number(s->tally);
    assert_status(dx_queue_submit(s->queue, number, TYPE_ECHO, &number, sizeof number, 100 * MS),
                  DX_OK);
    assert_status(dx_queue_wait(s->queue, 1, PATIENCE, s->done, 1, &s->count), DX_OK);
    assert_status(result_of(s, number), DX_ERR_TIMEOUT);
    assert_status(dx_queue_seen(s->queue, &s->done[0]), DX_OK);
    assert_int_equal(kill(s->guest.pid, SIGCONT), 0);
    call_well(s);
    assert_int_equal(runs_of(s, number), 0); /* given up before it was begun */
}

#define SCENE(f) cmocka_unit_test_teardown(f, clear_scene)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(calls_of_a_killed_guest_end_once_and_never_run_again),
        SCENE(the_next_guest_loses_what_was_begun_and_runs_what_was_not),
        SCENE(without_a_guest_no_slot_comes_back),
        SCENE(a_stopped_guest_costs_deadlines_and_goes_on_afterwards),
    };
    child_main(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
