/* SPDX-License-Identifier: Apache-2.0 */
/* dx reset: what it clears, and that it leaves alone what lives and what is not dx's. */
#include "tool_run.h"

/* Neither verb gets at these, forced or not, and they stay as they are. */
static void check_kept(const struct scene *s, const char *named)
{
    struct snapshot before = take_snapshot(s->path);
    assert_refuses(run("info", s->url, NULL, NULL), named);
    assert_refuses(run("reset", s->url, NULL, NULL), named);
    assert_refuses(run("reset", "-force", s->url, NULL), named);
    assert_untouched(s->path, &before);
}

static void what_is_not_ours_is_left_alone(void **state)
{
    struct scene *s = *state;
    const char *target = test_path("target");
    char url[TEST_URL_BYTES];
    leave_stale(test_file_url(target, url), small);
    struct snapshot before = take_snapshot(target);
    assert_int_equal(symlink(target, s->path), 0);
    check_kept(s, "a symbolic link");
    assert_untouched(target, &before);
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(rename(target, s->path), 0);
    assert_int_equal(chmod(s->path, 0640), 0);
    check_kept(s, "0640");
    assert_int_equal(chmod(s->path, 0600), 0);
    if (chown(s->path, 65534, 65534) != 0)
        fail_msg("needs root to give a file to another user");
    check_kept(s, "belongs to user 65534");
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(mkfifo(s->path, 0600), 0);
    check_kept(s, "not a regular file");
    test_paths()->count--; /* the target's name is free for the next transport */
}

static void a_living_hosts_region_is_not_reset(void **state)
{
    struct scene *s = *state;
    char pid[32];
    start_host(s);
    (void)pid_text(pid, s->host.pid);
    struct snapshot before = take_snapshot(s->path);
    assert_refuses(run("reset", s->url, NULL, NULL), pid);
    assert_refuses(run("reset", "-force", s->url, NULL), pid);
    assert_untouched(s->path, &before);
    start_guest(s);
    call_well(s);
    assert_refuses(run("reset", s->url, NULL, NULL), pid);
    call_well(s);
    assert_states(s, "open", "open");
}

/* What the region says of its host is of no account: the lock is. */
static void a_living_host_is_found_behind_damage(void **state)
{
    struct scene *s = *state;
    char pid[32];
    unsigned char noise[DX_HEADER_BYTES];
    memset(noise, 0xa5, sizeof noise);
    start_host(s);
    (void)pid_text(pid, s->host.pid);
    /* Its heartbeat would write between the two looks. */
    assert_int_equal(kill(s->host.pid, SIGSTOP), 0);
    test_await_state(s->host.pid, 'T');
    patch_file(s->path, 0, noise, sizeof noise);
    struct snapshot before = take_snapshot(s->path);
    assert_refuses(run("reset", s->url, NULL, NULL), pid);
    assert_refuses(run("reset", "-force", s->url, NULL), pid);
    assert_untouched(s->path, &before);
}

static void a_living_guest_keeps_the_region_of_a_dead_host(void **state)
{
    struct scene *s = *state;
    char pid[32];
    start_host(s);
    start_guest(s);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0);
    child_kill(&s->host);
    (void)pid_text(pid, s->guest.pid);
    struct snapshot before = take_snapshot(s->path);
    assert_refuses(run("reset", s->url, NULL, NULL), pid);
    assert_refuses(run("reset", "-force", s->url, NULL), pid);
    assert_untouched(s->path, &before);
    child_kill(&s->guest);
    assert_says(run("reset", s->url, NULL, NULL), s->url);
}

/* Gone, or blank and of the size that it had. */
static void assert_cleared(const struct scene *s, off_t bytes)
{
    if (strcmp(s->transport->name, "shm") == 0) {
        assert_false(exists(s->path));
        return;
    }
    struct snapshot now = take_snapshot(s->path);
    bool blank = now.stat.st_size == bytes;
    for (off_t i = 0; i < now.stat.st_size; i++)
        blank = blank && now.bytes[i] == 0;
    free(now.bytes);
    assert_true(blank);
}

/* The next host of this name is one like any other. */
static void assert_usable(struct scene *s)
{
    start_host(s);
    start_guest(s);
    call_well(s);
    child_tell(&s->host, 'q');
    assert_exited(child_end(&s->host));
    (void)child_end(&s->guest);
    (void)unlink(s->path);
}

static void what_a_dead_host_left_is_cleared(void **state)
{
    struct scene *s = *state;
    const struct dx_config *const sizes[] = {&small, &large};
    for (int i = 0; i < 2; i++) {
        leave_stale(s->url, *sizes[i]);
        struct snapshot before = take_snapshot(s->path);
        free(before.bytes);
        assert_says(run("reset", s->url, NULL, NULL), s->url);
        assert_cleared(s, before.stat.st_size);
        assert_usable(s);
    }
}

/* Behind the magic anything may stand; without it only by force. */
static void damage_is_cleared(void **state)
{
    struct scene *s = *state;
    static const uint64_t magics[] = {DX_MAGIC, DX_MAGIC_REBUILDING, 0, 0x4141414141414141};
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        make_file(s->path, 50000, 0xee);
        put_magic(s, magics[i]);
        if (i >= 2) {
            struct snapshot before = take_snapshot(s->path);
            assert_refuses(run("reset", s->url, NULL, NULL), "-force");
            assert_untouched(s->path, &before);
            assert_says(run("reset", "-force", s->url, NULL), s->url);
        } else {
            assert_says(run("reset", s->url, NULL, NULL), s->url);
        }
        assert_cleared(s, 50000);
        assert_usable(s);
    }
}

