/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that meet at a socket: killed, replaced, waiting for each other, rung without end. */
#include "channel.h"
#include "child.h"
#include "doorbell.h"
#include "files.h"
#include "news.h"
#include "peers.h"

/* "Within 10 ms", with room for a loaded machine. */
#define SOON SLACK

struct scene {
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *host;
    struct dx_channel *guest;
    struct serving serving;
    struct service service;
    struct dx_caller *caller;
    struct calling call;
    struct child children[2];
    _Atomic bool storm_ends;
    _Atomic uint64_t storm_rings;
    pthread_t storm;
    bool storming;
    bool fills; /* and makes bells blocking */
};

static struct scene *set_scene(void **state, const char *tag)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    s->path = test_path(tag);
    (void)snprintf(s->url, sizeof s->url, "unix:%s", s->path);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    s->service = (struct service){.tally = s->tally};
    return s;
}

static dx_status end_serving(struct scene *s)
{
    if (s->guest != NULL)
        dx_stop(s->guest);
    (void)serving_join(&s->serving);
    dx_status status = dx_close(s->guest);
    s->guest = NULL;
    return status;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s == NULL)
        return 0;
    atomic_store(&s->storm_ends, true);
    if (s->storming)
        (void)pthread_join(s->storm, NULL);
    child_kill(&s->children[0]);
    child_kill(&s->children[1]);
    if (s->host != NULL)
        dx_stop(s->host);
    (void)calling_join(&s->call);
    dx_caller_close(s->caller);
    dx_status status = end_serving(s);
    if (status == DX_OK)
        status = dx_close(s->host);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

/* A host here, whose waits look at the guest by themselves only once in liveness_ns. */
static struct scene *set_host_scene(void **state, const char *tag, const struct dx_wait *wait,
                                    int64_t liveness_ns)
{
    struct scene *s = set_scene(state, tag);
    struct dx_config config = child_config();
    config.wait = wait;
    assert_status(dx_create(s->url, &config, &s->host), DX_OK);
    s->host->liveness_ns = liveness_ns;
    assert_status(dx_caller_open(s->host, 0, &s->caller), DX_OK);
    return s;
}

static void start_child(struct scene *s, int index, const char *role)
{
    s->children[index] = child_start(role, s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->children[index]), 'a');
}

static void call_well(struct scene *s, unsigned calls)
{
    uint64_t number;
    for (unsigned i = 0; i < calls; i++) {
        assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &number), DX_OK);
        assert_int_equal(atomic_load(&s->tally->runs[number]), 1);
    }
}

/* A call blocks in the guest's handler, and nobody looks whether the guest lives. */
static void a_guests_end_is_heard_by_sleepers(struct scene *s)
{
    start_child(s, 0, "guest");
    calling_start(&s->call, s->caller, TYPE_BLOCK, tally_number(s->tally), PATIENCE);
    assert_int_equal(child_hear(&s->children[0]), 'e');
    /* Counted behind the last look at the guest before a sleep. */
    while (dx_load_seqcst(&s->host->counters[0].parks) == 0)
        (void)sched_yield();
    int64_t start = dx_clock_ns();
    child_kill(&s->children[0]);
    assert_status(calling_join(&s->call), DX_ERR_PEER_DEAD);
    assert_elapsed(start, 0, SOON);
    start_child(s, 0, "guest");
    call_well(s, 20);
}

static void a_guests_end_is_heard_in_a_futex(void **state)
{
    struct dx_wait wait = park_only(DX_PARK_FUTEX);
    a_guests_end_is_heard_by_sleepers(set_host_scene(state, "futex", &wait, FAR_OFF));
}

static void a_guests_end_is_heard_in_a_semaphore(void **state)
{
    struct dx_wait wait = park_only(DX_PARK_SEM);
    a_guests_end_is_heard_by_sleepers(set_host_scene(state, "sem", &wait, FAR_OFF));
}

static void a_guests_end_is_heard_at_the_doorbell(void **state)
{
    struct dx_wait wait = park_only(DX_PARK_DOORBELL);
    a_guests_end_is_heard_by_sleepers(set_host_scene(state, "bell", &wait, FAR_OFF));
}

static void guests_may_come_and_die_any_number_of_times(void **state)
{
    struct scene *s = set_host_scene(state, "guests", NULL, MS);
    uint64_t number;
    int before = count_entries("/proc/self/fd");
    for (int i = 0; i < 20; i++) {
        start_child(s, 0, "guest");
        call_well(s, 20);
        child_kill(&s->children[0]);
        assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &number),
                      DX_ERR_PEER_DEAD);
        assert_int_equal(atomic_load(&s->tally->runs[number]), 0);
    }
    /* The last one's are closed when its end is heard; the program's time limit is the assert. */
    while (count_entries("/proc/self/fd") != before)
        (void)sched_yield();
}

