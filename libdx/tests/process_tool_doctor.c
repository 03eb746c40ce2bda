/* SPDX-License-Identifier: Apache-2.0 */
/* dx doctor on this machine, whatever it is. */
#include "tool_run.h"

/* Levels as the exit code says them. */
static void check_code(const struct result *r)
{
    char problems[32];
    assert_true(json_is_valid(r->out));
    assert_true(json_get(r->out, "problems", problems, sizeof problems));
    assert_int_equal(r->code, strcmp(problems, "0") == 0 ? 0 : 1);
}

static void every_check_finds_something(void **state)
{
    (void)state;
    static const char *const checks[] = {"user",       "cpus",   "smt",   "governor", "quota",
                                         "hypervisor", "wait",   "timer", "kvm",      "shm",
                                         "hugepages",  "limits", "names", "kernel",   "lockdown",
                                         "ivshmem",    "iommu",  "vfio",  "counters"};
    const struct result *r = run("doctor", "-json", NULL, NULL);
    check_code(r);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        char path[64];
        char value[1024];
        (void)snprintf(path, sizeof path, "findings.%s.found", checks[i]);
        if (!json_get(r->out, path, value, sizeof value) || strlen(value) < 4)
            fail_msg("nothing was found of %s in\n%s", checks[i], r->out);
    }
}

static void the_text_says_the_same(void **state)
{
    (void)state;
    const struct result *r = run("doctor", NULL, NULL, NULL);
    assert_in_range(r->code, 0, 1);
    assert_non_null(strstr(r->out, "ok       user          user "));
    assert_non_null(strstr(r->out, "  kvm           "));
    for (const char *line = r->out; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        assert_in_range(length, 0, 100);
        line += length + (line[length] != '\0');
    }
}

static void usage_is_taught_and_misuse_is_refused(void **state)
{
    (void)state;
    assert_says(run("-h", NULL, NULL, NULL), "doctor");
    assert_says(run("doctor", "-h", NULL, NULL), "Exit codes");
    assert_says(run("doctor", "-h", NULL, NULL), "Example");
    assert_misused(run("doctor", "-wrong", NULL, NULL), "-wrong");
    assert_misused(run("doctor", "shm:a", NULL, NULL), "shm:a");
}

/* Another user, who owns nothing here. */
static int run_as_nobody(void *user)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 105;
    return execute(user);
}

static void it_needs_no_rights(void **state)
{
    (void)state;
    static struct result r;
    struct command command = {{"doctor", "-json", NULL, NULL},
                              memfd_create("out", MFD_CLOEXEC),
                              memfd_create("err", MFD_CLOEXEC)};
    int status = test_in_child(run_as_nobody, &command);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back(command.out, r.out);
    read_back(command.err, r.err);
    assert_string_equal(r.err, "");
    check_code(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_finds_something),
        cmocka_unit_test(the_text_says_the_same),
        cmocka_unit_test(usage_is_taught_and_misuse_is_refused),
        cmocka_unit_test(it_needs_no_rights),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
