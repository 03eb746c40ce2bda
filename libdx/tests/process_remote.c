/* SPDX-License-Identifier: Apache-2.0 */
/* Peers in different kernels, of which a process pretends to be in another one: they see none of
 * each other's locks, and know of each other's lives by the heartbeat alone. */
#include <poll.h>
#include <sys/resource.h>

#include "channel.h"
#include "child.h"
#include "clock.h"
#include "liveness_kernel.h"
#include "peers.h"

#define KERNEL "DX_TEST_KERNEL"
#define PEER_TIMEOUT SECOND
#define DEAD_WITHIN (PEER_TIMEOUT + SLACK)

struct scene {
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *channel; /* ours */
    struct serving serving;
    struct service service;
    struct dx_caller *caller;
    struct child children[2];
    dx_status blocked_status; /* of call_that_blocks */
};

static struct scene *set_scene(void **state, const char *tag)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    s->path = test_path(tag);
    (void)test_file_url(s->path, s->url);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    s->service = (struct service){.tally = s->tally};
    return s;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s == NULL)
        return 0;
    child_kill(&s->children[0]);
    child_kill(&s->children[1]);
    if (s->channel != NULL)
        dx_stop(s->channel);
    (void)serving_join(&s->serving);
    dx_caller_close(s->caller);
    dx_status status = dx_close(s->channel);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

/* The default strategy, but for how long a peer may be silent. */
static struct dx_wait wait_with(int64_t peer_timeout_ns)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.peer_timeout_ns = peer_timeout_ns;
    return wait;
}

static struct scene *set_patient_scene(void **state, const char *tag, int64_t peer_timeout_ns)
{
    const struct dx_wait wait = wait_with(peer_timeout_ns);
    struct scene *s = set_scene(state, tag);
    struct dx_config config = child_config();
    config.wait = &wait;
    assert_status(dx_create(s->url, &config, &s->channel), DX_OK);
    assert_status(dx_caller_open(s->channel, 0, &s->caller), DX_OK);
    return s;
}

static struct scene *set_host_scene(void **state, const char *tag)
{
    return set_patient_scene(state, tag, PEER_TIMEOUT);
}