static void what_was_cut_short_is_cleared_if_it_has_a_name_of_its_own(void **state)
{
    struct scene *s = *state;
    leave_stale(s->url, small);
    assert_int_equal(truncate(s->path, 100), 0);
    if (strcmp(s->transport->name, "shm") == 0) {
        assert_says(run("reset", s->url, NULL, NULL), "removed");
        assert_false(exists(s->path));
    } else {
        struct snapshot before = take_snapshot(s->path);
        assert_refuses(run("reset", "-force", s->url, NULL), "100 bytes");
        assert_untouched(s->path, &before);
    }
}

static void what_is_missing_cannot_be_reset(void **state)
{
    struct scene *s = *state;
    assert_refuses(run("reset", s->url, NULL, NULL), "nothing there");
    assert_refuses(run("reset", "-force", s->url, NULL), "nothing there");
    assert_false(exists(s->path));
}

static void a_blank_file_needs_no_reset(void **state)
{
    struct scene *s = *state;
    make_file(s->path, 1 << 16, 0);
    struct snapshot before = take_snapshot(s->path);
    assert_says(run("reset", s->url, NULL, NULL), "blank already");
    assert_untouched(s->path, &before);
}

/* Zeros at the beginning do not make it ours. */
static void a_file_that_only_begins_with_zeros_is_refused(void **state)
{
    struct scene *s = *state;
    make_file(s->path, 1 << 16, 0);
    patch_file(s->path, 50000, "x", 1);
    struct snapshot before = take_snapshot(s->path);
    assert_refuses(run("reset", s->url, NULL, NULL), "-force");
    assert_untouched(s->path, &before);
}

/* Writing zeros into all of it would take longer than the program has. */
static void a_large_sparse_region_is_cleared_without_filling_it(void **state)
{
    struct scene *s = *state;
    struct stat now;
    leave_stale(s->url, small);
    assert_int_equal(lstat(s->path, &now), 0);
    blkcnt_t blocks = now.st_blocks;
    assert_int_equal(truncate(s->path, (off_t)1 << 40), 0);
    assert_says(run("reset", s->url, NULL, NULL), "blank again");
    assert_int_equal(lstat(s->path, &now), 0);
    assert_true(now.st_blocks <= blocks);
    assert_says(run("reset", s->url, NULL, NULL), "blank already");
}

/* A host serves its memory itself, so that both go together. */
static void a_socket_is_shown_and_needs_no_reset(void **state)
{
    struct scene *s = *state;
    char pid[32];
    start_host(s);
    start_guest(s);
    call_well(s);
    assert_states(s, "open", "open");
    assert_refuses(run("reset", s->url, NULL, NULL), pid_text(pid, s->host.pid));
    call_well(s);
    child_kill(&s->host);
    assert_refuses(run("info", s->url, NULL, NULL), "nobody listens");
    assert_refuses(run("reset", s->url, NULL, NULL), "nobody listens");
    (void)child_end(&s->guest);
    assert_usable(s);
}

static void start_daemon(struct scene *s)
{
    int reports[2];
    char ready[8] = "";
    assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
    struct command c = {{"rendezvous", s->path, NULL, NULL}, reports[1], STDERR_FILENO};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == parent ? execute(&c) : 126);
    }
    assert_true(pid > 0);
    (void)close(reports[1]);
    s->daemon = (struct child){.pid = pid, .commands = -1, .reports = reports[0]};
    assert_int_equal(read(reports[0], ready, 6), 6);
    assert_string_equal(ready, "ready\n");
}

static void the_memory_of_a_rendezvous_is_cleared(void **state)
{
    struct scene *s = *state;
    char pid[32];
    start_daemon(s);
    assert_refuses(run("info", s->url, NULL, NULL), "no host has begun");
    assert_says(run("reset", s->url, NULL, NULL), "blank already");
    for (int i = 0; i < 2; i++) {
        start_host(s);
        start_guest(s);
        call_well(s);
        assert_refuses(run("reset", s->url, NULL, NULL), pid_text(pid, s->host.pid));
        call_well(s);
        child_kill(&s->guest);
        child_kill(&s->host);
        assert_states(s, "dead", "dead");
        assert_says(run("reset", s->url, NULL, NULL), "blank again");
        assert_refuses(run("info", s->url, NULL, NULL), "no host has begun");
    }
    assert_int_equal(kill(s->daemon.pid, SIGTERM), 0);
    assert_exited(child_end(&s->daemon));
    assert_false(exists(s->path));
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF_FILES(what_is_not_ours_is_left_alone),
        TRANSPORT_TEST_OF_FILES(a_living_hosts_region_is_not_reset),
        TRANSPORT_TEST_OF_FILES(a_living_host_is_found_behind_damage),
        TRANSPORT_TEST_OF_FILES(a_living_guest_keeps_the_region_of_a_dead_host),
        TRANSPORT_TEST_OF_FILES(what_a_dead_host_left_is_cleared),
        TRANSPORT_TEST_OF_FILES(damage_is_cleared),
        TRANSPORT_TEST_OF_FILES(what_was_cut_short_is_cleared_if_it_has_a_name_of_its_own),
        TRANSPORT_TEST(what_is_missing_cannot_be_reset),
        TRANSPORT_TEST_OF("file", a_blank_file_needs_no_reset),
        TRANSPORT_TEST_OF_FILES(a_file_that_only_begins_with_zeros_is_refused),
        TRANSPORT_TEST_OF("file", a_large_sparse_region_is_cleared_without_filling_it),
        TRANSPORT_TEST_OF("unix", the_memory_of_a_rendezvous_is_cleared),
        TRANSPORT_TEST_OF("unix", a_socket_is_shown_and_needs_no_reset),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
