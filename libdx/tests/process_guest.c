/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that are killed, stopped and replaced, seen from a host that goes on with its channel. */
#include "child.h"

/* "Within 20 ms", with room for a loaded machine. */
#define SOON SLACK

struct scene {
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *host;
    struct dx_caller *callers[2];
    struct child guest;
    struct child second;
    pthread_t thread;
    bool calling;
};

static struct scene *set_scene(void **state, const char *tag, const struct dx_wait *wait,
                               int64_t liveness_ns)
{
    struct scene *s = calloc(1, sizeof *s);
    struct dx_config config = child_config();
    assert_non_null(s);
    *state = s;
    config.wait = wait;
    s->path = test_path(tag);
    test_shm_url(s->path, s->url);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    assert_status(dx_create(s->url, &config, &s->host), DX_OK);
    s->host->liveness_ns = liveness_ns;
    for (int i = 0; i < 2; i++)
        assert_status(dx_caller_open(s->host, 0, &s->callers[i]), DX_OK);
    return s;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s == NULL)
        return 0;
    child_kill(&s->guest);
    child_kill(&s->second);
    if (s->host != NULL)
        dx_stop(s->host);
    if (s->calling)
        (void)pthread_join(s->thread, NULL);
    dx_caller_close(s->callers[0]);
    dx_caller_close(s->callers[1]);
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

static uint32_t runs_of(const struct scene *s, uint64_t number)
{
    return atomic_load(&s->tally->runs[number]);
}

/* A call that must be answered right, and was run once. */
static void call_well(struct scene *s, int caller)
{
    uint64_t number;
    assert_status(child_call(s->callers[caller], s->tally, TYPE_ECHO, PATIENCE, &number), DX_OK);
    assert_int_equal(runs_of(s, number), 1);
}

static void call_well_often(struct scene *s)
{
    for (int i = 0; i < 20; i++)
        call_well(s, i % 2);
}

/* The guest is dead: a call notices soon. Its handler is not run, now or later. */
static uint64_t call_without_answer(struct scene *s, int caller)
{
    uint64_t number;
    int64_t start = dx_clock_ns();
    assert_status(child_call(s->callers[caller], s->tally, TYPE_ECHO, PATIENCE, &number),
                  DX_ERR_PEER_DEAD);
    assert_elapsed(start, 0, SOON);
    return number;
}

/* A call on a thread of its own. */
struct flight {
    struct scene *scene;
    int caller;
    uint32_t type;
    _Atomic uint64_t number; /* + 1, once it is known */
    dx_status status;
    int64_t ended_ns;
};

static void *fly(void *user)
{
    struct flight *f = user;
    uint64_t number = tally_number(f->scene->tally);
    uint64_t response = 0;
    size_t bytes = sizeof response;
    atomic_store(&f->number, number + 1);
    f->status = dx_call(f->scene->callers[f->caller], f->type, &number, sizeof number, &response,
                        &bytes, NULL, PATIENCE);
    f->ended_ns = dx_clock_ns();
    if (f->status == DX_OK && response != answer_to(number))
        f->status = DX_ERR_CORRUPT;
    return NULL;
}

/* Sends a call that blocks in the guest's handler and waits until it does. */
static void fly_into_handler(struct scene *s, struct flight *f)
{
    *f = (struct flight){.scene = s, .type = TYPE_BLOCK};
    assert_int_equal(pthread_create(&s->thread, NULL, fly, f), 0);
    s->calling = true;
    assert_int_equal(child_hear(&s->guest), 'e');
}

static void land(struct scene *s)
{
    (void)pthread_join(s->thread, NULL);
    s->calling = false;
}

static void await_guest_parked(const struct scene *s)
{
    uint32_t cell = dx_cell_of_worker(s->host->geometry.slots, DX_GUEST, 0);
    while (dx_load_seqcst(&s->host->cells[cell].armed) == 0)
        (void)sched_yield();
    test_await_state(s->guest.pid, 'S');
}

static void a_guest_that_is_killed_while_idle_can_be_replaced(void **state)
{
    struct scene *s = set_scene(state, "idle", NULL, DX_LIVENESS_NS);
    start_guest(s);
    call_well_often(s);
    child_kill(&s->guest);
    assert_int_equal(dx_channel_peer(s->host), DX_PEER_DEAD);
    uint64_t unanswered = call_without_answer(s, 0);
    start_guest(s);
    assert_int_equal(dx_channel_peer(s->host), DX_PEER_ALIVE);
    call_well_often(s);
    assert_int_equal(runs_of(s, unanswered), 0);
}

