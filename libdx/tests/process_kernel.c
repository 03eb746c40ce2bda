/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel a process is under, where that cannot be read: what is seen decides. */
#include <sys/resource.h>

#include "channel.h"
#include "child.h"
#include "liveness_kernel.h"

/* In the environment of a child: the kernel that it pretends to be under. */
#define KERNEL "DX_TEST_KERNEL"

static struct dx_config config_of(const struct dx_wait *wait)
{
    struct dx_config config = child_config();
    config.wait = wait;
    return config;
}

/* Without descriptors nobody can say which kernel this is; with them, everybody. */
static int find_out_later(void *user)
{
    (void)user;
    struct rlimit before;
    struct dx_channel *c;
    if (getrlimit(RLIMIT_NOFILE, &before) != 0)
        return 1;
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0)
        return 2;
    uint64_t alone = dx_kernel_id();
    struct dx_config config = child_config();
    if (setrlimit(RLIMIT_NOFILE, &before) != 0 || dx_create("memfd:", &config, &c) != DX_OK)
        return 3;
    /* Relaxed: ours. */
    return dx_load_relaxed(&c->peers[DX_HOST].kernel) != alone ? 0 : 4;
}

/* The child must not know before: this test is the first, and asks last. */
static void a_failure_to_find_out_is_not_remembered(void **state)
{
    (void)state;
    assert_exited(test_in_child(find_out_later, NULL));
    assert_true(dx_kernel_find());
}

/* A child that does not know its kernel, as a guest of a host here. */
struct scene {
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *host;
    struct dx_caller *caller;
    struct child guest;
};

#define PEER_TIMEOUT (300 * MS)

static int set_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct dx_wait wait;
    assert_non_null(s);
    *state = s;
    assert_status(dx_wait_default(&wait), DX_OK);
    wait.peer_timeout_ns = PEER_TIMEOUT;
    const struct dx_config config = config_of(&wait);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_status(dx_create(test_shm_url(test_path("kernel"), s->url), &config, &s->host), DX_OK);
    assert_status(dx_caller_open(s->host, 0, &s->caller), DX_OK);
    assert_int_equal(setenv(KERNEL, "4294967295", 1), 0);
    s->guest = child_start("guest", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->guest), 'a');
    return 0;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s->guest.pid != 0)
        (void)kill(s->guest.pid, SIGCONT);
    child_kill(&s->guest);
    dx_caller_close(s->caller);
    dx_status status = dx_close(s->host);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    return status == DX_OK ? 0 : -1;
}

static void call_well(struct scene *s)
{
    uint64_t number;
    assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &number), DX_OK);
}

static void who_holds_a_lock_that_is_seen_is_here(void **state)
{
    struct scene *s = *state;
    struct dx_peer_info info;
    call_well(s);
    dx_channel_peer_info(s->host, &info);
    assert_int_not_equal(info.kernel, dx_kernel_id());
    assert_int_equal(info.remote, 0);
    assert_int_equal(dx_channel_park_kind(s->host), DX_PARK_FUTEX);
    assert_string_equal(dx_channel_notice(s->host), "");
}

static void who_holds_a_lock_that_is_seen_may_be_stopped_and_lives(void **state)
{
    struct scene *s = *state;
    call_well(s);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0);
    test_await_state(s->guest.pid, 'T');
    /* Until its heartbeat has been silent for long enough by our own thread's account. */
    while (dx_load_relaxed(&s->host->heartbeat.silent_ns) < 2 * PEER_TIMEOUT)
        (void)sched_yield();
    assert_int_equal(dx_channel_peer(s->host), DX_PEER_ALIVE);
    assert_int_equal(dx_channel_park_kind(s->host), DX_PARK_FUTEX);
    assert_int_equal(kill(s->guest.pid, SIGCONT), 0);
    call_well(s);
}

static void the_death_of_one_who_was_seen_is_noticed(void **state)
{
    struct scene *s = *state;
    uint64_t number;
    call_well(s);
    child_kill(&s->guest);
    assert_status(child_call(s->caller, s->tally, TYPE_ECHO, PATIENCE, &number), DX_ERR_PEER_DEAD);
}

/* Alone, or with a side that is not seen, it is unclear, and is said. */
static int be_unsure(void *user)
{
    struct dx_channel *host;
    struct dx_channel *guest;
    struct dx_config config = child_config();
    dx_kernel_pretend(DX_KERNEL_UNKNOWN);
    if (dx_create(user, &config, &host) != DX_OK ||
        strstr(dx_channel_notice(host), "kernel") == NULL)
        return 1;
    if (dx_attach(user, NULL, PATIENCE, &guest) != DX_OK || *dx_channel_notice(host) != '\0' ||
        *dx_channel_notice(guest) != '\0')
        return 2;
    return dx_close(guest) == DX_OK && dx_close(host) == DX_OK ? 0 : 3;
}

static void who_does_not_know_says_so_until_it_sees(void **state)
{
    (void)state;
    char url[TEST_URL_BYTES];
    assert_exited(test_in_child(be_unsure, (char *)test_shm_url(test_path("unsure"), url)));
}

int main(int argc, char **argv)
{
    const char *kernel = getenv(KERNEL);
    if (argc == 3 && kernel != NULL)
        dx_kernel_pretend((uint32_t)strtoul(kernel, NULL, 10));
    child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_to_find_out_is_not_remembered),
        cmocka_unit_test(who_does_not_know_says_so_until_it_sees),
        cmocka_unit_test_setup_teardown(who_holds_a_lock_that_is_seen_is_here, set_scene,
                                        clear_scene),
        cmocka_unit_test_setup_teardown(who_holds_a_lock_that_is_seen_may_be_stopped_and_lives,
                                        set_scene, clear_scene),
        cmocka_unit_test_setup_teardown(the_death_of_one_who_was_seen_is_noticed, set_scene,
                                        clear_scene),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
