/* SPDX-License-Identifier: Apache-2.0 */
/* What every test needs: a watchdog, names that are gone afterwards, and asserts that say what a
 * status means. Tests synchronise by handshake; the watchdog is what ends one that hangs. */
#ifndef DX_TEST_H
#define DX_TEST_H

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* It wants setjmp.h and stdarg.h before it. */
#include <cmocka.h>

#include "clock.h"
#include "dx.h"
#include "watchdog.h"

#define MS 1000000ll
#define SECOND 1000000000ll

/* The deadline of what must happen. Nobody waits so long: the watchdog ends a test that hangs. */
#define PATIENCE (3600 * SECOND)

/* How late a deadline may be noticed: any time that a loaded machine may need. What would go on for
 * longer is a hang, and the watchdog's. */
#define SLACK (600 * SECOND)

/* For what must not end a wait, such as the next look at a peer: longer than SLACK, so that a test
 * sees what else ended it. */
#define FAR_OFF (900 * SECOND)

#define TEST_PATHS 64
#define TEST_PATH_BYTES 128

/* Names that this program made, to be removed however it ends. */
struct test_paths {
    char path[TEST_PATHS][TEST_PATH_BYTES];
    int count;
};

static inline struct test_paths *test_paths(void)
{
    static struct test_paths paths;
    return &paths;
}

/* Last made, first removed, because a folder must be empty. Called by a signal handler, too. */
static inline void test_remove_paths(void)
{
    struct test_paths *p = test_paths();
    for (int i = p->count - 1; i >= 0; i--)
        if (unlink(p->path[i]) != 0)
            (void)rmdir(p->path[i]);
}

/* For a signal that ends the test. */
static inline void test_end_by_signal(int signal_number)
{
    (void)signal_number;
    test_remove_paths();
    _exit(124);
}

/* First thing in main: the watchdog ends a test that hangs, see watchdog.h. */
static inline void test_begin(void)
{
    watchdog_begin();
    /* What was said before a hang is not to be lost. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)atexit(test_remove_paths);
}

/* A path in /dev/shm that nobody else uses; removed at the end. */
static inline const char *test_path(const char *tag)
{
    struct test_paths *p = test_paths();
    assert_in_range(p->count, 0, TEST_PATHS - 1);
    char *path = p->path[p->count++];
    (void)snprintf(path, TEST_PATH_BYTES, "/dev/shm/dx-test-%d-%s", (int)getpid(), tag);
    return path;
}

/* The URL of a test_path, by name or as a file, in a buffer of the caller's. */
#define TEST_URL_BYTES (TEST_PATH_BYTES + 8)

static inline const char *test_shm_url(const char *path, char *url)
{
    (void)snprintf(url, TEST_URL_BYTES, "shm:%s", strrchr(path, '/') + 1);
    return url;
}

static inline const char *test_file_url(const char *path, char *url)
{
    (void)snprintf(url, TEST_URL_BYTES, "file:%s", path);
    return url;
}

static inline void test_check_status(dx_status actual, dx_status expected, const char *file,
                                     int line)
{
    watchdog_step();
    if (actual == expected)
        return;
    print_error("status %d (%s), expected %d (%s); last error: \"%s\"\n", (int)actual,
                dx_status_string(actual), (int)expected, dx_status_string(expected),
                dx_last_error());
    _fail(file, line);
}

#define assert_status(actual, expected) test_check_status((actual), (expected), __FILE__, __LINE__)

static inline void test_check_detail(const char *text, const char *file, int line)
{
    watchdog_step();
    if (*text != '\0' && strstr(dx_last_error(), text) != NULL)
        return;
    print_error("\"%s\" is not in the last error \"%s\"\n", text, dx_last_error());
    _fail(file, line);
}

/* The latest failure's detail holds this text. */
#define assert_detail(text) test_check_detail((text), __FILE__, __LINE__)

static inline void test_check_elapsed(int64_t start_ns, int64_t at_least_ns, int64_t below_ns,
                                      const char *file, int line)
{
    int64_t elapsed = dx_clock_ns() - start_ns;
    watchdog_step();
    if (elapsed >= at_least_ns && elapsed < below_ns)
        return;
    print_error("%lld ns have passed, expected were %lld to %lld\n", (long long)elapsed,
                (long long)at_least_ns, (long long)below_ns);
    _fail(file, line);
}

/* For how long this thread has waited for a CPU so far: what the machine's load adds to what we
 * measure. */
static inline int64_t test_starved_ns(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/thread-self/schedstat", "re");
    if (file != NULL && fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    if (file != NULL)
        (void)fclose(file);
    const char *wait = strchr(text, ' ');
    return wait != NULL ? strtoll(wait, NULL, 10) : 0;
}

#define assert_elapsed(start_ns, at_least_ns, below_ns)                                            \
    test_check_elapsed((start_ns), (at_least_ns), (below_ns), __FILE__, __LINE__)

/* Bounded by the watchdog. */
static inline void test_wait(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0 && errno == EINTR)
        ;
    watchdog_step();
}

/* Lets time pass while others work: for tests of deadlines, never to wait for somebody. */
static inline void test_pass_time(int64_t ns)
{
    int64_t until = dx_clock_ns() + ns;
    while (dx_clock_ns() < until)
        (void)sched_yield();
}

/* Runs body in a child process and returns how that ended, as waitpid says. What body returns is
 * the exit code; it must not assert, because cmocka would go on with the tests in the child. The
 * child dies with us. */
static inline int test_in_child(int (*body)(void *user), void *user)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == parent ? body(user) : 126);
    }
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    watchdog_step();
    return status;
}

static inline void test_check_exit(int wait_status, const char *file, int line)
{
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        return;
    print_error("the child %s %d\n", WIFEXITED(wait_status) ? "returned" : "ended by signal",
                WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status));
    _fail(file, line);
}

/* The child ended well. */
#define assert_exited(wait_status) test_check_exit((wait_status), __FILE__, __LINE__)

/* Waits until a thread or process sleeps in the kernel ('S'), or is stopped ('T'). */
static inline void test_await_state(pid_t id, char state)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)id);
    for (;;) {
        char text[512];
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        size_t bytes = fread(text, 1, sizeof text - 1, file);
        (void)fclose(file);
        text[bytes] = '\0';
        const char *behind_name = strrchr(text, ')');
        if (behind_name != NULL && behind_name[1] == ' ' && behind_name[2] == state) {
            watchdog_step();
            return;
        }
        (void)sched_yield();
    }
}

/* How often this thread has slept so far. */
static inline long test_sleeps(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

#endif