static void a_guest_that_is_killed_while_parked_can_be_replaced(void **state)
{
    struct scene *s = set_scene(state, "parked", NULL, DX_LIVENESS_NS);
    start_guest(s);
    call_well(s, 0);
    await_guest_parked(s);
    child_kill(&s->guest);
    uint64_t unanswered = call_without_answer(s, 1);
    start_guest(s);
    await_guest_parked(s);
    call_well_often(s);
    assert_int_equal(runs_of(s, unanswered), 0);
}

static void a_call_whose_guest_is_killed_in_its_handler_ends_and_is_never_run_again(void **state)
{
    struct scene *s = set_scene(state, "handler", NULL, DX_LIVENESS_NS);
    struct flight f;
    start_guest(s);
    call_well_often(s);
    fly_into_handler(s, &f);
    int64_t killed_ns = dx_clock_ns();
    child_kill(&s->guest);
    land(s);
    assert_status(f.status, DX_ERR_PEER_DEAD);
    assert_true(f.ended_ns - killed_ns < SOON);
    start_guest(s);
    call_well_often(s);
    assert_int_equal(runs_of(s, f.number - 1), 1);
}

/* The caller sleeps, and only its look at the guest's lock can tell it. */
static void a_sleeping_caller_notices_that_its_guest_is_dead(void **state)
{
    struct dx_wait wait;
    struct flight f;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.spin_max = wait.spin_min = wait.spin_start = 0;
    wait.park = DX_PARK_SEM;
    wait.park_timeout_ns = FAR_OFF;
    struct scene *s = set_scene(state, "sleeping", &wait, DX_LIVENESS_NS);
    start_guest(s);
    fly_into_handler(s, &f);
    int64_t killed_ns = dx_clock_ns();
    child_kill(&s->guest);
    land(s);
    assert_status(f.status, DX_ERR_PEER_DEAD);
    assert_true(f.ended_ns - killed_ns < SOON);
}

/* The host looks too rarely to notice the death: it sees what the next guest says of its calls. */
static void the_next_guest_reports_what_was_begun_and_runs_what_was_not(void **state)
{
    struct scene *s = set_scene(state, "lost", NULL, FAR_OFF);
    struct flight begun;
    struct flight pending = {.scene = s, .caller = 1, .type = TYPE_ECHO};
    pthread_t thread;
    start_guest(s);
    call_well_often(s);
    const struct dx_counters *counters = s->host->counters;
    const uint64_t parks[2] = {dx_load_seqcst(&counters[0].parks),
                               dx_load_seqcst(&counters[1].parks)};
    fly_into_handler(s, &begun);
    assert_int_equal(pthread_create(&thread, NULL, fly, &pending), 0);
    /* Counted behind the last look at the guest before a sleep. */
    for (int slot = 0; slot < 2; slot++)
        while (dx_load_seqcst(&counters[slot].parks) == parks[slot])
            (void)sched_yield();
    child_kill(&s->guest);
    s->guest = child_start("guest", s->url, s->tally_fd);
    land(s);
    (void)pthread_join(thread, NULL);
    assert_int_equal(child_hear(&s->guest), 'a');
    assert_status(begun.status, DX_ERR_LOST);
    assert_int_equal(runs_of(s, begun.number - 1), 1);
    assert_status(pending.status, DX_OK);
    assert_int_equal(runs_of(s, pending.number - 1), 1);
    call_well_often(s);
}

static void twenty_guests_in_a_row_are_replaced(void **state)
{
    struct scene *s = set_scene(state, "row", NULL, DX_LIVENESS_NS);
    for (int i = 0; i < 20; i++) {
        struct flight f;
        start_guest(s);
        call_well_often(s);
        if (i % 3 == 0)
            fly_into_handler(s, &f);
        else if (i % 3 == 1)
            await_guest_parked(s);
        child_kill(&s->guest);
        if (i % 3 != 0)
            continue;
        land(s);
        assert_status(f.status, DX_ERR_PEER_DEAD);
        assert_int_equal(runs_of(s, f.number - 1), 1);
    }
    start_guest(s);
    call_well_often(s);
}

/* Calls on and on, whatever becomes of the guests. */
struct load {
    struct scene *scene;
    _Atomic bool enough;
    _Atomic uint32_t answered;
    uint32_t wrong;
};

