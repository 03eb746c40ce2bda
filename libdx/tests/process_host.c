/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that are killed, stopped and replaced, seen from a guest that goes on serving. */
#include "child.h"

#define SOON SLACK

struct scene {
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct child host;
    struct dx_channel *guest;
    struct serving serving;
    struct service service;
    sem_t entered;
    sem_t release;
    struct dx_caller *caller;
    struct calling call;
};

static struct scene *set_scene(void **state, const char *tag)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    s->path = test_path(tag);
    test_shm_url(s->path, s->url);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    (void)sem_init(&s->entered, 0, 0);
    (void)sem_init(&s->release, 0, 0);
    s->service =
        (struct service){.tally = s->tally, .entered = &s->entered, .release = &s->release};
    return s;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    dx_status status = DX_OK;
    if (s == NULL)
        return 0;
    for (int i = 0; i < 10; i++)
        (void)sem_post(&s->release);
    child_kill(&s->host);
    if (s->guest != NULL)
        dx_stop(s->guest);
    (void)serving_join(&s->serving);
    (void)calling_join(&s->call);
    dx_caller_close(s->caller);
    status = dx_close(s->guest);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    (void)sem_destroy(&s->entered);
    (void)sem_destroy(&s->release);
    free(s);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

static void start_host(struct scene *s)
{
    s->host = child_start("host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->host), 'a');
}

static void serve(struct scene *s, uint32_t threads, uint32_t flags)
{
    serving_start(&s->serving, s->guest, child_handler, &s->service,
                  (struct dx_serve_options){.threads = threads, .flags = flags});
}

/* A host, and this process as the guest that serves it. */
static struct scene *set_served_scene(void **state, const char *tag, uint32_t threads,
                                      uint32_t flags)
{
    struct scene *s = set_scene(state, tag);
    start_host(s);
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
    serve(s, threads, flags);
    return s;
}

/* The host calls a while, and is answered right. */
static void host_calls_well(struct scene *s)
{
    child_tell(&s->host, 'c');
    assert_int_equal(child_hear(&s->host), 'k');
}

/* The host makes a call whose handler blocks here; returns the call's number. */
static uint64_t host_blocks_us(struct scene *s)
{
    uint64_t number = atomic_load(&s->tally->next);
    child_tell(&s->host, 'b');
    test_wait(&s->entered);
    return number;
}

static void await_server_parked(const struct scene *s, uint32_t worker)
{
    uint32_t cell = dx_cell_of_worker(s->guest->geometry.slots, DX_GUEST, worker);
    while (dx_load_seqcst(&s->guest->cells[cell].armed) == 0)
        (void)sched_yield();
}

/* No handler has been entered twice for one call. */
static void check_runs(const struct scene *s)
{
    for (uint32_t number = 0; number < atomic_load(&s->tally->next); number++)
        assert_in_range(atomic_load(&s->tally->runs[number]), 0, 1);
}

static void serving_ends_soon_after_the_host_is_killed(void **state)
{
    struct scene *s = set_served_scene(state, "dies", 1, 0);
    host_calls_well(s);
    await_server_parked(s, 0);
    int64_t start = dx_clock_ns();
    child_kill(&s->host);
    assert_status(serving_join(&s->serving), DX_ERR_PEER_DEAD);
    assert_elapsed(start, 0, SOON);
    assert_int_equal(dx_channel_peer(s->guest), DX_PEER_DEAD);
}

static void serving_ends_behind_the_handler_in_which_the_host_is_killed(void **state)
{
    struct scene *s = set_served_scene(state, "handler", 3, 0);
    host_calls_well(s);
    uint64_t number = host_blocks_us(s);
    child_kill(&s->host);
    (void)sem_post(&s->release);
    int64_t start = dx_clock_ns();
    assert_status(serving_join(&s->serving), DX_ERR_PEER_DEAD);
    assert_elapsed(start, 0, SOON);
    assert_int_equal(atomic_load(&s->tally->runs[number]), 1);
}

static void a_guests_call_ends_soon_after_the_host_is_killed(void **state)
{
    struct scene *s = set_scene(state, "caller");
    start_host(s);
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
    assert_status(dx_caller_open(s->guest, 0, &s->caller), DX_OK);
    child_tell(&s->host, 's');
    uint64_t number;
    for (int i = 0; i < 20; i++)
        assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &number), DX_OK);
    number = tally_number(s->tally);
    calling_start(&s->call, s->caller, TYPE_BLOCK, number, PATIENCE);
    assert_int_equal(child_hear(&s->host), 'e');
    int64_t start = dx_clock_ns();
    child_kill(&s->host);
    assert_status(calling_join(&s->call), DX_ERR_PEER_DEAD);
    assert_elapsed(start, 0, SOON);

    /* The next host makes the guest's slots its own again, and does not run that call. */
    start_host(s);
    child_tell(&s->host, 's');
    uint64_t next;
    for (int i = 0; i < 20; i++)
        assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &next), DX_OK);
    assert_int_equal(atomic_load(&s->tally->runs[number]), 1);
    check_runs(s);
}