/* A child under kernel number `kernel`. */
static void start_child(struct scene *s, int index, const char *role, const char *kernel)
{
    assert_int_equal(setenv(KERNEL, kernel, 1), 0);
    s->children[index] = child_start(role, s->url, s->tally_fd);
    assert_int_equal(unsetenv(KERNEL), 0);
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

/* Stops a child for so long, whatever else happens. */
static void stop(const struct child *c)
{
    assert_int_equal(kill(c->pid, SIGSTOP), 0);
    test_await_state(c->pid, 'T');
}

static uint64_t parks_of(const struct scene *s, enum dx_stats_of of)
{
    struct dx_stats stats;
    assert_status(dx_stats_read(s->channel, of, &stats), DX_OK);
    return stats.parks;
}

/* Waits until one that has nothing to do sleeps once more, however long it takes to get there. */
static void await_park(const struct scene *s, enum dx_stats_of of)
{
    uint64_t before = parks_of(s, of);
    while (parks_of(s, of) == before)
        (void)poll(NULL, 0, 1);
}

static void *call_that_blocks(void *user)
{
    struct scene *s = user;
    uint64_t number;
    s->blocked_status = child_call(s->caller, s->tally, TYPE_BLOCK, PATIENCE, &number);
    return NULL;
}

/* Each call finds the guest asleep, and the last one's answer finds the caller asleep. */
static void both_sides_poll_where_nobody_can_wake_them(void **state)
{
    struct scene *s = set_host_scene(state, "polls");
    pthread_t thread;
    struct dx_stats stats;
    assert_int_equal(dx_channel_park_kind(s->channel), DX_PARK_FUTEX);
    start_child(s, 0, "guest", "2");
    assert_int_equal(dx_channel_park_kind(s->channel), DX_PARK_POLL);
    assert_int_equal(dx_channel_peer(s->channel), DX_PEER_ALIVE);
    for (int i = 0; i < 20; i++) {
        await_park(s, DX_STATS_GUEST_SERVERS);
        call_well(s, 1);
    }
    assert_int_equal(pthread_create(&thread, NULL, call_that_blocks, s), 0);
    assert_int_equal(child_hear(&s->children[0]), 'e');
    await_park(s, DX_STATS_HOST_CALLERS);
    child_tell(&s->children[0], 'r');
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_status(s->blocked_status, DX_OK);
    assert_status(dx_stats_read(s->channel, DX_STATS_GUEST_SERVERS, &stats), DX_OK);
    assert_int_equal(stats.rings, 0);
    assert_status(dx_stats_read(s->channel, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_int_equal(stats.rings, 0);
    child_kill(&s->children[0]);
}

static void a_killed_guest_is_dead_after_the_peer_timeout_and_another_goes_on(void **state)
{
    struct scene *s = set_host_scene(state, "killed");
    uint64_t number;
    start_child(s, 0, "guest", "2");
    call_well(s, 20);
    int64_t start = dx_clock_ns();
    child_kill(&s->children[0]);
    assert_int_equal(dx_channel_peer(s->channel), DX_PEER_ALIVE);
    assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &number), DX_ERR_PEER_DEAD);
    assert_elapsed(start, PEER_TIMEOUT / 4, DEAD_WITHIN);
    assert_int_equal(dx_channel_peer(s->channel), DX_PEER_DEAD);
    start_child(s, 0, "guest", "3"); /* another boot of the VM */
    call_well(s, 20);
    child_kill(&s->children[0]);
    start_child(s, 0, "guest", "0"); /* under our own kernel */
    assert_int_equal(dx_channel_park_kind(s->channel), DX_PARK_FUTEX);
    call_well(s, 20);
}

/* The guest may have been silent before its stop, too: on a loaded machine a heartbeat comes late.
 */
static void a_short_stop_is_no_death(void **state)
{
    struct scene *s = set_patient_scene(state, "stop", 10 * PEER_TIMEOUT);
    start_child(s, 0, "guest", "2");
    for (int i = 0; i < 3; i++) {
        call_well(s, 20);
        stop(&s->children[0]);
        for (int64_t until = dx_clock_ns() + PEER_TIMEOUT; dx_clock_ns() < until;) {
            assert_int_equal(dx_channel_peer(s->channel), DX_PEER_ALIVE);
            (void)poll(NULL, 0, 5);
        }
        assert_int_equal(kill(s->children[0].pid, SIGCONT), 0);
    }
    call_well(s, 20);
}

static void a_living_guest_keeps_its_place(void **state)
{
    struct scene *s = set_host_scene(state, "place");
    struct dx_channel *second;
    start_child(s, 0, "guest", "2");
    assert_status(dx_attach(s->url, NULL, 0, &second), DX_ERR_GUEST_EXISTS);
    assert_detail("another kernel");
    call_well(s, 20);
}

/* Whoever comes back after its place was given away notices, and touches nothing any more. */
static void a_guest_that_was_replaced_ends(void **state)
{
    struct scene *s = set_host_scene(state, "ousted");
    start_child(s, 0, "guest", "2");
    call_well(s, 20);
    stop(&s->children[0]);
    start_child(s, 1, "guest", "3"); /* waits for the other one's timeout */
    call_well(s, 20);
    assert_int_equal(kill(s->children[0].pid, SIGCONT), 0);
    int ended = child_end(&s->children[0]);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), -DX_ERR_GUEST_EXISTS);
    assert_int_equal(dx_channel_peer(s->channel), DX_PEER_ALIVE);
    call_well(s, 20);
}

