/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog of these tests: it ends what hangs, says where, and leaves alone what is slow. */
#include <pthread.h>

#include "test.h"

/* Bounds in ms. A thread that spins for so long is found after five times that. */
#define BOUND "2000"
#define BOUND_OF_SPINNERS "300"

#define OUTPUT 16384

/* A test that this program plays, and what came of it. */
struct played {
    char text[OUTPUT]; /* its standard error */
    int status;
};

static void *sleep_for_ever(void *unused)
{
    for (;;)
        (void)pause();
    return unused;
}

/* Not by sched_yield, which on a busy machine leaves it no time that would count. */
static void *spin_for_ever(void *unused)
{
    for (volatile uint64_t looks = 0;; looks++)
        ;
    return unused;
}

/* In a thread that is not the first one. */
static void hang(void *(*how)(void *))
{
    pthread_t thread;
    (void)pthread_create(&thread, NULL, how, NULL);
    (void)pthread_join(thread, NULL);
}

/* Longer than the bound, in steps. */
static void be_slow(void)
{
    for (int i = 0; i < 30; i++) {
        const struct timespec step = {.tv_nsec = 100000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
        watchdog_step();
    }
}

static void play(const char *role)
{
    test_begin();
    if (strcmp(role, "sleep") == 0)
        hang(sleep_for_ever);
    else if (strcmp(role, "spin") == 0)
        hang(spin_for_ever);
    else if (strcmp(role, "slow") == 0)
        be_slow();
    else if (strcmp(role, "abort") == 0)
        abort();
    exit(strcmp(role, "fail") == 0 ? 3 : 0);
}

static struct played run(const char *role)
{
    struct played p = {.status = -1};
    int output[2];
    assert_int_equal(pipe(output), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *const arguments[] = {(char *)"played", (char *)role, NULL};
        (void)setenv("DX_TEST_QUIET_MS", strcmp(role, "spin") == 0 ? BOUND_OF_SPINNERS : BOUND, 1);
        (void)dup2(output[1], STDERR_FILENO);
        (void)close(output[0]);
        (void)close(output[1]);
        (void)execv("/proc/self/exe", arguments);
        _exit(125);
    }
    assert_true(pid > 0);
    (void)close(output[1]);
    size_t bytes = 0;
    for (ssize_t got = 1; got > 0 && bytes<OUTPUT - 1; bytes += got> 0 ? (size_t)got : 0)
        got = read(output[0], p.text + bytes, OUTPUT - 1 - bytes);
    (void)close(output[0]);
    assert_int_equal(waitpid(pid, &p.status, 0), pid);
    return p;
}

static void assert_said(const struct played *p, const char *text)
{
    if (strstr(p->text, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, p->text);
}

/* Of each thread, even without a debugger, its state and its system call. */
static void what_sleeps_for_ever_is_ended_and_explained(void **state)
{
    (void)state;
    struct played p = run("sleep");
    assert_true(WIFEXITED(p.status));
    assert_int_equal(WEXITSTATUS(p.status), 124);
    assert_said(&p, "No progress");
    assert_said(&p, "played sleep");
    const char *second = strstr(p.text, " thread ");
    assert_non_null(second);
    assert_non_null(strstr(second + 1, " thread "));
    assert_said(&p, ": S in ");
    assert_said(&p, "system call ");
}

static void what_spins_for_ever_is_ended_and_explained(void **state)
{
    (void)state;
    struct played p = run("spin");
    assert_true(WIFEXITED(p.status));
    assert_int_equal(WEXITSTATUS(p.status), 124);
    assert_said(&p, ": R in ");
}

static void what_is_slow_and_gets_on_is_left_alone(void **state)
{
    (void)state;
    struct played p = run("slow");
    assert_exited(p.status);
    assert_string_equal(p.text, "");
}

static void a_test_ends_as_it_would_without_a_watchdog(void **state)
{
    (void)state;
    assert_exited(run("end").status);
    struct played p = run("fail");
    assert_true(WIFEXITED(p.status));
    assert_int_equal(WEXITSTATUS(p.status), 3);
    p = run("abort");
    assert_true(WIFSIGNALED(p.status));
    assert_int_equal(WTERMSIG(p.status), SIGABRT);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        play(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sleeps_for_ever_is_ended_and_explained),
        cmocka_unit_test(what_spins_for_ever_is_ended_and_explained),
        cmocka_unit_test(what_is_slow_and_gets_on_is_left_alone),
        cmocka_unit_test(a_test_ends_as_it_would_without_a_watchdog),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