static void twenty_hosts_in_a_row_are_served_by_one_guest(void **state)
{
    struct scene *s = set_served_scene(state, "row", 1, DX_SERVE_THROUGH_RESTART);
    uint32_t epoch = dx_load_relaxed(&s->guest->peers[DX_HOST].epoch);
    for (int i = 0; i < 20; i++) {
        host_calls_well(s);
        if (i % 3 == 0) {
            /* Its call is still running here when the next host comes: that one must get neither
             * its answer nor a turn before the handler has let go. */
            (void)host_blocks_us(s);
            child_kill(&s->host);
            start_host(s);
            child_tell(&s->host, 'c');
            (void)sem_post(&s->release);
            assert_int_equal(child_hear(&s->host), 'k');
        } else {
            if (i % 3 == 1)
                await_server_parked(s, 0);
            child_kill(&s->host);
            start_host(s);
        }
        uint32_t next = dx_load_relaxed(&s->guest->peers[DX_HOST].epoch);
        assert_int_equal(next, epoch == 0xffffff ? 1 : epoch + 1);
        epoch = next;
    }
    host_calls_well(s);
    check_runs(s);
    child_tell(&s->host, 'q');
    assert_status(serving_join(&s->serving), DX_ERR_PEER_CLOSED);
    assert_exited(child_end(&s->host));
    assert_int_equal(access(s->path, F_OK), -1); /* also a name that it took over */
}

static void twenty_hosts_in_a_row_are_served_by_a_guest_that_attaches_again(void **state)
{
    struct scene *s = set_scene(state, "again");
    for (int i = 0; i < 20; i++) {
        start_host(s);
        assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
        serve(s, 1 + (uint32_t)i % 3, 0);
        host_calls_well(s);
        child_kill(&s->host);
        assert_status(serving_join(&s->serving), DX_ERR_PEER_DEAD);
        dx_status status = dx_close(s->guest);
        s->guest = NULL;
        assert_status(status, DX_OK);
        assert_status(dx_attach(s->url, NULL, 0, &s->guest), DX_ERR_STALE);
    }
    check_runs(s);
}

static int threads_now(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = -2;
    assert_non_null(tasks);
    while (readdir(tasks) != NULL)
        count++;
    (void)closedir(tasks);
    return count;
}

/* One thread of a pool is in a handler while the others notice the host's death. Either all end,
 * or all go on with the next host: slots that nobody serves must not remain. */
static void a_pool_ends_or_goes_on_as_a_whole(void **state)
{
    struct scene *s = set_served_scene(state, "pool", 2, 0);
    host_calls_well(s);
    child_tell(&s->host, 'd');
    assert_int_equal(child_hear(&s->host), 'k');
    int threads = threads_now();
    (void)host_blocks_us(s);
    child_kill(&s->host);
    int64_t start = dx_clock_ns();
    while (threads_now() == threads && dx_clock_ns() - start < SECOND)
        (void)sched_yield();
    start_host(s);
    (void)sem_post(&s->release);
    child_tell(&s->host, 'd'); /* the slot of the other thread */
    bool served = child_hear(&s->host) == 'k';
    bool ended = pthread_tryjoin_np(s->serving.thread, NULL) == 0;
    s->serving.started = !ended;
    assert_true(served || ended);
}

static void a_stopped_host_is_waited_for(void **state)
{
    struct scene *s = set_served_scene(state, "stopped", 1, 0);
    int status = 0;
    host_calls_well(s);
    assert_int_equal(kill(s->host.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(s->host.pid, &status, WUNTRACED), s->host.pid);
    assert_true(WIFSTOPPED(status));
    test_pass_time(100 * MS); /* several looks at whether it lives */
    assert_int_equal(dx_channel_peer(s->guest), DX_PEER_ALIVE);
    assert_int_equal(kill(s->host.pid, SIGCONT), 0);
    host_calls_well(s);
    child_tell(&s->host, 'q');
    assert_status(serving_join(&s->serving), DX_ERR_PEER_CLOSED);
}

static void a_guest_may_wait_for_a_host_that_is_not_there_yet(void **state)
{
    struct scene *s = set_scene(state, "first");
    s->host = child_start("host", s->url, s->tally_fd);
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
    serve(s, 1, 0);
    assert_int_equal(child_hear(&s->host), 'a');
    host_calls_well(s);
}

#define SCENE(f) cmocka_unit_test_teardown(f, clear_scene)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(serving_ends_soon_after_the_host_is_killed),
        SCENE(serving_ends_behind_the_handler_in_which_the_host_is_killed),
        SCENE(a_guests_call_ends_soon_after_the_host_is_killed),
        SCENE(twenty_hosts_in_a_row_are_served_by_one_guest),
        SCENE(twenty_hosts_in_a_row_are_served_by_a_guest_that_attaches_again),
        SCENE(a_pool_ends_or_goes_on_as_a_whole),
        SCENE(a_stopped_host_is_waited_for),
        SCENE(a_guest_may_wait_for_a_host_that_is_not_there_yet),
    };
    child_main(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