static void a_guest_that_closes_makes_room_at_once(void **state)
{
    struct scene *s = set_host_scene(state, "closes");
    dx_kernel_pretend(2);
    struct dx_channel *guest;
    assert_status(dx_attach(s->url, NULL, 0, &guest), DX_OK);
    assert_status(dx_close(guest), DX_OK);
    dx_kernel_pretend(0);
    assert_int_equal(dx_channel_peer(s->channel), DX_PEER_CLOSED);
    int64_t start = dx_clock_ns();
    const struct dx_wait wait = wait_with(FAR_OFF);
    assert_status(dx_attach(s->url, &wait, 0, &guest), DX_OK);
    assert_elapsed(start, 0, SLACK);
    assert_status(dx_close(guest), DX_OK);
}

/* The guest here lives through hosts that are killed elsewhere. */
static void a_guest_outlives_its_host(void **state)
{
    struct scene *s = set_scene(state, "host");
    struct dx_serve_options through = {.flags = DX_SERVE_THROUGH_RESTART};
    start_child(s, 0, "host", "2");
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->channel), DX_OK);
    serving_start(&s->serving, s->channel, child_handler, &s->service, through);
    for (int i = 0; i < 3; i++) {
        child_tell(&s->children[0], 'c');
        assert_int_equal(child_hear(&s->children[0]), 'k');
        child_kill(&s->children[0]);
        start_child(s, 0, "host", i == 0 ? "2" : "3");
    }
    child_tell(&s->children[0], 'c');
    assert_int_equal(child_hear(&s->children[0]), 'k');
}

static void a_dead_hosts_region_is_stale(void **state)
{
    struct scene *s = set_scene(state, "stale");
    struct dx_channel *guest;
    start_child(s, 0, "host", "2");
    assert_status(dx_attach(s->url, NULL, 0, &guest), DX_OK);
    child_kill(&s->children[0]);
    while (dx_channel_peer(guest) != DX_PEER_DEAD)
        (void)poll(NULL, 0, 10);
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_attach(s->url, NULL, 0, &guest), DX_ERR_STALE);
}

/* Two vanish at once: the next host finds nobody, and the next guest its host. */
static void both_sides_may_die(void **state)
{
    struct scene *s = set_scene(state, "both");
    start_child(s, 0, "host", "2");
    start_child(s, 1, "guest", "3");
    child_tell(&s->children[0], 'c');
    assert_int_equal(child_hear(&s->children[0]), 'k');
    child_kill(&s->children[0]);
    child_kill(&s->children[1]);
    start_child(s, 0, "host", "2");
    start_child(s, 1, "guest", "3");
    child_tell(&s->children[0], 'c');
    assert_int_equal(child_hear(&s->children[0]), 'k');
}

static int64_t cpu_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return dx_clock_from_timespec(used);
}

/* A heartbeat costs a tenth of this; the rest is for sanitizers and noise. */
static void a_heartbeat_costs_next_to_nothing(void **state)
{
    struct scene *s = set_host_scene(state, "idle");
    start_child(s, 0, "guest", "2");
    int64_t before_ns = cpu_ns();
    (void)poll(NULL, 0, 2000);
    int64_t used_ns = cpu_ns() - before_ns;
    print_message("an idle host: %.3f %% of a CPU\n", (double)used_ns / 2e7);
    assert_in_range(used_ns, 0, 20 * MS);
}

int main(int argc, char **argv)
{
    const char *kernel = getenv(KERNEL);
    if (kernel != NULL)
        dx_kernel_pretend((uint32_t)strtoul(kernel, NULL, 10));
    child_main(argc, argv);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, clear_scene)
        TEST(both_sides_poll_where_nobody_can_wake_them),
        TEST(a_killed_guest_is_dead_after_the_peer_timeout_and_another_goes_on),
        TEST(a_short_stop_is_no_death),
        TEST(a_living_guest_keeps_its_place),
        TEST(a_guest_that_was_replaced_ends),
        TEST(a_guest_that_closes_makes_room_at_once),
        TEST(a_guest_outlives_its_host),
        TEST(a_dead_hosts_region_is_stale),
        TEST(both_sides_may_die),
        TEST(a_heartbeat_costs_next_to_nothing),
#undef TEST
    };
    test_begin();
    return cmocka_run_group_tests_name("process_remote", tests, NULL, nothing_is_left);
}