static void *call_on_and_on(void *user)
{
    struct load *l = user;
    while (!atomic_load(&l->enough)) {
        uint64_t number;
        dx_status status =
            child_call(l->scene->callers[0], l->scene->tally, TYPE_ECHO, PATIENCE, &number);
        uint32_t runs = runs_of(l->scene, number);
        if (status == DX_OK)
            atomic_fetch_add(&l->answered, 1u);
        l->wrong += status == DX_OK
                        ? runs != 1
                        : runs > 1 || (status != DX_ERR_PEER_DEAD && status != DX_ERR_LOST);
    }
    return NULL;
}

static void guests_may_be_killed_at_any_moment(void **state)
{
    struct scene *s = set_scene(state, "moment", NULL, DX_LIVENESS_NS);
    struct load load = {.scene = s};
    start_guest(s);
    assert_int_equal(pthread_create(&s->thread, NULL, call_on_and_on, &load), 0);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t until = atomic_load(&load.answered) + 20 + 7 * i;
        while (atomic_load(&load.answered) < until)
            (void)sched_yield();
        child_kill(&s->guest);
        s->guest = child_start("guest", s->url, s->tally_fd);
        assert_int_equal(child_hear(&s->guest), 'a');
    }
    atomic_store(&load.enough, true);
    (void)pthread_join(s->thread, NULL);
    assert_int_equal(load.wrong, 0);
    for (uint32_t number = 0; number < atomic_load(&s->tally->next); number++)
        assert_in_range(runs_of(s, number), 0, 1);
}

static void a_guest_that_waits_for_the_place_gets_it_when_the_first_is_killed(void **state)
{
    struct scene *s = set_scene(state, "place", NULL, DX_LIVENESS_NS);
    start_guest(s);
    s->second = child_start("guest", s->url, s->tally_fd);
    call_well_often(s);
    child_kill(&s->guest);
    assert_int_equal(child_hear(&s->second), 'a');
    call_well_often(s);
}

static void a_stopped_guest_costs_a_deadline_and_goes_on_afterwards(void **state)
{
    struct scene *s = set_scene(state, "stopped", NULL, DX_LIVENESS_NS);
    uint64_t number;
    int status = 0;
    start_guest(s);
    call_well_often(s);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(s->guest.pid, &status, WUNTRACED), s->guest.pid);
    assert_true(WIFSTOPPED(status));
    int64_t start = dx_clock_ns();
    assert_status(child_call(s->callers[0], s->tally, TYPE_ECHO, 200 * MS, &number),
                  DX_ERR_TIMEOUT);
    assert_elapsed(start, 200 * MS, SLACK);
    assert_int_equal(dx_channel_peer(s->host), DX_PEER_ALIVE);
    assert_int_equal(kill(s->guest.pid, SIGCONT), 0);
    call_well_often(s);
    assert_int_equal(runs_of(s, number), 0); /* given up before it was begun */
}

static void a_guest_ends_well_when_the_host_closes(void **state)
{
    struct scene *s = set_scene(state, "closes", NULL, DX_LIVENESS_NS);
    start_guest(s);
    call_well_often(s);
    for (int i = 0; i < 2; i++) {
        dx_caller_close(s->callers[i]);
        s->callers[i] = NULL;
    }
    dx_status closed = dx_close(s->host);
    s->host = NULL;
    assert_status(closed, DX_OK);
    int status = child_end(&s->guest);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), -DX_ERR_PEER_CLOSED);
    assert_int_equal(access(s->path, F_OK), -1);
}

#define SCENE(f) cmocka_unit_test_teardown(f, clear_scene)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_guest_that_is_killed_while_idle_can_be_replaced),
        SCENE(a_guest_that_is_killed_while_parked_can_be_replaced),
        SCENE(a_call_whose_guest_is_killed_in_its_handler_ends_and_is_never_run_again),
        SCENE(a_sleeping_caller_notices_that_its_guest_is_dead),
        SCENE(the_next_guest_reports_what_was_begun_and_runs_what_was_not),
        SCENE(twenty_guests_in_a_row_are_replaced),
        SCENE(guests_may_be_killed_at_any_moment),
        SCENE(a_guest_that_waits_for_the_place_gets_it_when_the_first_is_killed),
        SCENE(a_stopped_guest_costs_a_deadline_and_goes_on_afterwards),
        SCENE(a_guest_ends_well_when_the_host_closes),
    };
    child_main(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
