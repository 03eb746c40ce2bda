/* SPDX-License-Identifier: Apache-2.0 */
/* dx info and dx itself: what they say, their exit codes, and that they change nothing. */
#include "channel.h"
#include "dx_version.h"
#include "tool_run.h"

static void usage_is_taught_and_misuse_is_refused(void **state)
{
    (void)state;
    assert_misused(run(NULL, NULL, NULL, NULL), "dx info");
    assert_misused(run("inform", NULL, NULL, NULL), "inform");
    assert_says(run("-version", NULL, NULL, NULL), dx_version());
    static const char *const verbs[] = {"info", "reset", "rendezvous"};
    for (int i = 0; i < 3; i++) {
        assert_says(run("-h", NULL, NULL, NULL), verbs[i]);
        assert_says(run(verbs[i], "-h", NULL, NULL), verbs[i]);
        assert_says(run(verbs[i], "-h", NULL, NULL), "Example");
        assert_says(run(verbs[i], "-h", NULL, NULL), "Exit codes");
        assert_misused(run(verbs[i], NULL, NULL, NULL), "needs one");
    }
    for (int i = 0; i < 2; i++) {
        assert_misused(run(verbs[i], "shm:a", "shm:b", NULL), "2 are given");
        assert_misused(run(verbs[i], "-wrong", "shm:a", NULL), "-wrong");
        assert_misused(run(verbs[i], "nonsense", NULL, NULL), "nonsense");
        assert_misused(run(verbs[i], "shm:", NULL, NULL), "shm:");
    }
}

static void a_living_region_is_shown(void **state)
{
    struct scene *s = *state;
    start_host(s);
    const struct result *r = assert_states(s, "open", "none");
    assert_value(r, "locks.host", "true");
    assert_value(r, "locks.guest", "false");
    start_guest(s);
    call_well(s);
    r = assert_states(s, "open", "open");
    char version[32];
    (void)snprintf(version, sizeof version, "\"%u.%u\"", DX_PROTOCOL_MAJOR, DX_PROTOCOL_MINOR);
    assert_value(r, "version", version);
    assert_number(r, "slots.host", 2);
    assert_number(r, "slots.guest", 1);
    assert_number(r, "request_capacity_bytes", 64);
    assert_number(r, "response_capacity_bytes", 64);
    assert_number(r, "peers.host.pid", (uint64_t)s->host.pid);
    assert_number(r, "peers.guest.pid", (uint64_t)s->guest.pid);
    assert_value(r, "locks.open", "true");
    assert_value(r, "locks.guest", "true");
    call_well(s);
    (void)run("info", s->url, NULL, NULL);
    call_well(s);
}

static void what_was_counted_is_shown(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    for (int i = 0; i < 5; i++)
        call_well(s);
    child_kill(&s->guest); /* nobody counts any more */
    struct dx_channel *observer = NULL;
    struct dx_stats callers;
    struct dx_stats servers;
    assert_status(dx_observe(s->url, &observer), DX_OK);
    assert_status(dx_stats_read(observer, DX_STATS_HOST_CALLERS, &callers), DX_OK);
    assert_status(dx_stats_read(observer, DX_STATS_GUEST_SERVERS, &servers), DX_OK);
    uint64_t bytes = dx_channel_region_bytes(observer);
    assert_status(dx_close(observer), DX_OK);
    const struct result *r = run("info", "-json", s->url, NULL);
    assert_int_equal(r->code, 0);
    assert_number(r, "region_bytes", bytes);
    assert_int_equal(callers.calls, 5 * CHILD_BURST);
    assert_number(r, "counters.host_callers.calls", callers.calls);
    assert_number(r, "counters.host_callers.request_bytes", 5 * CHILD_BURST * sizeof(uint64_t));
    assert_number(r, "counters.host_callers.looks", callers.looks);
    assert_number(r, "counters.host_callers.spin", callers.spin);
    assert_number(r, "counters.host_callers.rings", callers.rings);
    assert_number(r, "counters.host_callers.spin_limit", callers.spin_limit);
    assert_number(r, "counters.guest_servers.calls", servers.calls);
    assert_number(r, "counters.guest_servers.parks", servers.parks);
    assert_number(r, "counters.guest_callers.calls", 0);
    assert_number(r, "counters.host_servers.calls", 0);
    char line[64];
    (void)snprintf(line, sizeof line, "\ncalls %25llu", (unsigned long long)callers.calls);
    assert_says(run("info", s->url, NULL, NULL), line);
}

