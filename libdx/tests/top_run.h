/* SPDX-License-Identifier: Apache-2.0 */
/* dx top -json, and calls that go on while it looks. */
#ifndef DX_TEST_TOP_RUN_H
#define DX_TEST_TOP_RUN_H

#include "tool_run.h"

/* What the first place that is shown says. */
static inline double number_of(const struct result *r, const char *path)
{
    char value[64];
    assert_int_equal(r->code, 0);
    assert_true(json_is_valid(r->out));
    if (!json_get(strchr(r->out, '[') + 1, path, value, sizeof value))
        fail_msg("no %s in %s", path, r->out);
    return strtod(value, NULL);
}

static inline int call_for_ever(void *user)
{
    const struct scene *s = user;
    for (;;) {
        char command = 'c';
        char report;
        if (write(s->host.commands, &command, 1) != 1 || read(s->host.reports, &report, 1) != 1)
            return 1;
    }
}

/* Lets the host call until it is killed. */
static inline pid_t start_calls(struct scene *s)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == parent ? call_for_ever(s) : 126);
    }
    assert_true(pid > 0);
    return pid;
}

static inline void end_calls(pid_t pid)
{
    int status;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
}

static inline void check_value_of(const struct result *r, const char *path, const char *expected,
                                  const char *file, int line)
{
    char value[128] = "nothing";
    if (r->code == 0 && json_is_valid(r->out) &&
        json_get(strchr(r->out, '[') + 1, path, value, sizeof value) &&
        strcmp(value, expected) == 0)
        return;
    print_error("%s is %s, expected %s, in:\n%s\n%s\n", path, value, expected, r->out, r->err);
    _fail(file, line);
}

#define assert_value_of(r, path, expected)                                                         \
    check_value_of((r), (path), (expected), __FILE__, __LINE__)

/* Looks twice at the scene's region, at this interval. */
static inline const struct result *look_again(const struct scene *s, const char *every)
{
    return run_command(&(struct command){.arguments = {"top", "-once", "-json", s->url, every}});
}

static inline const struct result *look_at(const struct scene *s)
{
    return look_again(s, "-every=1");
}

/* The same until a number is above a bound: who does something gets a CPU at some time. */
#define LOOKS_MAX 1000
static inline const struct result *look_for(const struct scene *s, const char *path, double bound)
{
    const struct result *r = look_again(s, "-every=0.1");
    for (int i = 1; i < LOOKS_MAX && number_of(r, path) <= bound; i++)
        r = look_again(s, "-every=0.1");
    assert_true(number_of(r, path) > bound);
    return r;
}

#endif
