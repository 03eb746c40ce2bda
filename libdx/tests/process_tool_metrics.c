/* SPDX-License-Identifier: Apache-2.0 */
/* dx metrics on living regions: what is counted, and that promtool takes it, where that is
 * installed. unit_tool_metrics.c has the form. */
#include "tool_run.h"

static void usage_is_taught_and_misuse_is_refused(void **state)
{
    (void)state;
    assert_says(run("metrics", "-h", NULL, NULL), "Exit codes");
    assert_says(run("metrics", "-h", NULL, NULL), "Example");
    assert_misused(run("metrics", "-wrong", NULL, NULL), "-wrong");
    assert_misused(run("metrics", "-o", NULL, NULL), "value is missing");
    assert_misused(run("metrics", "nonsense", NULL, NULL), "nonsense");
    assert_misused(run("metrics", "shm:a", "shm:a", NULL), "once");
}

static void calls_are_counted(void **state)
{
    struct scene *s = *state;
    char line[TEST_URL_BYTES + 96];
    start_host(s);
    start_guest(s);
    call_well(s);
    (void)snprintf(line, sizeof line,
                   "\ndx_calls_total{url=\"%s\",place=\"0\",side=\"host\",role=\"caller\"} %u\n",
                   s->url, CHILD_BURST);
    assert_says(run("metrics", s->url, NULL, NULL), line);
    (void)snprintf(line, sizeof line, "\ndx_peer_open{url=\"%s\",place=\"0\",side=\"guest\"} 1\n",
                   s->url);
    assert_says(run("metrics", s->url, NULL, NULL), line);
    child_kill(&s->guest);
    line[strlen(line) - 2] = '0';
    assert_says(run("metrics", s->url, NULL, NULL), line);
}

static void what_cannot_be_read_is_no_failure(void **state)
{
    struct scene *s = *state;
    char line[TEST_URL_BYTES + 32];
    (void)snprintf(line, sizeof line, "dx_up{url=\"%s\"} 0\n", s->url);
    const struct result *r = run("metrics", s->url, NULL, NULL);
    assert_says(r, line);
    assert_non_null(strstr(r->err, "nothing there"));
}

static int check_by_promtool(void *user)
{
    int in = open(user, O_RDONLY | O_CLOEXEC);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0)
        return 105;
    (void)execlp("promtool", "promtool", "check", "metrics", (char *)NULL);
    return errno == ENOENT ? 106 : 107;
}

/* Also without a URL: all regions of this user, whatever they are called. */
static void promtool_takes_what_is_written_to_a_file(void **state)
{
    struct scene *s = *state;
    const char *path = test_path("metrics.prom");
    char text[REPORT_BYTES];
    struct stat file;
    start_host(s);
    start_guest(s);
    call_well(s);
    for (int all = 0; all < 2; all++) {
        assert_says(run("metrics", "-o", path, all ? NULL : s->url), "");
        assert_int_equal(stat(path, &file), 0);
        assert_int_equal(file.st_mode & 07777, 0644);
        if (!all) { /* with those of other tests it has any length */
            read_back(open(path, O_RDONLY | O_CLOEXEC), text);
            assert_non_null(strstr(text, "# TYPE dx_calls_total counter\n"));
        }
        int status = test_in_child(check_by_promtool, (void *)path);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 106)
            print_message("promtool is not installed\n");
        else
            assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(unlink(path), 0);
    }
    assert_refuses(run("metrics", "-o", "/nonexistent/x.prom", s->url), "cannot be written");
    assert_int_equal(mkfifo(path, 0600), 0); /* as a device, it is not replaced */
    assert_refuses(run("metrics", "-o", path, s->url), "no regular file");
    assert_int_equal(stat(path, &file), 0);
    assert_true(S_ISFIFO(file.st_mode));
    assert_int_equal(unlink(path), 0);
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF("shm", usage_is_taught_and_misuse_is_refused),
        TRANSPORT_TEST(calls_are_counted),
        TRANSPORT_TEST_OF_FILES(what_cannot_be_read_is_no_failure),
        TRANSPORT_TEST(promtool_takes_what_is_written_to_a_file),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