static void info_changes_nothing(void **state)
{
    struct scene *s = *state;
    start_host(s);
    struct snapshot before = take_snapshot(s->path);
    assert_states(s, "open", "none");
    assert_untouched(s->path, &before);
}

static void dead_sides_are_shown(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    call_well(s);
    pid_t host = s->host.pid;
    child_kill(&s->guest);
    assert_states(s, "open", "dead");
    start_guest(s);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0); /* or it would close when its host dies */
    child_kill(&s->host);
    const struct result *r = assert_states(s, "dead", "open");
    assert_number(r, "peers.host.pid", (uint64_t)host);
    assert_value(r, "locks.host", "false");
    child_kill(&s->guest);
    assert_states(s, "dead", "dead");
}

/* A file that was there before its host stays behind it. */
static void closed_sides_are_shown(void **state)
{
    struct scene *s = *state;
    make_file(s->path, 1 << 16, 0);
    assert_refuses(run("info", s->url, NULL, NULL), "no host has begun");
    start_host(s);
    start_guest(s);
    call_well(s);
    child_tell(&s->host, 'q');
    assert_exited(child_end(&s->host));
    (void)child_end(&s->guest);
    assert_states(s, "closed", "closed");
}

/* Does a file of /proc about this process contain the text? */
static bool proc_says(pid_t pid, const char *file, const char *text)
{
    char name[64];
    char line[4096];
    bool found = false;
    (void)snprintf(name, sizeof name, "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(name, "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = strstr(line, text) != NULL;
    if (f != NULL)
        (void)fclose(f);
    return found;
}

/* Leaves a region in which a guest seems to be in a VM: it is listened for. */
static int leave_with_guest(void *user)
{
    const struct scene *s = user;
    struct dx_channel *host;
    if (dx_create(s->url, &small, &host) != DX_OK)
        return 2;
    struct dx_peer_lines *guest = &host->peers[DX_GUEST];
    dx_store_relaxed(&guest->kernel, 12345u);
    dx_store_release(&guest->state, (uint32_t)DX_PEER_STATE_OPEN);
    return 0;
}

/* Runs dx info, and cuts the file short while it listens. */
static void look_and_cut_short(struct scene *s, struct result *r)
{
    struct command command = {{"info", s->url, NULL, NULL},
                              memfd_create("out", MFD_CLOEXEC),
                              memfd_create("err", MFD_CLOEXEC)};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(execute(&command));
    while (!(proc_says(pid, "maps", s->path) && proc_says(pid, "status", "(sleeping)")) &&
           !proc_says(pid, "status", "(zombie)"))
        (void)sched_yield();
    assert_int_equal(truncate(s->path, 0), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    r->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back(command.out, r->out);
    read_back(command.err, r->err);
}

static void a_file_that_is_cut_short_meanwhile_is_an_error(void **state)
{
    struct scene *s = *state;
    struct result r;
    do { /* where we had no CPU for as long as it listens, it was not cut short meanwhile */
        (void)unlink(s->path);
        assert_exited(test_in_child(leave_with_guest, s));
        look_and_cut_short(s, &r);
        watchdog_step();
    } while (r.code == 0);
    assert_refuses(&r, "cut short");
}

static void what_cannot_be_shown_is_explained(void **state)
{
    struct scene *s = *state;
    char pid[32];
    const uint32_t version = 7u << 16;
    const uint64_t offset = 77;
    assert_refuses(run("info", s->url, NULL, NULL), "nothing there");
    assert_refuses(run("info", "-json", s->url, NULL), "nothing there");
    assert_string_equal(run("info", "-json", s->url, NULL)->out, "");
    start_host(s);
    (void)pid_text(pid, s->host.pid);
    *strrchr(pid, ' ') = '\n';
    put_magic(s, DX_MAGIC_REBUILDING);
    assert_refuses(run("info", s->url, NULL, NULL), "has not finished");
    assert_refuses(run("info", s->url, NULL, NULL), pid);
    put_magic(s, 0x1234);
    assert_refuses(run("info", s->url, NULL, NULL), "0x0000000000001234");
    assert_refuses(run("info", s->url, NULL, NULL), pid); /* who lives there all the same */
    put_magic(s, DX_MAGIC);
    patch_file(s->path, offsetof(struct dx_header, version), &version, sizeof version);
    assert_refuses(run("info", s->url, NULL, NULL), "7.0");
    child_kill(&s->host);
    start_host(s);
    patch_file(s->path, offsetof(struct dx_header, cells_offset), &offset, sizeof offset);
    assert_refuses(run("info", s->url, NULL, NULL), "damaged");
    assert_refuses(run("info", s->url, NULL, NULL), "dx reset");
    child_kill(&s->host);
    assert_int_equal(truncate(s->path, 4096), 0);
    assert_refuses(run("info", s->url, NULL, NULL), "4096 bytes are there");
    assert_int_equal(truncate(s->path, 100), 0);
    assert_refuses(run("info", s->url, NULL, NULL), "has 100 bytes");
}

static void a_full_disk_is_a_failure(void **state)
{
    struct scene *s = *state;
    start_host(s);
    static const char *const flags[] = {"info", "-json", "-h"};
    for (int i = 0; i < 3; i++) {
        struct command c = {{"info", s->url, i == 0 ? NULL : flags[i], NULL},
                            open("/dev/full", O_WRONLY | O_CLOEXEC),
                            memfd_create("err", MFD_CLOEXEC)};
        int status = test_in_child(execute, &c);
        char err[REPORT_BYTES];
        (void)close(c.out);
        read_back(c.err, err);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        assert_non_null(strstr(err, "standard output"));
    }
}

/* A path is bytes; JSON is text. */
static void json_holds_any_path(void **state)
{
    struct scene *s = *state;
    char path[TEST_PATH_BYTES + 32];
    char url[TEST_URL_BYTES + 32];
    char value[256];
    (void)snprintf(path, sizeof path, "%s-\"\\\n\x01\xff\xc3\xa4\xed\xa0\x80", s->path);
    (void)snprintf(url, sizeof url, "file:%s", path);
    leave_stale(url, small);
    const struct result *r = run("info", "-json", url, NULL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(r->code, 0);
    assert_true(json_is_valid(r->out));
    assert_true(json_get(r->out, "url", value, sizeof value));
    assert_non_null(strstr(value, "-\\\"\\\\\\u000a\\u0001\\ufffd\xc3\xa4\\ufffd\\ufffd\\ufffd\""));
}

/* The reader of these tests is no believer. */
static void what_is_no_json_is_told_from_json(void **state)
{
    static const char *const valid[] = {
        "{}", " [1, -2.5e+3, \"\\u00e4\\n\", true, null, {\"a\": {\"b\": []}}] ", "0"};
    static const char *const invalid[] = {
        "",      "{",          "{]",  "[1,]", "{\"a\" 1}", "{\"a\": }", "{a: 1}",   "01",
        "1.",    "+1",         "tru", "\"a",  "\"\\x\"",   "\"\\u12\"", "\"\n\"",   "[1 2]",
        "{} {}", "{\"a\":1,}", "nan", "-",    "1e",        "'a'",       "[\"a\":1]"};
    char value[16];
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        assert_true(json_is_valid(valid[i]));
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        if (json_is_valid(invalid[i]))
            fail_msg("taken for JSON: %s", invalid[i]);
    assert_true(json_get("{\"a\": 1, \"b\": {\"a\": 2, \"c\": 3}}", "b.c", value, sizeof value));
    assert_string_equal(value, "3");
    assert_false(json_get("{\"a\": 1, \"b\": {\"a\": 2}}", "b.c", value, sizeof value));
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF("shm", usage_is_taught_and_misuse_is_refused),
        TRANSPORT_TEST(a_living_region_is_shown),
        TRANSPORT_TEST(what_was_counted_is_shown),
        TRANSPORT_TEST_OF_FILES(info_changes_nothing),
        TRANSPORT_TEST_OF_FILES(dead_sides_are_shown),
        TRANSPORT_TEST_OF("file", closed_sides_are_shown),
        TRANSPORT_TEST_OF("file", a_file_that_is_cut_short_meanwhile_is_an_error),
        TRANSPORT_TEST_OF_FILES(what_cannot_be_shown_is_explained),
        TRANSPORT_TEST_OF("shm", a_full_disk_is_a_failure),
        TRANSPORT_TEST_OF("file", json_holds_any_path),
        TRANSPORT_TEST_OF("shm", what_is_no_json_is_told_from_json),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