static void a_guest_that_waits_takes_over_from_a_dead_one(void **state)
{
    struct scene *s = set_host_scene(state, "standby", NULL, MS);
    start_child(s, 0, "guest");
    s->children[1] = child_start("guest", s->url, s->tally_fd);
    call_well(s, 100);
    assert_false(can_read(s->children[1].reports, 0));
    child_kill(&s->children[0]);
    assert_int_equal(child_hear(&s->children[1]), 'a');
    call_well(s, 20);
}

static void a_dead_hosts_guest_is_told_and_meets_the_next(void **state)
{
    struct scene *s = set_scene(state, "hosts");
    for (int i = 0; i < 5; i++) {
        start_child(s, 0, "host");
        assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
        serving_start(&s->serving, s->guest, child_handler, &s->service,
                      (struct dx_serve_options){0});
        child_tell(&s->children[0], 'c');
        assert_int_equal(child_hear(&s->children[0]), 'k');
        int64_t start = dx_clock_ns();
        child_kill(&s->children[0]);
        assert_status(serving_join(&s->serving), DX_ERR_PEER_DEAD);
        assert_elapsed(start, 0, SOON);
        assert_status(end_serving(s), DX_OK);
    }
}

/* The dead host's socket stood under the name when the next one began, and is not its own. */
static void a_dead_hosts_name_is_not_taken_for_the_next_ones(void **state)
{
    struct scene *s = set_scene(state, "name");
    const struct dx_config config = child_config();
    start_child(s, 0, "host");
    child_kill(&s->children[0]);
    assert_status(dx_create(s->url, &config, &s->host), DX_OK);
    const struct dx_peer_lines *self = &s->host->peers[DX_HOST];
    uint64_t first = dx_load_relaxed(&self->heartbeat);
    while (dx_load_relaxed(&self->heartbeat) < first + 2) /* before each it looks at its name */
        (void)sched_yield();
    watchdog_step();
    assert_status(dx_wait_peer(s->host, 0), DX_ERR_NO_PEER);
    assert_int_equal(unlink(s->path), 0);
    dx_status status;
    while ((status = dx_wait_peer(s->host, 0)) == DX_ERR_NO_PEER)
        (void)sched_yield();
    assert_status(status, DX_ERR_NAME_REMOVED);
}

static void a_host_that_closes_is_no_dead_one(void **state)
{
    struct scene *s = set_scene(state, "closes");
    start_child(s, 0, "host");
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
    serving_start(&s->serving, s->guest, child_handler, &s->service, (struct dx_serve_options){0});
    child_tell(&s->children[0], 'q');
    assert_int_equal(child_end(&s->children[0]), 0);
    assert_status(serving_join(&s->serving), DX_ERR_PEER_CLOSED);
    assert_false(exists(s->path));
}

/* Its rendezvous says nothing meanwhile, for longer than a server may take to greet. */
static void a_guest_waits_for_a_host_that_is_stopped(void **state)
{
    struct scene *s = set_scene(state, "stopped");
    struct dx_channel *channel;
    start_child(s, 0, "host");
    assert_int_equal(kill(s->children[0].pid, SIGSTOP), 0);
    test_await_state(s->children[0].pid, 'T');
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_TIMEOUT);
    s->children[1] = child_start("guest", s->url, s->tally_fd);
    assert_false(can_read(s->children[1].reports, 1500));
    assert_int_equal(kill(s->children[0].pid, SIGCONT), 0);
    assert_int_equal(child_hear(&s->children[1]), 'a');
    child_tell(&s->children[0], 'c');
    assert_int_equal(child_hear(&s->children[0]), 'k');
}

static void a_living_hosts_name_is_its_own(void **state)
{
    struct scene *s = set_host_scene(state, "living", NULL, MS);
    struct dx_channel *second;
    start_child(s, 0, "guest");
    assert_status(dx_create(s->url, NULL, &second), DX_ERR_HOST_EXISTS);
    assert_detail(s->path);
    assert_status(dx_attach(s->url, NULL, 0, &second), DX_ERR_GUEST_EXISTS);
    assert_status(dx_observe(s->url, &second), DX_OK);
    assert_status(dx_close(second), DX_OK);
    call_well(s, 20);
}

/* Both sides in this process, with one strategy. */
static struct scene *set_pair_scene(void **state, const char *tag, const struct dx_wait *wait)
{
    struct scene *s = set_host_scene(state, tag, wait, FAR_OFF);
    assert_status(dx_attach(s->url, wait, PATIENCE, &s->guest), DX_OK);
    s->guest->liveness_ns = FAR_OFF;
    serving_start(&s->serving, s->guest, child_handler, &s->service, (struct dx_serve_options){0});
    return s;
}

static void sides_that_park_at_the_doorbell_wake_each_other(void **state)
{
    struct dx_wait wait = park_only(DX_PARK_DOORBELL);
    struct scene *s = set_pair_scene(state, "doorbells", &wait);
    call_well(s, 2000);
    assert_true(dx_load_seqcst(&s->host->counters[0].park) >= 1000);
    assert_int_equal(dx_load_seqcst(&s->host->counters[0].rescued), 0);
}

static void doorbells_need_a_rendezvous(void **state)
{
    struct scene *s = set_scene(state, "none");
    struct dx_wait wait = park_only(DX_PARK_DOORBELL);
    struct dx_config config = child_config();
    config.wait = &wait;
    char url[TEST_URL_BYTES];
    assert_status(dx_create(test_shm_url(s->path, url), &config, &s->host), DX_ERR_INVALID);
    assert_detail("doorbell");
    assert_false(exists(s->path));
}

/* Rings everybody that it is told of, as fast as it can. */
/* So that whoever rings next waits for ever, if nobody helps. */
static void fill(int fd)
{
    uint64_t full = UINT64_MAX - 1;
    dx_doorbell_unblock(fd);
    (void)!write(fd, &full, sizeof full);
    (void)fcntl(fd, F_SETFL, 0);
}

static void *ring_without_end(void *user)
{
    struct scene *s = user;
    struct visitor v = {.reader = DX_IVSHMEM_READER_INIT};
    struct pollfd bells[8];
    nfds_t count = 0;
    if (dx_socket_connect(s->path, &v.socket) != DX_OK)
        return NULL;
    while (!atomic_load(&s->storm_ends)) {
        struct dx_ivshmem_message m;
        while (dx_ivshmem_receive(v.socket, &v.reader, &m) == DX_IVSHMEM_MESSAGE)
            if (m.fd >= 0 && m.value >= 0 && count < 8)
                bells[count++].fd = m.fd;
            else if (m.fd >= 0)
                (void)close(m.fd);
        for (nfds_t i = 0; i < count; i++)
            (s->fills ? fill : dx_doorbell_write)(bells[i].fd);
        atomic_fetch_add(&s->storm_rings, count);
        (void)sched_yield();
    }
    for (nfds_t i = 0; i < count; i++)
        (void)close(bells[i].fd);
    visitor_leave(&v);
    return NULL;
}

static void a_storm_of_doorbells_does_no_harm(void **state)
{
    struct dx_wait wait = park_only(DX_PARK_DOORBELL);
    struct scene *s = set_pair_scene(state, "storm", &wait);
    int deaf;
    assert_status(dx_socket_connect(s->path, &deaf), DX_OK); /* never hears what it is told */
    assert_int_equal(pthread_create(&s->storm, NULL, ring_without_end, s), 0);
    s->storming = true;
    while (atomic_load(&s->storm_rings) < 1000)
        (void)sched_yield();
    /* However the machine shares its CPUs out between the storm and the calls. */
    do
        call_well(s, 500);
    while (atomic_load(&s->storm_rings) < 10000);
    (void)close(deaf);
}

/* By a member who is neither side. */
static void bells_that_are_filled_and_made_blocking_hold_nobody_up(void **state)
{
    struct dx_wait wait = park_only(DX_PARK_DOORBELL);
    struct scene *s = set_pair_scene(state, "fills", &wait);
    s->fills = true;
    assert_int_equal(pthread_create(&s->storm, NULL, ring_without_end, s), 0);
    s->storming = true;
    while (atomic_load(&s->storm_rings) < 1000)
        (void)sched_yield();
    for (int i = 0; i < 50; i++) {
        call_well(s, 1);
        watchdog_step();
    }
}

#define scened(test) cmocka_unit_test_teardown(test, clear_scene)

int main(int argc, char **argv)
{
    child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        scened(a_guests_end_is_heard_in_a_futex),
        scened(a_guests_end_is_heard_in_a_semaphore),
        scened(a_guests_end_is_heard_at_the_doorbell),
        scened(guests_may_come_and_die_any_number_of_times),
        scened(a_guest_that_waits_takes_over_from_a_dead_one),
        scened(a_dead_hosts_guest_is_told_and_meets_the_next),
        scened(a_dead_hosts_name_is_not_taken_for_the_next_ones),
        scened(a_host_that_closes_is_no_dead_one),
        scened(a_guest_waits_for_a_host_that_is_stopped),
        scened(a_living_hosts_name_is_its_own),
        scened(sides_that_park_at_the_doorbell_wake_each_other),
        scened(doorbells_need_a_rendezvous),
        scened(a_storm_of_doorbells_does_no_harm),
        scened(bells_that_are_filled_and_made_blocking_hold_nobody_up),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
